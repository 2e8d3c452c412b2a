"""Files that people bring: read whole, with every reason why one cannot be used."""

import codecs
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from archsearch.errors import ConfigError

MEGABYTE = 2**20


def absolute_path(where: str, path: str) -> Path:
    """Returns a path from the root on; `~` or `~user` at its beginning is a home folder.

    Raises:
        ConfigError: There is no such home folder.
    """
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:  # so pathlib says that it knows no such user
        raise ConfigError(
            f"{where}: expected a path, got {path!r}, and there is no such user's home folder. Write it in full."
        ) from error


def find_files(task: str, path: object, endings: Sequence[str] = ()) -> list[Path]:
    """Returns a file, or all files below a folder in the order of their names, hidden ones left out.

    Args:
        task: The task's name, for messages.
        path: As the user gave it.
        endings: Of the names of a folder's files, such as `.txt`; none for all.

    Raises:
        ConfigError: There is no path, no such file, or no file in the folder.
    """
    if not isinstance(path, str) or not path:
        raise ConfigError(f"task {task}, path: expected a file or a folder, got {path!r}. Set task.{task}.path=….")
    place = absolute_path(f"task {task}, path", path)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise ConfigError(f"task {task}, {place}: expected a file or a folder, found none. Check task.{task}.path.")
    files = [file for file in sorted(place.rglob("*")) if file.is_file() and not _is_hidden(file, place)]
    files = [file for file in files if not endings or file.suffix.lower() in endings]
    if not files:
        kinds = f" that end with {', '.join(endings)}" if endings else ""
        raise ConfigError(f"task {task}, {place}: expected files{kinds} in the folder, found none.")
    return files


def stamps(files: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Returns name, time of the last change and size of files: what tells a memory of them from what they hold now."""
    found = ((str(file), file.stat()) for file in files)
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)


def check_size(task: str, files: Sequence[Path], max_megabytes: int) -> None:
    """Checks how large files are together.

    Raises:
        ConfigError: They are larger than allowed.
    """
    size = sum(file.stat().st_size for file in files)
    where = files[0] if len(files) == 1 else files[0].parent
    if size > max_megabytes * MEGABYTE:
        raise ConfigError(
            f"task {task}, {where}: expected at most {max_megabytes} MB, which are held in memory by each worker, got "
            f"{size / MEGABYTE:,.0f}. Take a part of the data (head -c {max_megabytes}M), or set "
            f"task.{task}.max_megabytes higher."
        )


def read_texts(task: str, files: Sequence[Path], max_megabytes: int) -> list[str]:
    """Returns the files' texts; line ends of Windows and old Macs become plain ones, a byte order mark goes.

    Raises:
        ConfigError: They are larger than allowed, cannot be read, are no UTF-8, or hold nothing.
    """
    check_size(task, files, max_megabytes)
    where = files[0] if len(files) == 1 else files[0].parent
    texts = [_read_text(task, file) for file in files]
    if not any(text.strip() for text in texts):
        raise ConfigError(f"task {task}, {where}: expected text, found nothing but blanks. Choose another file.")
    return texts


def has_foreign_line_ends(files: Sequence[Path]) -> bool:
    """Says whether a file has line ends that `read_texts` makes plain."""
    return any(b"\r" in file.read_bytes() for file in files)


@contextlib.contextmanager
def reading_errors(task: str, file: Path) -> Iterator[None]:
    """Turns what the system says of a file that cannot be read into what a user can do.

    Raises:
        ConfigError: The file could not be read.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"task {task}, {file}: expected a readable file, got {error.strerror}. Check its permissions."
        ) from error


def not_utf8(task: str, file: Path) -> ConfigError:
    """Returns what to say of a file that is no UTF-8: the first byte that is none, and what the file may be instead."""
    content = file.read_bytes()
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place, byte = error.start, content[error.start]
        return ConfigError(
            f"task {task}, {file}: expected text in UTF-8, got byte 0x{byte:02x} at place {place:,}. Convert it, for "
            f"example with: iconv -f {_guess_encoding(content)} -t utf-8 OLD > NEW. If it is no text, leave it out."
        )
    return ConfigError(f"task {task}, {file}: it changed while it was read. Try again.")


def check_is_text(task: str, file: Path, text: str) -> None:
    """Checks that there is no NUL, which is no character of a text.

    Raises:
        ConfigError: There is one.
    """
    if "\0" in text:
        raise ConfigError(
            f"task {task}, {file}: expected text in UTF-8, got NUL characters, as files have that are no text or are "
            "in UTF-16. Leave it out, or convert it: iconv -f utf-16le -t utf-8 OLD > NEW."
        )


def _guess_encoding(content: bytes) -> str:
    return "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin1"


def _read_text(task: str, file: Path) -> str:
    with reading_errors(task, file):
        content = file.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(task, file) from error
    check_is_text(task, file, text)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
