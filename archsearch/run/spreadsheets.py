"""Texts of CSV files that no spreadsheet takes for a formula.

Excel, LibreOffice and Google Sheets compute a cell that begins with `=`, `+`, `-` or `@`, in the file or after blanks,
and a name or an error message may begin so. Such a text gets an apostrophe before it, and so does one that begins with
an apostrophe: taking one away gives every text back.
"""

import pandas as pd

_QUOTE = "'"
_BEGINNINGS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20\t\r\n" + _QUOTE)  # with their wide forms, which count in Japan


def as_text(value: object) -> object:
    """Returns what a cell of a CSV file says: a number as it is, a text that would compute with an apostrophe."""
    if isinstance(value, str) and value and (value[0] in _BEGINNINGS or value.lstrip()[:1] in _BEGINNINGS):
        return _QUOTE + value
    return value


def from_text(text: str) -> str:
    """Returns what `as_text` was given."""
    return text.removeprefix(_QUOTE)


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with every text, names of columns included, as `as_text` has it."""
    texts = {
        name: frame[name].map(as_text) for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name].dtype)
    }
    return frame.assign(**{str(name): column for name, column in texts.items()}).rename(columns=as_text)
