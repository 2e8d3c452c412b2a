"""Runs rows: each in a place of its own, several at once, each with a verdict."""

import time
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import import_module

from faults.place import Place, Suite
from faults.promises import BROKEN, FAULTS, KEPT, SKIPPED, BrokenPromiseError, Fault, ImpossibleHereError

FAMILIES = ("kills", "signals", "disks", "journals", "drivers", "changes", "trust", "cells", "rays")
for _family in FAMILIES:
    import_module(f"faults.{_family}")

FAULTS_BY_NAME = {fault.name: fault for fault in FAULTS}


@dataclass(frozen=True)
class Row:
    """What came of a fault."""

    fault: Fault
    verdict: str
    seen: str
    seconds: float


def run_fault(fault: Fault, suite: Suite) -> Row:
    """Injects a fault and looks at what comes of it; leaves no process and no file, whatever happens."""
    begin = time.monotonic()
    place = Place(suite)
    try:
        seen, verdict = fault.inject(place), KEPT
        place.check_aftermath()
    except ImpossibleHereError as reason:
        seen, verdict = str(reason), SKIPPED
    except BrokenPromiseError as error:
        seen, verdict = str(error), BROKEN
    except Exception as error:  # a mistake of the suite's is no pass either, and the other rows go on
        where = traceback.extract_tb(error.__traceback__)[-1]
        seen, verdict = f"{type(error).__name__} in {where.name}, line {where.lineno}: {error}", BROKEN
    finally:
        place.close()
    return Row(fault, verdict, " ".join(seen.split()), time.monotonic() - begin)


def run_faults(faults: Iterable[Fault], suite: Suite, at_once: int) -> Iterator[Row]:
    """Yields a row for each fault, as they end."""
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(run_fault, fault, suite) for fault in faults]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
