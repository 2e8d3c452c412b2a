"""archsearch installed as users install it, away from the repository: `from shared_installs import …`."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGED = ("archsearch", "conf", "tasks")
# what would let an installed archsearch find the repository, or behave otherwise than at a user's
OURS = ("PYTHON", "ARCHSEARCH_", "PYTEST_", "TRITON_", "OMP_", "COVERAGE", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Install:
    """A virtual environment with archsearch in it.

    Attributes:
        place: The environment's folder.
        cache: Where cells compiled in it are kept.
    """

    place: Path
    cache: Path

    @property
    def python(self) -> Path:
        return self.place / "bin" / "python"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a user's shell in which the environment was activated."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        path = os.pathsep.join([str(self.place / "bin"), kept["PATH"]])
        return {**kept, "PATH": path, "VIRTUAL_ENV": str(self.place), "ARCHSEARCH_CACHE": str(self.cache)}

    def run(self, command: Sequence[str | Path], folder: Path, timeout: float = 600) -> str:
        """Runs a command in a folder, which must succeed; returns what it printed."""
        done = subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def copy_sources(folder: Path) -> Path:
    """Copies what a package is built of, so that nothing is left beside the sources; returns the copy."""
    copy = folder / "source"
    for name in PACKAGED:
        for file in (ROOT / name).rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                target = copy / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    for name in ("pyproject.toml", "README.md", "constraints.txt"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


def build_wheel(folder: Path) -> Path:
    """Builds a wheel from a copy of the sources."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(copy_sources(folder))], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def install_borrowing(folder: Path) -> Install:
    """Installs a wheel, without its dependencies: these are found where the tests have them."""
    install = _new_environment(folder)
    install.run([install.python, "-m", "pip", "install", "--quiet", "--no-deps", build_wheel(folder)], folder)
    (own,) = (install.place / "lib").glob("python*/site-packages")
    lenders = [place for place in sys.path if Path(place).name == "site-packages"]
    (own / "borrowed.pth").write_text("\n".join(lenders) + "\n")  # their own *.pth, editable installs, are not followed
    return install


def install_afresh(folder: Path) -> Install:
    """Installs everything, dependencies as well, as README says but not editable; takes minutes and two gigabytes."""
    install = _new_environment(folder)
    source = copy_sources(folder)
    pins = source / "constraints.txt"
    install.run([install.python, "-m", "pip", "install", "--quiet", "-c", pins, source], folder, timeout=1800)
    return install


def _new_environment(folder: Path) -> Install:
    install = Install(folder / "venv", folder / "cache")
    subprocess.run([sys.executable, "-m", "venv", str(install.place)], check=True, timeout=120)
    return install
