"""Values of other people's objects, as a message shows them."""


def shown(value: object) -> str:
    """Returns a value for a message: short, and printable on any terminal."""
    if isinstance(value, str):
        return ascii(value[:80])
    if value is None or isinstance(value, int | float):
        return ascii(value)[:80]
    return type(value).__name__
