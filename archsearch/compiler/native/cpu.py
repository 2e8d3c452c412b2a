"""Which compiler there is, and which processor it compiles for."""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

from archsearch.errors import EngineError

_FLAGS = ("-O2", "-shared", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-w")
_SECONDS = 30


@cache
def compiler() -> tuple[str, ...]:
    """Returns the command of the C compiler: what the environment variable CC says, else `cc`, `gcc` or `clang`.

    Raises:
        EngineError: There is none.
    """
    named = os.environ.get("CC")
    if named:
        command = shlex.split(named)
        if command and shutil.which(command[0]):
            return tuple(command)
        raise EngineError(
            f"engine native: CC is {named!r}, which is no command here. Unset CC, set it to a C "
            "compiler, or use engine=interpreter."
        )
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return (name,)
    raise EngineError(
        "engine native: no C compiler found, expected cc, gcc or clang on the PATH. Install one (Debian and Ubuntu: "
        "apt install gcc; macOS: xcode-select --install), or use engine=interpreter."
    )


@cache
def flags() -> tuple[str, ...]:
    """Returns the compiler's options: for this processor, and without any that assume finite numbers."""
    native = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    return (*_FLAGS, native)


@cache
def machine_digest() -> str:
    """Identifies what decides the machine code: the processor's abilities and the compiler's version.

    Raises:
        EngineError: There is no compiler, or it does not answer.
    """
    text = "\n".join((_processor(), platform.machine(), *compiler(), *flags(), _version()))
    return hashlib.sha256(text.encode()).hexdigest()


def _processor() -> str:
    """Returns the processor's name and instruction sets, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return platform.processor()
    wanted = ("model name", "cpu family", "model\t", "flags", "Features", "CPU part")
    return "\n".join(line for line in text.split("\n\n")[0].splitlines() if line.startswith(wanted))


def _version() -> str:
    try:
        done = subprocess.run([*compiler(), "--version"], capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(error).rstrip(".")
        raise EngineError(
            f"engine native: {shlex.join(compiler())} --version failed: {reason}. Set CC to a working C compiler, or "
            "use engine=interpreter."
        ) from error
    return done.stdout
