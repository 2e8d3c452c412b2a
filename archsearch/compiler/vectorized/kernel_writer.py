"""Writes one kernel: loads come as they are asked for, and nothing is read that the same kernel has just computed."""

from archsearch.compiler.vectorized.work import Kernel, Place, Region, Source


class KernelWriter:
    """Collects what one loop computes.

    Args:
        region: On all time steps at once, or on one.
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        self._loads: dict[Source, str] = {}
        self._held: dict[Place, str] = {}
        self._lines: list[str] = []
        self._stores: dict[Place, str] = {}

    def load(self, source: Source) -> str:
        """Returns the name of what lies somewhere."""
        if isinstance(source, Place) and source in self._held:
            return self._held[source]
        return self._loads.setdefault(source, f"a{len(self._loads)}")

    def define(self, expression: str) -> str:
        """Computes something and returns its name; what has a name already keeps it."""
        if expression.isidentifier():
            return expression
        name = f"n{len(self._lines)}"
        self._lines.append(f"{name} = {expression}")
        return name

    def store(self, place: Place, name: str) -> None:
        """Writes something somewhere."""
        self._held[place] = self._stores[place] = name

    def finish(self) -> Kernel | None:
        """Returns the kernel, or None if it would write nothing."""
        if not self._stores:
            return None
        return Kernel(self._region, tuple(self._loads), tuple(self._lines), tuple(self._stores.items()))
