"""What the native engine is meant to reach, and whether it does."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from tables import Row, table

SIZES = (64, 128, 256, 512)
MAX_INTERPRETER_OVERHEAD = 1.15


@dataclass(frozen=True)
class Target:
    """A figure to reach at each of `SIZES`; None where nothing is asked for.

    Attributes:
        subject: What is compared.
        at_least: What must be reached.
        aim: What would be good.
    """

    subject: str
    at_least: tuple[float | None, ...]
    aim: tuple[float | None, ...]


GRU = Target("gru against nn.GRU, step", (3.3, 2.1, 1.6, 1.4), (None,) * 4)
GRU_DIRECT = Target("gru without autograd against nn.GRU, step", (None,) * 4, (5, 2.5, 1.8, 1.55))
GRU_JAX = Target("gru against JAX scan, step", (1.2,) * 4, (1.5,) * 4)
LSTM = Target("lstm_torch against nn.LSTM, step", (1.15, 1.08, 1.06, 1.08), (1.35, 1.2, 1.15, 1.15))
FLOOR = Target(
    "share of the GEMM floor, layer, median of 2+ matrices", (0.65, 0.65, 0.75, 0.75), (0.8, 0.8, 0.85, 0.85)
)
MUTANTS = Target("mutants against interpreter, step, minimum", (3.5, 2.2, None, None), (5, 3, None, None))

BUILD_MEDIAN_SECONDS = 0.3
BUILD_WORST_SECONDS = 0.6
CACHED_SECONDS = 0.01


def report(rows: Sequence[Row]) -> str:
    """Returns the verdicts on all rows of a benchmark."""
    sizes = sorted({int(str(row["H"])) for row in rows})
    lines = []
    for H in sizes:
        own = [row for row in rows if row["H"] == H]
        lines += _at_size(own, H)
    text = table(("figure", "H", "measured", "at least", "", "aim", ""), lines) if lines else "no figure to judge"
    return "\n".join([text, "", *_builds(rows), *_interpreter(rows)])


def _at_size(rows: Sequence[Row], H: int) -> list[tuple[object, ...]]:
    by_name = {row["cell"]: row for row in rows}
    gru, lstm = by_name.get("gru", {}), by_name.get("lstm_torch", {})
    wide = [row for row in rows if _number(row, "matrices") >= 2]
    mutants = [row for row in rows if row["kind"] == "mutant"]
    by_mutant = {
        str(row["cell"]): _number(row, "interpreter_step_ms") / _number(row, "native_step_ms") for row in mutants
    }
    ratios = by_mutant.values()
    shares = [_number(row, "floor_share") for row in wide]
    lines = [
        _judged(GRU, H, _ratio(gru, "nn_gru_step_ms", "native_step_ms")),
        _judged(GRU_DIRECT, H, _ratio(gru, "nn_gru_step_ms", "native_direct_step_ms")),
        _judged(GRU_JAX, H, _ratio(gru, "jax_scan_step_ms", "native_step_ms")),
        _judged(LSTM, H, _ratio(lstm, "nn_lstm_step_ms", "native_step_ms")),
        _judged(FLOOR, H, statistics.median(shares) if shares else None),
        _judged(MUTANTS, H, min(ratios, default=None)),
    ]
    if ratios:
        least = min(by_mutant, key=by_mutant.__getitem__)
        lines.append(
            (f"  median of all mutants; the minimum is {least}'s", H, statistics.median(ratios), "", "", "", "")
        )
    return lines


def _judged(target: Target, H: int, measured: float | None) -> tuple[object, ...]:
    at_least = dict(zip(SIZES, target.at_least, strict=True)).get(H)
    aim = dict(zip(SIZES, target.aim, strict=True)).get(H)
    value: object = "not measured" if measured is None else measured
    return (target.subject, H, value, at_least, _verdict(measured, at_least), aim, _verdict(measured, aim))


def _verdict(measured: float | None, wanted: float | None) -> str:
    if measured is None or wanted is None:
        return ""
    return "met" if measured >= wanted else "NOT MET"


def _builds(rows: Sequence[Row]) -> list[str]:
    cold = {row["cell"]: _number(row, "build_cold_seconds") for row in rows}
    cached = {row["cell"]: _number(row, "build_cached_seconds") for row in rows}
    nodes = {row["cell"]: row["nodes"] for row in rows}
    slowest = max(cold, key=cold.__getitem__)
    lines = []
    for subject, measured, wanted in (
        ("build, cold, median", statistics.median(cold.values()), BUILD_MEDIAN_SECONDS),
        (f"build, cold, worst ({slowest}, {nodes[slowest]} nodes)", cold[slowest], BUILD_WORST_SECONDS),
        ("build, cached, median", statistics.median(cached.values()), CACHED_SECONDS),
        ("build, cached, worst", max(cached.values()), CACHED_SECONDS),
    ):
        verdict = "met" if measured <= wanted else "NOT MET"
        lines.append(f"{subject}: {1000 * measured:.1f} ms, at most {1000 * wanted:.0f} ms: {verdict}")
    return lines


def _interpreter(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        ratio = _ratio(row, "interpreter_step_ms", "torch_loop_step_ms")
        if ratio is not None:
            verdict = "met" if ratio <= MAX_INTERPRETER_OVERHEAD else "NOT MET"
            lines.append(
                f"interpreter against a hand-written torch loop, {row['cell']}, H {row['H']}, step: {ratio:.2f} of its "
                f"time, at most {MAX_INTERPRETER_OVERHEAD}: {verdict}"
            )
    return lines


def _ratio(row: Row, numerator: str, denominator: str) -> float | None:
    if numerator not in row or denominator not in row:
        return None
    return _number(row, numerator) / _number(row, denominator)


def _number(row: Row, column: str) -> float:
    return cast(float, row[column])
