"""Lines of C that the writers of both passes share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from archsearch.compiler.native.storage import Place

Region = Literal["time", "step"]

# Neighbouring arrays must not begin at the same place of a memory page, or the loops that walk through many of them at
# once would find them all in the same few lines of the cache.
STAGGER = "5 * LANES"

# What `row` is to one time step, this is to a loop.
COUNTS: dict[Region, str] = {"time": "T * row", "step": "row"}
ROWS: dict[Region, str] = {"time": "T * B", "step": "B"}

# How many rows at once and few rows at every step are multiplied: names of functions, and a last argument.
PACK: dict[Region, str] = {"time": "pack_bulk", "step": "pack"}
MULTIPLY: dict[Region, str] = {"time": "multiply_bulk", "step": "multiply"}
LAST: dict[Region, str] = {"time": ", work", "step": ""}


@dataclass
class Lines:
    """C, written line by line."""

    lines: list[str] = field(default_factory=list)
    depth: int = 1

    def __call__(self, line: str) -> None:
        """Adds a line."""
        self.lines.append("    " * self.depth + line)

    @contextmanager
    def block(self, opening: str = "") -> Iterator[None]:
        """Adds what is written inside in braces."""
        self(f"{opening} {{".lstrip())
        self.depth += 1
        yield
        self.depth -= 1
        self("}")


def address(place: Place, region: Region) -> str:
    """Returns C for where a value begins: at time step `t`, or at the first one."""
    return place.at_step() if region == "step" else place.at_start()


class Loop:
    """One loop over numbers at the same place; loads come as they are asked for, stores at their turn."""

    def __init__(self, write: Lines, region: Region) -> None:
        self._write = write
        self._region = region
        self._pointers: dict[str, str] = {}
        self._body: list[str] = []
        self._loaded: dict[str, str] = {}
        self._num_vectors = 0
        self._has_vectors = False

    def define(self, expression: str) -> str:
        """Computes a vector and returns its name."""
        name = f"n{self._num_vectors}"
        self._num_vectors += 1
        self._body.append(f"const Vector {name} = {expression};")
        return name

    def load(self, place: Place) -> str:
        """Returns the name of a vector read from an array; what was stored there in this loop is not read again."""
        where = address(place, self._region)
        if where not in self._loaded:
            self._loaded[where] = self.define(f"load({self._pointer(where)} + {self._number(place)})")
        return self._loaded[where]

    def store(self, place: Place, vector: str) -> None:
        """Writes a vector to an array."""
        pointer = self._pointer(address(place, self._region))
        self._body.append(f"store({pointer} + {self._number(place)}, {vector});")

    def finish(self) -> None:
        """Writes the loop."""
        if not self._body:
            return
        with self._write.block():
            for where, name in self._pointers.items():
                self._write(f"REAL *const {name} = {where};")
            if self._has_vectors:
                self._write(f"for (long i = 0; i < {COUNTS[self._region]};)")
                opening = "for (long j = 0; j < row; i += LANES, j += LANES)"
            else:
                opening = f"for (long i = 0; i < {COUNTS[self._region]}; i += LANES)"
            with self._write.block(opening):
                for line in self._body:
                    self._write(line)

    def _number(self, place: Place) -> str:
        """Returns which number of an array a loop is at: `j` in those that have one row for all time steps."""
        if place.array.kind != "vector":
            return "i"
        self._has_vectors = True
        return "j"

    def _pointer(self, where: str) -> str:
        return self._pointers.setdefault(where, f"p{len(self._pointers)}")
