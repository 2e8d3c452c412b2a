"""`archsearch leaderboard`: the best cells of a run."""

from archsearch.cli.composition import compose_settings
from archsearch.cli.section import Section
from archsearch.cli.tables import print_leaderboard
from archsearch.cli.words import parse_words
from archsearch.run.reading import load_run


def run(words: list[str]) -> int:
    """Prints the table and where the CSV is."""
    root = Section(compose_settings("leaderboard", parse_words("leaderboard", words)).values)
    top = root.integer("top", 1)
    print_leaderboard(load_run(root.text("run")), top)
    return 0
