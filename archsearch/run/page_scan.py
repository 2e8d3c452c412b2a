"""Rows out of the pages of a SQLite file, one page at a time, whatever of the file around them is damaged.

Source: "Database File Format", sections 1.3, 1.5, 1.6, 2.1 and 4.1; https://www.sqlite.org/fileformat2.html
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

Value = int | float | str | bytes | None
Page = bytes
TABLE_LEAF, INDEX_LEAF = 0x0D, 0x0A
DEFAULT_PAGE_SIZE = 4096
FIRST_HEADER_BYTES = 100
"""Stand before the first page's own header."""
_WAL_HEADER, _WAL_FRAME = 32, 24
_MAX_PAYLOAD_BYTES = 1 << 28


def read_pages(path: Path) -> dict[int, Page]:
    """Returns the pages of a database by number, those of its write-ahead log in their places.

    Raises:
        OSError: The file cannot be read.
    """
    data = path.read_bytes()
    wal = path.with_name(f"{path.name}-wal")
    log = wal.read_bytes() if wal.is_file() else b""
    size = _page_size(data, log)
    pages = {1 + start // size: data[start : start + size] for start in range(0, len(data), size)}
    return {**pages, **_logged_pages(log, size)}


def table_rows(pages: Mapping[int, Page]) -> Iterator[tuple[int, tuple[Value, ...]]]:
    """Yields row number and columns of every row that can be read of any table; wrong ones may be among them."""
    for number, page in pages.items():
        for start in _cells(number, page, TABLE_LEAF):
            try:
                length, at = _varint(page, start)
                row_number, at = _varint(page, at)
                payload = _payload(pages, page, at, length, len(page) - 35)
                yield _signed(row_number), _record(payload)
            except (IndexError, ValueError, KeyError, struct.error):
                continue  # damaged, or never a row


def index_rows(pages: Mapping[int, Page]) -> Iterator[tuple[Value, ...]]:
    """Yields the columns of every entry of indices and of tables without row numbers that can be read."""
    for number, page in pages.items():
        for start in _cells(number, page, INDEX_LEAF):
            try:
                length, at = _varint(page, start)
                most = (len(page) - 12) * 64 // 255 - 23
                yield _record(_payload(pages, page, at, length, most))
            except (IndexError, ValueError, KeyError, struct.error):
                continue


def _page_size(data: bytes, log: bytes) -> int:
    """Returns the size that the header of the file or of its log names, else the usual one."""
    named = [int.from_bytes(data[16:18], "big"), int.from_bytes(log[8:12], "big")]
    named = [65536 if size == 1 else size for size in named]
    return next((size for size in named if 512 <= size <= 65536 and size & (size - 1) == 0), DEFAULT_PAGE_SIZE)


def _logged_pages(log: bytes, size: int) -> dict[int, Page]:
    """Returns the pages of a write-ahead log up to its last commit, later ones for earlier ones.

    Frames of an earlier use of the log have other salts. Checksums of frames are not looked at: rows have their own.
    """
    pages: dict[int, Page] = {}
    since_commit: dict[int, Page] = {}
    salt = log[16:24]
    for start in range(_WAL_HEADER, len(log) - _WAL_FRAME - size + 1, _WAL_FRAME + size):
        number, commit = struct.unpack_from(">II", log, start)
        if log[start + 8 : start + 16] != salt:
            break
        since_commit[number] = log[start + _WAL_FRAME : start + _WAL_FRAME + size]
        if commit:
            pages |= since_commit
            since_commit = {}
    return pages


def _cells(number: int, page: Page, kind: int) -> list[int]:
    """Returns where the cells of a page begin, none if it is of another kind."""
    header = FIRST_HEADER_BYTES if number == 1 else 0
    if len(page) < header + 8 or page[header] != kind:
        return []
    count = int.from_bytes(page[header + 3 : header + 5], "big")
    pointers = page[header + 8 : header + 8 + 2 * count]
    return [int.from_bytes(pointers[at : at + 2], "big") for at in range(0, len(pointers) - 1, 2)]


def _payload(pages: Mapping[int, Page], page: Page, at: int, length: int, most: int) -> bytes:
    """Returns a cell's content, from this page and from the chain of pages that hold what does not fit.

    Raises:
        ValueError: The chain does not hold what it should.
    """
    if length > _MAX_PAYLOAD_BYTES:
        raise ValueError("no row is so long")
    usable = len(page)
    if length <= most:
        return _exactly(page[at : at + length], length)
    least = (usable - 12) * 32 // 255 - 23
    local = least + (length - least) % (usable - 4)
    local = local if local <= most else least
    parts, left = [_exactly(page[at : at + local], local)], length - local
    following = int.from_bytes(page[at + local : at + local + 4], "big")
    while left > 0:
        chained = pages[following]
        parts.append(_exactly(chained[4 : 4 + min(left, usable - 4)], min(left, usable - 4)))
        left -= usable - 4
        following = int.from_bytes(chained[:4], "big")
    return b"".join(parts)


def _record(payload: bytes) -> tuple[Value, ...]:
    """Returns the columns of a record.

    Raises:
        ValueError: It is none.
    """
    header_length, at = _varint(payload, 0)
    if not 1 <= header_length <= len(payload):
        raise ValueError("the header is longer than the record")
    kinds = []
    while at < header_length:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: list[Value] = []
    for kind in kinds:
        size = _size(kind)
        values.append(_value(kind, _exactly(payload[at : at + size], size)))
        at += size
    return tuple(values)


def _size(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    return (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)[kind]


def _value(kind: int, data: bytes) -> Value:
    if kind >= 12:
        return data.decode() if kind % 2 else data
    if kind == 7:
        return float(struct.unpack(">d", data)[0])
    return {0: None, 8: 0, 9: 1}.get(kind, int.from_bytes(data, "big", signed=True))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns an unsigned number of 1 to 9 bytes, and where it ends."""
    value = 0
    for count in range(8):
        byte = data[at + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    return value << 8 | data[at + 8], at + 9


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise ValueError("the page ends too early")
    return data
