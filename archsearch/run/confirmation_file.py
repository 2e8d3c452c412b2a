"""The table that `archsearch confirm` leaves in a run's folder."""

import pandas as pd

from archsearch.errors import FileFormatError
from archsearch.run.folder import RunFolder

_LIMITS = ("fitness_low", "fitness", "fitness_high")
_NEEDED = {"cell", "verdict", *_LIMITS}


def read_confirmation(folder: RunFolder) -> pd.DataFrame | None:
    """Returns the frame of `confirmation.csv`; None if there is none.

    Raises:
        FileFormatError: The file is no such table.
    """
    path = folder.confirmation_path
    if not path.is_file():
        return None
    try:
        frame = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise FileFormatError(f"{path}: expected the table of a confirmation, got {error}.") from error
    if missing := _NEEDED.difference(frame.columns):
        raise FileFormatError(f"{path}: expected the table of a confirmation, found no {', '.join(missing)}.")
    try:
        return frame.astype(dict.fromkeys(_LIMITS, "float64"))
    except ValueError as error:
        raise FileFormatError(f"{path}: expected numbers or nothing as fitness and its limits, got {error}.") from error
