"""`archsearch watch`: a search that runs elsewhere, seen from its journal."""

import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from archsearch.cli.composition import compose_settings
from archsearch.cli.run_configuration import from_yaml
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.run.folder import RunFolder
from archsearch.run.live_table import LiveState, live_lines, live_picture
from archsearch.run.watching import Watcher

PLAIN_WIDTH = 160
SHARE_OF_TIME_FOR_READING = 0.1
NOT_BEGUN = "The search has not begun: its journal is not there yet."


def run(words: list[str]) -> int:
    """Shows the search until it ends, or once."""
    root = Section(compose_settings("watch", parse_words("watch", words)).values)
    folder = RunFolder.open_begun(Path(root.text("run")))
    pause = root.number("seconds", 0.0)
    watcher = _watcher(folder)
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH, markup=False)  # a file or a pipe has no edge to wrap at
    if root.flag("once"):
        console.print(_picture(watcher.look()))
    elif console.is_terminal:
        _watch_live(watcher, folder, console, pause)
    else:
        _watch_plainly(watcher, folder, pause)
    print(_ending(watcher, folder))
    return 0


def _watcher(folder: RunFolder) -> Watcher:
    values = Section(from_yaml(folder.read_config(), folder.config_path))
    workers = values.values.get("workers")
    return Watcher(
        folder,
        values.section("budget").integer("candidates", 1),
        max(1, workers) if isinstance(workers, int) and not isinstance(workers, bool) else None,
    )


def _watch(watcher: Watcher, folder: RunFolder, pause: float, show: Callable[[LiveState | None], None]) -> None:
    """Looks and shows until the search has ended or nobody works on it."""
    while True:
        is_driven = folder.driver is not None  # asked first: what its last moment wrote is then seen
        state = watcher.look()
        show(state)
        if watcher.has_ended or (state is not None and not is_driven):
            return
        # a long journal takes long to read: the pause grows with it
        time.sleep(max(pause, watcher.read_seconds / SHARE_OF_TIME_FOR_READING))


def _watch_live(watcher: Watcher, folder: RunFolder, console: Console, pause: float) -> None:
    with Live(console=console, auto_refresh=False) as live:
        _watch(watcher, folder, pause, lambda state: live.update(_picture(state), refresh=True))


def _watch_plainly(watcher: Watcher, folder: RunFolder, pause: float) -> None:
    """Prints a line whenever there is something new."""
    printed = [""]

    def show(state: LiveState | None) -> None:
        line = NOT_BEGUN if state is None else live_lines(state)
        if line != printed[-1]:
            print(line, flush=True)
            printed.append(line)

    _watch(watcher, folder, pause, show)


def _picture(state: LiveState | None) -> RenderableType:
    return NOT_BEGUN if state is None else live_picture(state)


def _ending(watcher: Watcher, folder: RunFolder) -> str:
    if watcher.has_ended:
        return "The search has ended."
    if folder.driver is not None:
        return f"The search is at work (process {folder.driver})."
    from archsearch.cli.running import resume_command  # loads torch, which nobody needs who only watches

    return f"No process works on this run. Go on with:\n  {resume_command(folder)}"
