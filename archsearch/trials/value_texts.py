"""Values, ratios and intervals as people read them, the same on the page, in the terminal and in sentences."""

MAX_DIGITS = 9


def value_text(value: float, digits: int = 3) -> str:
    """Returns a value with so many digits behind its point; below 0.01 so many that are no leading zeros."""
    return f"{value:#.{digits}g}" if 0 < abs(value) < 0.01 else f"{value:.{digits}f}"


def ratio_text(ratio: float, digits: int = 3) -> str:
    """Returns a ratio, or a fitness, likewise; near 1 with the digits that tell it from 1."""
    is_one = ratio == 1
    while float(value_text(ratio, digits)) == 1 and not is_one and digits < MAX_DIGITS:
        digits += 1
    return value_text(ratio, digits)


def interval_text(low: float, estimate: float, high: float, between: str = " to ") -> str:
    """Returns a ratio with its limits, as in `1.012 (0.990 to 1.034)`."""
    return f"{ratio_text(estimate)} ({ratio_text(low)}{between}{ratio_text(high)})"
