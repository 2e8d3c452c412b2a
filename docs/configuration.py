"""Writes docs/configuration.md from the files in conf/ and their comments: `python docs/configuration.py`.

A test compares the page with what this says.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "configuration.md"
GROUPS = {
    "recipe": "How every trial trains",
    "strategy": "Strategies",
    "task": "Tasks",
    "transformation": "Transformations",
    "experiment": "Experiments",
}
INTRODUCTION = """\
# Configuration

Made from the files in `conf/` by `python docs/configuration.py`; change those.

Settings are typed behind a command as `name=value`, lists as `[a,b]` in quotes, nothing as `null`; lists of names
need neither brackets nor quotes. `archsearch COMMAND --help` shows those of one command, `archsearch search … --cfg`
what a search would use. `R1` to `R37` are the rules of Jozefowicz, Zaremba & Sutskever 2015 that
[method.md](method.md) lists. A dash stands where a value must be given; for a search, the experiment gives it.
"""


def page() -> str:
    """Returns the text of the page."""
    parts = [INTRODUCTION, _section("`archsearch search`", ROOT / "conf" / "search.yaml", "##")]
    meanings = _meanings()
    for group, title in GROUPS.items():
        parts.append(f"## {title}\n")
        files = sorted((ROOT / "conf" / group).glob("*.yaml"))
        parts += [_section(f"`{path.stem}`", path, "###", meanings) for path in files]
    others = sorted(path for path in (ROOT / "conf").glob("*.yaml") if path.stem != "search")
    parts.append("## The other commands\n")
    parts += [_section(f"`archsearch {path.stem.replace('_', ' ')}`", path, "###", meanings) for path in others]
    return "\n".join(parts)


def _section(title: str, path: Path, marks: str, meanings: Mapping[str, str] = MappingProxyType({})) -> str:
    """Returns the settings of one file: what stands above them, and a table.

    Args:
        title: Of the section.
        path: The file.
        marks: Of the heading.
        meanings: What settings mean on which the file itself says nothing.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    above = [line for line in lines[: _first_setting(lines)] if line.startswith("# ")]
    package = next((line.split()[2] for line in above if line.startswith("# @package ")), "")
    prefix = "" if package in {"", "_global_"} else f"{package}."
    text = " ".join(line.removeprefix("# ") for line in above if not line.startswith("# @package "))
    rows = "".join(
        f"| `{prefix}{name}` | {_shown(value)} | {comment or _inherited(name, meanings)} |\n"
        for name, value, comment in _settings(lines)
    )
    table = f"\n| setting | default | meaning |\n|---|---|---|\n{rows}" if rows else ""
    return f"{marks} {title}\n\n{_wrapped(text)}\n{table}"


def _meanings() -> dict[str, str]:
    """Returns what `search.yaml` and the files of tasks say of each setting."""
    files = {"": ROOT / "conf" / "search.yaml"}
    files |= {f"task.{path.stem}.": path for path in (ROOT / "conf" / "task").glob("*.yaml")}
    return {
        prefix + name: comment
        for prefix, path in files.items()
        for name, _, comment in _settings(path.read_text(encoding="utf-8").splitlines())
    }


def _inherited(name: str, meanings: Mapping[str, str]) -> str:
    """Returns what is said elsewhere of a setting, or of the one that it is a special case of for a task or screen."""
    plain = re.sub(r"^task\.\w+\.search\.", "search.", name.removeprefix("screen."))
    return meanings.get(name) or meanings.get(plain, "")


def _first_setting(lines: list[str]) -> int:
    return next(number for number, line in enumerate(lines) if line and not line.startswith("#"))


def _settings(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yields name, value and comment of each setting; a comment on a line of its own belongs to the next one."""
    above: list[str] = []
    parents: list[str] = []
    for line in lines[_first_setting(lines) :]:
        depth = (len(line) - len(line.lstrip())) // 2
        body = line.strip()
        if body.startswith("#"):
            above.append(body.removeprefix("# "))
        elif body and not body.startswith("- "):
            setting, _, comment = body.partition(" # ")
            key, _, value = setting.partition(":")
            parents[depth:] = [key]
            comment = " ".join([*above, comment]).strip().replace("|", "\\|")
            above = []
            # a section is a row only if something is said of it; the others are not for users
            if key not in {"defaults", "_target_"} and (value.strip() or comment) and (key != "name" or comment):
                yield ".".join(parents), value.strip(), comment


def _shown(value: str) -> str:
    return {"???": "—", "": ""}.get(value, f"`{value}`")


def _wrapped(text: str, width: int = 118) -> str:
    """Returns a text in lines."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
