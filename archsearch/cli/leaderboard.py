"""`archsearch leaderboard`: the best cells of a run."""

from archsearch.cli.composition import compose_settings
from archsearch.cli.section import Section
from archsearch.cli.tables import print_leaderboard
from archsearch.cli.words import parse_words
from archsearch.run.reading import load_run, restore_views


def run(words: list[str]) -> int:
    """Prints the table and where the CSV is."""
    root = Section(compose_settings("leaderboard", parse_words("leaderboard", words)).values)
    top = root.integer("top", 1)
    run = load_run(root.text("run"), curves=False)
    restore_views(run)
    print_leaderboard(run, top)
    return 0
