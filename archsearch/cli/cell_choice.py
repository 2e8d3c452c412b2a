"""Which cell a command is about: `cell=`, alone or in a run, or `run=` with `rank=`."""

from dataclasses import dataclass
from pathlib import Path

from archsearch.cli.section import Section
from archsearch.errors import ConfigError
from archsearch.graph.bias_inits import split_reference
from archsearch.graph.catalog import cell_name, load_cell
from archsearch.graph.cell_graph import CellGraph
from archsearch.run.reading import Run, load_run
from archsearch.run.spreadsheets import from_text

ID_PREFIX = "c_"


@dataclass(frozen=True)
class ChosenCell:
    """A cell and where it comes from.

    Attributes:
        name: A zoo name, the stem of a file, a founder's name in the run, or the cell's id.
        graph: As it was written; canonical if it comes from a run.
        run: The run that was named, if any.
    """

    name: str
    graph: CellGraph
    run: Run | None


def choose_cell(settings: Section) -> ChosenCell:
    """Returns the cell that `cell`, `run` and `rank` name; with a run, its own names come first.

    Raises:
        ConfigError: They name none, or more than one.
        SearchStateError: `run` is no folder of a run.
    """
    run = load_run(settings.text("run")) if "run" in settings else None
    if "rank" in settings:
        if run is None or "cell" in settings:
            raise ConfigError("rank: expected with run=… and without cell=…. It is a place in a run's leaderboard.")
        return _of_run(run, run.ranked(settings.integer("rank", 1)))
    if "cell" not in settings:
        raise ConfigError("cell: expected a zoo name, a file or, with run=…, the id of a cell or rank=1; got none.")
    reference = settings.text("cell")
    if run is not None and (digest := _digest_of_name(run, reference)):
        return _of_run(run, digest)
    if not reference.startswith(ID_PREFIX) or _is_file(reference):
        return ChosenCell(cell_name(reference), _load(reference, run), run)
    if run is None:
        raise ConfigError(f"cell {reference}: an id is known in its run only. Add run=RESULTS_DIR/NAME.")
    return _of_run(run, reference)


def _is_file(reference: str) -> bool:
    """Tells whether there is a file of this name, perhaps followed by first values of biases."""
    try:
        return Path(reference).exists() or Path(split_reference(reference)[0]).exists()
    except OSError:  # too long for a name
        return False


def _digest_of_name(run: Run, name: str) -> str:
    """Returns the id of the run's cell of this name, or nothing.

    Raises:
        ConfigError: Several cells of the run have it.
    """
    # a name out of the leaderboard's file may have an apostrophe that keeps it from being a formula
    names = {name, from_text(name)}
    digests = [record.digest for record in run.knowledge.cells.values() if record.name in names and record.name]
    if len(digests) > 1:
        raise ConfigError(
            f"cell {name!a}: expected one cell of this name in {run.path}, got {len(digests)}. "
            f"Write the id of one: {', '.join(digests)}."
        )
    return digests[0] if digests else ""


def _load(reference: str, run: Run | None) -> CellGraph:
    try:
        return load_cell(reference)
    except ConfigError as error:
        if run is None:
            raise
        names = ", ".join(sorted({record.name for record in run.knowledge.cells.values() if record.name}))
        raise ConfigError(f"{error} Names in {run.path}: {names}; its other cells: rank=…, or the id.") from error


def _of_run(run: Run, digest: str) -> ChosenCell:
    record = run.knowledge.cells.get(digest)
    return ChosenCell((record.name if record else "") or digest, run.cell(digest), run)
