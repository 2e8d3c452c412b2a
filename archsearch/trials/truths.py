"""Truth values as people type them: Hydra reads `true` and `false`, and hands on `yes` and `no` as text."""

_TRUTHS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}


def truth_of(value: object) -> bool | None:
    """Returns the truth value that a boolean or a word such as `yes` stands for, None where it stands for none."""
    if isinstance(value, bool):
        return value
    return _TRUTHS.get(value) if isinstance(value, str) else None
