"""What a row of the suite is: a fault, the promise that it tests, and the function that injects it into a run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faults.place import Place

KEPT, BROKEN, SKIPPED = "pass", "FAIL", "skip"

Inject = Callable[["Place"], str]


class BrokenPromiseError(Exception):
    """What was seen is not what was promised."""


class ImpossibleHereError(Exception):
    """This machine does not let us inject the fault; the message says why."""


@dataclass(frozen=True)
class Fault:
    """One row.

    Attributes:
        name: Short and unique, of words and hyphens.
        injected: What is done to a run.
        promised: What must come of it.
        inject: Does it in a place and returns what was seen.
        family: The module it stands in.
        is_fast: Whether it runs with the tests.
        needs_ray: Whether it starts a Ray.
    """

    name: str
    injected: str
    promised: str
    inject: Inject
    family: str
    is_fast: bool = False
    needs_ray: bool = False


FAULTS: list[Fault] = []
"""All rows, in the order in which their modules are imported."""


def fault(
    name: str, injected: str, promised: str, *, fast: bool = False, ray: bool = False
) -> Callable[[Inject], Inject]:
    """Registers a function as a row of the suite."""

    def register(inject: Inject) -> Inject:
        family = getattr(inject, "func", inject).__module__.rpartition(".")[2]  # of a partial, what it calls
        FAULTS.append(Fault(name, injected, promised, inject, family, fast, ray))
        return inject

    return register


def expect(holds: bool, seen: str) -> None:
    """Compares what was seen with what was promised.

    Raises:
        BrokenPromiseError: It differs.
    """
    if not holds:
        raise BrokenPromiseError(" ".join(seen.split())[:1500])
