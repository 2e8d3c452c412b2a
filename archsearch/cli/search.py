"""`archsearch search`: starts a run."""

from pathlib import Path

from archsearch.cli.composition import compose_settings
from archsearch.cli.configuration_files import own_folder_words
from archsearch.cli.overruled import warn_of_overruled
from archsearch.cli.planning import plan_search
from archsearch.cli.recording import with_recorded
from archsearch.cli.run_configuration import settle, to_yaml
from archsearch.cli.running import run_to_end, warn_of_short_lookahead
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.compiler.engines import choose_engine, fall_back
from archsearch.run.folder import RunFolder

PRINT_CONFIGURATION = "--cfg"


def run(words: list[str]) -> int:
    """Plans a search, makes its folder, says what it will cost, runs it; returns the exit code."""
    typed = parse_words("search", [word for word in words if word != PRINT_CONFIGURATION])
    composed = compose_settings("search", typed)
    values = settle(composed, typed)
    warn_of_overruled(values, typed)
    if PRINT_CONFIGURATION in words:
        print(to_yaml(values), end="")
        return 0
    root = Section(composed.values)
    if "address" not in root.section("ray"):  # a cluster's machines may have GPUs
        values["engine"] = fall_back(values["engine"])
    planned = with_recorded(plan_search(values))
    results_dir = Path(root.text("results_dir"))
    folder = RunFolder.create(results_dir, root.text("name") if "name" in root else None, values["experiment"])
    folder.write_config(to_yaml({**values, "engine": choose_engine(values["engine"])}))
    folder.note_command(["archsearch", "search", *own_folder_words(), *words])
    print(f"Run folder: {folder.path}")
    warn_of_short_lookahead(planned)
    return run_to_end(planned, folder, says_cost=True)
