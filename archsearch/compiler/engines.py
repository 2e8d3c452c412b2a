"""The engines that can run a program, and the choice among them. A new one is a new row here."""

import logging
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Protocol

import torch
from torch import Tensor

from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.native.compiled import check_native
from archsearch.compiler.native.engine import NativeEngine
from archsearch.compiler.program import CellProgram
from archsearch.compiler.vectorized.engine import VectorizedEngine
from archsearch.errors import ConfigError, EngineError

PRECISIONS = ("full", "bfloat16", "tf32")
"""Of layers: of what is multiplied, while `dtype` says what their numbers are. A recipe's `precision` says both."""

_logger = logging.getLogger(__name__)


class Unroll(Protocol):
    """A program made ready by an engine. It can be pickled and copied, and holds no weights."""

    def __call__(
        self, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Unrolls the cell over a sequence; differentiable in all that it takes.

        Args:
            x: `[T, B, I]` inputs, `T` at least 1.
            states: `[1, B, H]` each, a row of what stacked layers have, in the program's order.
            parameters: `NAME.weight` `[H, width]` and `NAME.bias` `[H]` of each parameter, and
                `input_projection.weight` `[H, I]` where the layer has one.

        Returns:
            `[T, B, H]` outputs and the states after the last step, `[1, B, H]` each.
        """


class FastestEngine:
    """What `engine=auto` stands for in a layer: native where that works, else the interpreter, saying so once.

    Can be pickled and copied: what is loaded chooses anew, by what works where it is loaded.
    """

    def __init__(self, program: CellProgram) -> None:
        self._program = program
        self._interpreter = Interpreter(program)
        self._native: NativeEngine | None = None
        try:
            self._native = NativeEngine(program, for_second_derivatives=self._interpreter)
        except EngineError as error:
            _say_once(str(error))

    def __getstate__(self) -> dict[str, CellProgram]:
        return {"program": self._program}

    def __setstate__(self, state: dict[str, CellProgram]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __call__(
        self, x: Tensor, states: tuple[Tensor, ...], parameters: Mapping[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Unrolls the cell over a sequence; see `Unroll`."""
        # torch.compile stops at the exception by which native code refuses
        if self._native is None or torch.compiler.is_compiling():
            return self._interpreter(x, states, parameters)
        try:
            return self._native(x, states, parameters)
        except EngineError as error:
            _say_once(str(error))
            return self._interpreter(x, states, parameters)


ENGINES: dict[str, Callable[[CellProgram], Unroll]] = {
    "interpreter": Interpreter,
    "native": NativeEngine,
    "vectorized": VectorizedEngine,
    "cuda": partial(VectorizedEngine, name="cuda"),
}


def choose_engine(name: str) -> str:
    """Returns the name of the engine to use; `auto` is the fastest that works on this machine's processors.

    Raises:
        ConfigError: No engine has this name, or it does not work here.
    """
    if name == "auto":
        return _fastest()
    if not isinstance(name, str) or name not in ENGINES:
        raise ConfigError(f"engine {name!r} is not known. Expected one of: auto, {', '.join(ENGINES)}.")
    if name == "native":
        check_native()
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "engine cuda: expected a GPU that torch can use, found none (torch.cuda.is_available() is False). Use "
            "engine=auto, which takes the fastest one on processors, or look at CUDA_VISIBLE_DEVICES and at whether "
            "this torch was built for CUDA."
        )
    return name


def fall_back(name: str) -> str:
    """Returns the engine for something new: `auto` in the place of `cuda` where there is no GPU, saying so once.

    What exists keeps its engine, or is refused: see `choose_engine`.
    """
    if name != "cuda" or torch.cuda.is_available():
        return name
    _say_no_gpu()
    return "auto"


def choose_engine_for(program: CellProgram, name: str) -> str:
    """Returns the name of the engine for one cell; `auto` is the fastest that takes the cell, saying so if not native.

    Raises:
        ConfigError: As for `choose_engine`.
    """
    chosen = choose_engine(name)
    if name == "auto" and chosen == "native":
        try:
            NativeEngine(program)
        except EngineError as error:
            _say_once(str(error))
            return "interpreter"
    return chosen


def prepare(name: str, program: CellProgram, precision: str = "full") -> Unroll:
    """Makes a program ready to run.

    Args:
        name: Of an engine, which then runs the program or refuses; or `auto`, which always finds one.
        program: The cell.
        precision: `full`; `bfloat16`, which the engines native and cuda have; `tf32`, which only cuda has. See there.

    Raises:
        ConfigError: No engine has this name, or it does not work here, or not with this precision.
    """
    if precision not in PRECISIONS:
        raise ConfigError(
            f"precision {precision!r} is not known of a layer. Expected one of: {', '.join(PRECISIONS)}. For another "
            "type of numbers give a dtype, such as dtype=torch.float64."
        )
    check_precision(name, precision)
    if precision in ("bfloat16", "tf32"):
        return VectorizedEngine(program, "cuda", precision) if name == "cuda" else NativeEngine(program, precision)
    return FastestEngine(program) if name == "auto" else ENGINES[choose_engine(name)](program)


def check_precision(name: str, precision: str) -> None:
    """Checks that an engine can run with a precision here.

    Args:
        name: The engine's.
        precision: A layer's, or a recipe's, which may be `float32` or `float64`, too.

    Raises:
        ConfigError: It cannot.
    """
    if precision not in (*PRECISIONS, "float32", "float64"):
        raise ConfigError(f"precision {precision!r} is not known. Expected one of: float32, float64, bfloat16, tf32.")
    if name == "cuda":
        if precision == "bfloat16" and torch.__version__ < "2.8":
            raise ConfigError(f"engine cuda: precision=bfloat16 needs torch 2.8 or newer, this is {torch.__version__}.")
        return
    if precision == "tf32":
        raise ConfigError(
            f"engine {name}: it has no precision=tf32, which only GPUs have. Use engine=cuda, or leave it out."
        )
    if precision == "bfloat16":
        if name in ("interpreter", "vectorized"):
            raise ConfigError(f"engine {name}: it has no precision=bfloat16. Use engine=native, or leave it out.")
        check_native(precision)


@cache
def _fastest() -> str:
    try:
        check_native()
    except EngineError as error:
        _say_once(str(error))
        return "interpreter"
    return "native"


@cache
def _say_no_gpu() -> None:
    _logger.warning(
        "engine cuda: torch finds no GPU here, so engine=%s runs instead, on processors. If there is one, look at "
        "CUDA_VISIBLE_DEVICES and at whether this torch was built for CUDA.",
        _fastest(),
    )


@cache
def _say_once(reason: str) -> None:
    _logger.warning("engine auto: the slower interpreter runs instead. Reason: %s", reason)
