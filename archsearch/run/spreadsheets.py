"""Texts of CSV files that no spreadsheet takes for a formula.

Excel, LibreOffice and Google Sheets compute a cell that begins with `=`, `+`, `-` or `@`, in the file or after blanks,
and a name or an error message may begin so. Such a text gets an apostrophe before it, and so does one that begins with
an apostrophe: taking one away gives every text back. Carriage returns become ends of lines.
"""

import pandas as pd

_QUOTE = "'"
_BEGINNINGS = frozenset("=+-@\uff1d\uff0b\uff0d\uff20\t\n" + _QUOTE)  # with their wide forms, which count in Japan


def as_text(value: object) -> object:
    """Returns what a cell of a CSV file says: a number as it is, a text that would compute with an apostrophe."""
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")  # which readers take for the end of a row
    return _QUOTE + text if {*text[:1], *text.lstrip()[:1]} & _BEGINNINGS else text


def from_text(text: str) -> str:
    """Returns what `as_text` was given, but for carriage returns."""
    return text.removeprefix(_QUOTE)


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with every text, names of columns included, as `as_text` has it."""
    texts = {
        name: frame[name].map(as_text) for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name].dtype)
    }
    return frame.assign(**{str(name): column for name, column in texts.items()}).rename(columns=as_text)
