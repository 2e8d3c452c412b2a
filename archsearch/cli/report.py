"""`archsearch report`: a run as one static page."""

import os
from pathlib import Path

from archsearch.cli.composition import compose_settings
from archsearch.cli.new_files import check_writable
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.errors import ConfigError
from archsearch.report.page import write_report
from archsearch.run.reading import load_run


def run(words: list[str]) -> int:
    """Writes the page and says where it is."""
    root = Section(compose_settings("report", parse_words("report", words)).values)
    out = Path(root.text("out")) if "out" in root else None
    if out is not None:
        check_writable(out)
    loaded = load_run(root.text("run"), curves=False)  # the page reads those that it draws
    if out is None and not os.access(root.text("run"), os.W_OK):
        raise ConfigError(f"{root.text('run')}: no page can be written into this folder. Name another file: out=….")
    path = write_report(loaded, out)
    print(f"Report: {path} ({path.stat().st_size / 1e6:.1f} MB). Any browser opens it; nothing else is needed.")
    return 0
