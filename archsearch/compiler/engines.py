"""The engines that can run a program. A faster one is a new row here."""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import Tensor

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.program import CellProgram
from archsearch.errors import ConfigError


class Unroll(Protocol):
    """A program made ready by an engine. It can be pickled and copied, and holds no weights."""

    def __call__(
        self, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Unrolls the cell over a sequence; differentiable in all that it takes.

        Args:
            x: `[T, B, I]` inputs, `T` at least 1.
            states: `[B, H]` each, in the program's order.
            parameters: `NAME.weight` `[H, width]` and `NAME.bias` `[H]` of each parameter, and
                `input_projection.weight` `[H, I]` where the layer has one.

        Returns:
            `[T, B, H]` outputs and the states after the last step, `[B, H]` each.
        """


ENGINES: dict[str, Callable[[CellProgram], Unroll]] = {"interpreter": Interpreter}


def choose_engine(name: str) -> str:
    """Returns the name of the engine to use; `auto` is the fastest that works on this machine.

    Raises:
        ConfigError: No engine has this name.
    """
    if name == "auto":
        return "interpreter"
    if name not in ENGINES:
        raise ConfigError(f"engine {name!r} is not known. Expected one of: auto, {', '.join(ENGINES)}.")
    return name
