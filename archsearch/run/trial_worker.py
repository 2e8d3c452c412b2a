"""The process that trains, as its owner starts it: `python -m archsearch.run.trial_worker`. See `TrialProcess`."""

import ctypes
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from archsearch.errors import ArchSearchError
from archsearch.run.unit import TrialEvaluator, evaluate_unit

SET_PARENT_DEATH_SIGNAL = 1  # of Linux's prctl
SECONDS_BETWEEN_LOOKS = 1.0
READY, RESULT, ERROR = "ready", "result", "error"


def main() -> None:
    """Answers units, one after the other, until nobody asks any more."""
    descriptor, owner = int(sys.argv[1]), int(sys.argv[2])
    _end_with(owner)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # the owner decides what becomes of a trial when the run is stopped
    connection = Connection(descriptor)
    try:
        _answer(connection)
    except (EOFError, ConnectionError):  # the owner has gone
        return


def _answer(connection: Connection) -> None:
    try:
        evaluator: TrialEvaluator = connection.recv()
        connection.send((READY, here(evaluator)))
    except (EOFError, ConnectionError):
        raise
    except Exception as error:  # whatever stands in the way of a beginning here is for the owner to tell
        connection.send((ERROR, _told(error)))
        return
    while True:
        unit = connection.recv()
        answer: tuple[str, Any]
        try:
            answer = RESULT, [result.to_record() for result in evaluate_unit(evaluator, unit)]
        except Exception as error:  # no failure of the cell's, which would be a result: the run ends with it
            answer = ERROR, _told(error)
        connection.send(answer)


def _told(error: Exception) -> Exception:
    """Returns an error that surely travels."""
    return error if isinstance(error, ArchSearchError) else RuntimeError(f"{type(error).__name__}: {error}")


def here(evaluator: TrialEvaluator) -> dict[str, str]:
    """Returns what must be the same wherever the trials of a run are computed, as far as the evaluator says.

    Raises:
        ConfigError: It cannot work here.
    """
    describe = getattr(evaluator, "describe", None)
    return dict(describe()) if describe is not None else {}


def _end_with(owner: int) -> None:
    """Ends this process when its owner ends, however that happens and whatever a trial is doing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)

    def look() -> None:
        while os.getppid() == owner:
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    # For other systems, and for an owner that ended before the line above; training lets other threads run.
    threading.Thread(target=look, daemon=True).start()


if __name__ == "__main__":
    main()
