"""Lines of written source that are too long for one line, broken as formatters of Python break them."""

from collections.abc import Sequence

MAX_LINE = 120
_MAX_TARGETS = 80


def bracketed(lead: str, opening: str, items: Sequence[str], closing: str) -> list[str]:
    """Returns the lines of `lead opening items closing`: one line, or one per item where that is too long.

    Args:
        lead: What stands before, indented; it may have several lines.
        opening: Ends with a bracket.
        items: What stands between the brackets, commas apart.
        closing: Begins with the bracket that closes.
    """
    whole = f"{lead}{opening}{', '.join(items)}{closing}"
    if len(whole.splitlines()[-1]) <= MAX_LINE:
        return whole.splitlines()
    pad = " " * (len(lead) - len(lead.lstrip()))
    return f"{lead}{opening}\n".splitlines() + [f"{pad}    {item}," for item in items] + [f"{pad}{closing}"]


def targets(lead: str, names: Sequence[str]) -> str:
    """Returns `lead a, b`, what an assignment or a loop gives values to; long ones in brackets, one per line."""
    text = f"{lead}{', '.join(names)}"
    if len(text) <= _MAX_TARGETS or len(names) == 1:
        return text
    pad = " " * (len(lead) - len(lead.lstrip()))
    return "\n".join([f"{lead}(", *(f"{pad}    {name}," for name in names), f"{pad})"])
