"""What a trial costs the driver, and what it holds in memory, along a run at scale, as a picture.

    python benchmarks/scale_plot.py SAMPLES.csv PICTURE.svg      a PNG if it is called so

`benchmarks/scale.py FOLDER --plot PICTURE` draws it after the run; the samples are in FOLDER.csv.
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PARTS = 5
COST, MEMORY = "#0072b2", "#d55e00"  # told apart by everybody (Okabe & Ito 2008)
MAX_COST, MAX_MEMORY = 1.0, 500.0  # milliseconds and megabytes: what was promised


def main() -> None:
    """Draws the samples of a run that has ended."""
    source, target = map(Path, sys.argv[1:])
    with source.open(encoding="utf-8", newline="") as file:
        samples = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    plot_scale(samples, target)


def fifths(samples: Sequence[Mapping[str, float]]) -> list[Sequence[Mapping[str, float]]]:
    """Returns the samples in five parts of one length; the few that are left over are in none."""
    length = len(samples) // PARTS
    return [samples[part * length : (part + 1) * length] for part in range(PARTS)] if length else [samples]


def mean_cost(samples: Sequence[Mapping[str, float]]) -> float:
    """Returns the driver's milliseconds of CPU per trial."""
    return sum(sample["driver_ms_per_trial"] for sample in samples) / len(samples)


def plot_scale(samples: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draws cost and memory against the number of trials, each below what was promised."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    FigureCanvasAgg(figure)  # no display, and none of pyplot's global state
    above, below = figure.subplots(2, 1, sharex=True)
    trials = [sample["trials"] / 1000 for sample in samples]
    above.plot(trials, [sample["driver_ms_per_trial"] for sample in samples], color=COST, linewidth=0.8, alpha=0.6)
    for part in fifths(samples):
        span = (part[0]["trials"] / 1000, part[-1]["trials"] / 1000)
        above.plot(span, [mean_cost(part)] * 2, color=COST, linewidth=2.5)
        above.annotate(
            f"{mean_cost(part):.2f}",
            (sum(span) / 2, mean_cost(part)),
            (0, -20),
            textcoords="offset points",
            ha="center",
        )
    above.axhline(MAX_COST, color="0.4", linewidth=0.8, linestyle="--")
    above.set(ylabel="driver, ms of CPU per trial", ylim=(0, max(1.1, *(s["driver_ms_per_trial"] for s in samples))))
    below.plot(trials, [sample["memory_mb"] for sample in samples], color=MEMORY, linewidth=1.5)
    below.axhline(MAX_MEMORY, color="0.4", linewidth=0.8, linestyle="--")
    below.set(xlabel="thousands of trials", ylabel="driver, MB of memory", ylim=(0, MAX_MEMORY * 1.1))
    for axes, promise in ((above, "at most 1 ms"), (below, "at most 500 MB")):
        axes.annotate(
            promise,
            (1, axes.lines[-1].get_ydata()[0]),
            (-4, 3),
            ha="right",
            color="0.4",
            fontsize="small",
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
        )
        axes.grid(alpha=0.2)
    figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
