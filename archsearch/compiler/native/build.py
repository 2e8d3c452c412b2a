"""From C to functions that Python can call: compiled once, kept on disk, loaded while in use."""

import _ctypes
import atexit
import contextlib
import ctypes
import errno
import hashlib
import logging
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from functools import cache
from importlib.resources import files
from pathlib import Path

from archsearch.compiler.native.cpu import compiler, flags, machine_digest
from archsearch.errors import EngineError

CACHE_VARIABLE = "ARCHSEARCH_CACHE"
COMPILE_SECONDS = 120
MAX_LOSSES = 2  # of the compiler, in one compilation
PAUSE_SECONDS = 1.0  # before the next try: memory may be free again
MAX_CACHED = 4000  # objects of about 30 KB
_ROOM = 2**22  # bytes; with less on the disk a compiler's failure is put down to that

# of the same size, and that size in bytes
INTEGERS = {"float": ("int", 4), "double": ("long long", 8)}

# What the compiler or the system says where the fault is the machine's, in the language of LC_ALL=C.
_OF_THE_MACHINE = (
    "Killed",
    "Terminated",
    "No space left on device",
    "Resource temporarily unavailable",
    "Cannot allocate memory",
    "memory exhausted",
    "out of memory",
)
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)

_logger = logging.getLogger(__name__)


class CompilerLostError(EngineError):
    """The compiler was ended from outside, found no room or took too long: this says nothing about what it compiled."""


class Library:
    """A loaded object, closed when nothing uses it any more.

    Attributes:
        functions: Access to what it exports.
    """

    def __init__(self, path: Path) -> None:
        self.functions = ctypes.CDLL(str(path))
        close = getattr(_ctypes, "dlclose", None)  # not on Windows
        if close is not None:
            # not at the end of the process, when another thread may still be inside
            weakref.finalize(self, close, self.functions._handle).atexit = False


_loaded: "weakref.WeakValueDictionary[str, Library]" = weakref.WeakValueDictionary()


def build(source: str, real: str) -> Library:
    """Compiles C that includes `vector.h` and `runtime.h`, or finds it compiled.

    Several processes may build the same at once: each writes a file of its own and renames it.

    Args:
        source: The text.
        real: `float` or `double`, what REAL stands for.

    Raises:
        CompilerLostError: The compiler was lost, `MAX_LOSSES` times.
        EngineError: There is no compiler, or it fails.
    """
    digest = hashlib.sha256("\n".join((machine_digest(), real, source, *_headers().values())).encode()).hexdigest()
    library = _loaded.get(digest)
    if library is None:
        library = _load(cache_folder() / f"{digest[:32]}.so") or _compile(source, real, digest)
        _loaded[digest] = library
    return library


@cache
def cache_folder() -> Path:
    """Returns a folder for compiled objects that can be written to.

    It is `native` in the folder that the environment variable ARCHSEARCH_CACHE names, else in `~/.cache/archsearch`;
    where that cannot be written, a temporary one for this process alone.
    """
    root = os.environ.get(CACHE_VARIABLE) or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "archsearch"
    try:
        folder = Path(root).expanduser() / "native"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
    except (OSError, RuntimeError) as error:  # RuntimeError: no home
        return _temporary_folder(str(error))
    return folder


def _temporary_folder(reason: str) -> Path:
    temporary = _make_temporary()
    _warn_once(reason)
    return temporary


@cache
def _warn_once(reason: str) -> None:
    _logger.warning(
        "engine native: compiled cells cannot be kept (%s), so every process compiles them anew. Set %s to a folder "
        "that can be written to.",
        reason,
        CACHE_VARIABLE,
    )


@cache
def _make_temporary() -> Path:
    temporary = tempfile.TemporaryDirectory(prefix="archsearch-native-")
    atexit.register(temporary.cleanup)
    return Path(temporary.name)


@cache
def _headers() -> dict[str, str]:
    folder = files("archsearch.compiler.native")
    return {name: (folder / name).read_text(encoding="utf-8") for name in ("vector.h", "runtime.h")}


def _load(path: Path, is_new: bool = False) -> Library | None:
    """Loads a kept object, if it is there and whole; it ends with the SHA-256 of what stands before."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[:-32]).digest() != content[-32:]:
        return None  # a disk that was full, a copy that broke off: compiled anew
    with contextlib.suppress(OSError):  # a cache that can only be read
        os.utime(path)  # those used longest ago are removed first
    try:
        return Library(path)
    except OSError as error:
        if not is_new:
            return None
        raise EngineError(
            f"engine native: the compiled object cannot be loaded: {error}. If its folder forbids to run code, set "
            f"{CACHE_VARIABLE} to another one; or use engine=interpreter."
        ) from error


def _compile(source: str, real: str, digest: str) -> Library:
    folder = cache_folder()
    try:
        return _compile_in(folder, source, real, digest)
    except (OSError, EngineError) as error:
        if isinstance(error, EngineError) and shutil.disk_usage(folder).free >= _ROOM:
            raise
        return _compile_in(_temporary_folder(str(error)), source, real, digest)  # full, or read-only by now


def _compile_in(folder: Path, source: str, real: str, digest: str) -> Library:
    target = folder / f"{digest[:32]}.so"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as name:
        work = Path(name)
        for header, text in _headers().items():
            (work / header).write_text(text, encoding="utf-8")
        (work / "cell.c").write_text(source, encoding="utf-8")
        _run_compiler_again_if_lost(work, real)
        built = work / "cell.so"
        if not built.exists():
            raise EngineError(
                f"engine native: {shlex.join(compiler())} said nothing and wrote nothing. Set CC to a working C "
                "compiler, or use engine=interpreter."
            )
        content = built.read_bytes()
        with built.open("ab") as file:  # loaders do not look behind the last section
            file.write(hashlib.sha256(content).digest())
        built.replace(target)
    if digest[0] == "0":  # now and then
        _prune(folder)
    library = _load(target, is_new=True)
    if library is None:
        raise EngineError(f"engine native: {target} is not what was written there. Use engine=interpreter.")
    return library


def _run_compiler_again_if_lost(work: Path, real: str) -> None:
    for _ in range(MAX_LOSSES - 1):
        try:
            _run_compiler(work, real)
        except CompilerLostError:
            time.sleep(PAUSE_SECONDS)
        else:
            return
    _run_compiler(work, real)


def _run_compiler(work: Path, real: str) -> None:
    integer, size = INTEGERS[real]
    command = [
        *compiler(),
        *flags(),
        f"-DREAL={real}",
        f"-DINTEGER={integer}",
        f"-DREAL_BYTES={size}",
        "-o",
        "cell.so",
        "cell.c",
    ]
    advice = "Set CC to a working C compiler, or use engine=interpreter."
    try:
        process = subprocess.Popen(
            command,
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        kind = CompilerLostError if error.errno in (errno.ENOMEM, errno.EAGAIN) else EngineError
        raise kind(f"engine native: {shlex.join(compiler())} cannot be started: {error}. {advice}") from error
    try:
        _, message = process.communicate(timeout=COMPILE_SECONDS)
    except subprocess.TimeoutExpired:
        raise CompilerLostError(
            f"engine native: {shlex.join(compiler())} did not finish within {COMPILE_SECONDS} s. {advice}"
        ) from None
    finally:
        if process.poll() is None:  # with the processes it started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode != 0:
        lines = message.strip().splitlines()[:3] or [f"exit code {process.returncode}"]
        is_lost = -process.returncode in _FROM_OUTSIDE or any(text in message for text in _OF_THE_MACHINE)
        kind = CompilerLostError if is_lost else EngineError
        raise kind(f"engine native: {shlex.join(compiler())} failed: {' '.join(lines)}. {advice}")


def _prune(folder: Path) -> None:
    """Removes the older half of the objects where there are too many; a loaded one stays usable."""
    with contextlib.suppress(OSError):
        objects = sorted(folder.glob("*.so"), key=lambda path: path.stat().st_mtime)
        if len(objects) > MAX_CACHED:
            for path in objects[: len(objects) // 2]:
                path.unlink(missing_ok=True)
