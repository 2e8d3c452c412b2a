"""`archsearch watch`: a search that runs elsewhere, seen from its journal."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from archsearch.cli.composition import compose_settings
from archsearch.cli.run_configuration import from_yaml
from archsearch.cli.section import Section
from archsearch.cli.words import parse_words
from archsearch.run.display import SECONDS_BETWEEN_LINES
from archsearch.run.folder import RunFolder
from archsearch.run.live_table import LiveState, live_lines, live_picture
from archsearch.run.tensorboard_log import TensorBoardLog
from archsearch.run.watching import Watcher

PLAIN_WIDTH = 160
SECONDS_ON_A_TERMINAL = 2.0
SHARE_OF_TIME_FOR_READING = 0.1
NOT_BEGUN = "The search has not begun: its journal is not there yet."


def run(words: list[str]) -> int:
    """Shows the search until it ends, or once."""
    root = Section(compose_settings("watch", parse_words("watch", words)).values)
    folder = RunFolder.open_begun(Path(root.text("run")))
    watcher = _watcher(folder)
    log = TensorBoardLog(Path(root.text("tensorboard"))) if "tensorboard" in root else None
    console = Console(markup=False)
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH, markup=False)  # a file or a pipe has no edge to wrap at
    usual = SECONDS_ON_A_TERMINAL if console.is_terminal else SECONDS_BETWEEN_LINES
    pause = root.number("seconds", 0.0) if "seconds" in root else usual
    look = partial(_look, watcher, log)
    try:
        if root.flag("once"):
            console.print(_picture(look()))
        elif console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                _watch(watcher, folder, pause, look, lambda state: live.update(_picture(state), refresh=True))
        else:
            _watch(watcher, folder, pause, look, _PrintsWhatIsNew())
    finally:
        if log is not None:
            log.close()
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


def _look(watcher: Watcher, log: TensorBoardLog | None) -> LiveState | None:
    """Looks, and brings the curves up to date."""
    state = watcher.look()
    if log is not None and watcher.run is not None:
        log.write(watcher.run)
    return state


def _watch(
    watcher: Watcher,
    folder: RunFolder,
    pause: float,
    look: Callable[[], LiveState | None],
    show: Callable[[LiveState | None], None],
) -> None:
    """Looks and shows until the search has ended or nobody works on it."""
    while True:
        is_driven = folder.driver is not None  # asked first: what its last moment wrote is then seen
        state = look()
        show(state)
        if watcher.has_ended or (state is not None and not is_driven):
            return
        # a long journal takes long to read: the pause grows with it
        time.sleep(max(pause, watcher.read_seconds / SHARE_OF_TIME_FOR_READING))


class _PrintsWhatIsNew:
    """Prints the state in one line, unless it is that of the last time."""

    def __init__(self) -> None:
        self._printed = ""

    def __call__(self, state: LiveState | None) -> None:
        line = NOT_BEGUN if state is None else live_lines(state)
        if line != self._printed:
            print(line, flush=True)
            self._printed = line


def _picture(state: LiveState | None) -> RenderableType:
    return NOT_BEGUN if state is None else live_picture(state)


def _ending(watcher: Watcher, folder: RunFolder) -> str:
    if watcher.has_ended:
        return "The search has ended."
    if folder.driver is not None:
        return f"The search is at work (process {folder.driver})."
    from archsearch.cli.running import resume_command  # loads torch, which nobody needs who only watches

    return f"No process works on this run. Go on with:\n  {resume_command(folder)}"
