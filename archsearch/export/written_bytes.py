"""The one way in which an exporter writes a file whose bytes it has."""

from pathlib import Path

from archsearch.errors import ConfigError


def write_bytes(what: str, path: Path, content: bytes) -> None:
    """Writes a file.

    Args:
        what: What is exported, for the message.
        path: The file; an older one is replaced.
        content: Its bytes.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(
            f"export {what} {path}: the file cannot be written: {error.strerror}. Name a file in a folder that exists "
            "and is yours."
        ) from error
