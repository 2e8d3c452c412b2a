"""Fits the model of `archsearch.studies.synthetic_curves` to real learning curves."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TAUS = np.exp(np.linspace(np.log(0.01), np.log(2.0), 50))
"""In whole trainings; beyond the last, a curve that rises evenly could as well tend to anything."""


def fit_curve(steps: NDArray[np.int64], best: NDArray[np.float64], floor: float) -> tuple[float, float]:
    """Returns top and tau of `floor + (top - floor) t / (t + tau)` with the least squares, top at most 1."""
    fits = []
    for tau in TAUS * steps[-1]:
        rise = steps / (steps + tau)
        scale = min(float(rise @ (best - floor) / (rise @ rise)), 1 - floor)
        fits.append((float(((floor + scale * rise - best) ** 2).sum()), floor + scale, float(tau)))
    _, top, tau = min(fits)
    return top, tau


def fit_task(frame: pd.DataFrame, task: str) -> tuple[str, ...]:
    """Returns the numbers of a task: spreads by the method of moments on cells × settings, the seeds' within pairs."""
    columns = ["init_scale", "learning_rate", "max_gradient_norm", "num_layers", "max_parameters"]
    own = frame[(frame["task"] == task) & (frame["status"] == "ok")]
    floor = float(own["accuracy"].quantile(0.02))
    rows = []
    for key, curve in own.groupby(["cell", *columns, "replicate"]):
        curve = curve.sort_values("step")
        best = np.maximum.accumulate(curve["accuracy"].to_numpy())
        if len(best) > 3:
            top, tau = fit_curve(curve["step"].to_numpy(), best, floor)
            rows.append((key[0], " ".join(map(str, key[1:-1])), key[-1], best[-1], top, np.log(tau)))
    fits = pd.DataFrame(rows, columns=["cell", "setting", "replicate", "final", "top", "log_tau"])
    first = fits[fits["replicate"] == 0]
    top_cell, top_setting, top_pair = _spreads(first, "top")
    _, tau_setting, tau_pair = _spreads(first, "log_tau")
    within = fits.groupby(["cell", "setting"])["final"].std(ddof=1).dropna()
    seed = float(np.sqrt((within**2).mean())) if len(within) else float("nan")
    numbers = (floor, float(first["top"].mean()), top_cell, top_setting, top_pair, seed)
    tau = float(np.exp(first["log_tau"].median()))
    return (*(f"{number:.3f}" for number in numbers), f"{tau:.0f}", f"{tau_setting:.2f}", f"{tau_pair:.2f}")


def _spreads(first: pd.DataFrame, column: str) -> tuple[float, float, float]:
    """Returns the standard deviations of cells, of settings and of the rest in a two-way table."""
    values = first.pivot_table(index="cell", columns="setting", values=column).dropna(axis=1).to_numpy()
    num_cells, num_settings = values.shape
    rest = values - values.mean(0) - values.mean(1)[:, None] + values.mean()
    variance = float((rest**2).sum() / max((num_cells - 1) * (num_settings - 1), 1))
    cells = max(float(values.mean(1).var(ddof=1)) - variance / num_settings, 0.0)
    settings = max(float(values.mean(0).var(ddof=1)) - variance / num_cells, 0.0)
    return cells**0.5, settings**0.5, variance**0.5
