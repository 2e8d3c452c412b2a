"""Where a fault is injected: a folder of its own, marked processes, and a look at what is left afterwards."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from shared_faults import MARK, await_no_process, marked_processes

from faults import sabotage
from faults.promises import BrokenPromiseError, ImpossibleHereError, expect
from faults.sitting import Sitting
from faults.tables import difference, journal_problem, kept_keys

SECONDS_TO_END = 20.0
"""What processes get to end after their owner."""

TESTS = Path(__file__).parents[1]
SMALL_SEARCH = (
    *("experiment=smoke", "task=[xml]", "budget.candidates=8", "lookahead=4", "gate=0.9", "screen.accuracy=0.95"),
    *("search.max_steps=2", "screen.search.max_steps=2", "search.space.max_parameters=[2000]"),
    *("task.xml.validation_size=700", "screen.task.memorization.validation_problems=20"),
)
"""Of the command line; most rows add where trials are computed."""

WATCHED = ("workers=0", "time_limit_seconds=3600")
TRAINED = (*SMALL_SEARCH, "gate=0", "screen.accuracy=0", "search.max_steps=20")
SEARCHES = {
    "command": (SMALL_SEARCH, True, ("budget.candidates=8",)),
    "extended": (SMALL_SEARCH, True, ("budget.candidates=14",)),
    "trained": (TRAINED, False, ("budget.candidates=4",)),
}
"""Uninterrupted runs of the command line that others are compared with: settings, whether simulated, more settings."""


class Suite:
    """What the rows of one sitting share: compiled cells, and runs that nothing happened to."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def reference(self, name: str, run: Callable[["Place"], object]) -> Path:
        """Returns the folder of an uninterrupted run, which is made when it is first asked for."""
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            path = self.folder / name / "run"
            if not path.exists():
                place = Place(self, self.folder / name)
                try:
                    run(place)
                except BrokenPromiseError:
                    shutil.rmtree(path, ignore_errors=True)
                    raise
                finally:
                    place.end_processes()
            return path

    def close(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Place:
    """A folder and the processes of one row.

    Args:
        suite: What the rows share.
        folder: Where to work; None for a new folder, which `close` removes.

    Attributes:
        run: The folder of the row's run.
        damaged: Journals that the row has damaged and that need not be whole at its end.
    """

    def __init__(self, suite: Suite, folder: Path | None = None) -> None:
        self._suite = suite
        self.folder = folder or Path(tempfile.mkdtemp(prefix="fault-"))
        self.folder.mkdir(exist_ok=True)
        self.run = self.folder / "run"
        self.damaged: set[Path] = set()
        self._mark = uuid.uuid4().hex
        self._sittings: list[Sitting] = []
        self._undo: list[Callable[[], object]] = []
        self.bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    def start(self, words: Sequence[str], **environment: str) -> Sitting:
        """Starts a process of the product, marked as ours."""
        output = self.folder / f"output-{len(self._sittings)}.txt"
        sitting = Sitting(words, output, {**self._environment(), **environment}, self.folder)
        self._sittings.append(sitting)
        return sitting

    def simulate(self, **options: Any) -> Sitting:
        """Starts or continues a simulated search in the row's run.

        Args:
            **options: `plan` (`small`, `whole`), `changes` of it, `faults` by cell, `seconds` of a trial, `workers`,
                `time_limit`, `memory_limit`, `grace`, `seconds_between_views`, `run`.
        """
        usual = {
            "run": str(self.run),
            "notes": str(self.folder),
            "plan": "small",
            "changes": {},
            "faults": {},
            "seconds": 0.0,
            "workers": 0,
            "time_limit": 3600.0,
            "memory_limit": None,
            "grace": 20.0,
            "seconds_between_views": 0.0,
        }
        environment = options.pop("environment", {})
        words = [sys.executable, "-m", "faults.simulated_search", json.dumps({**usual, **options})]
        return self.start(words, **environment)

    def command(
        self,
        *words: str,
        simulated: bool = True,
        changes: dict[str, object] | None = None,
        prefix: Sequence[str] = (),
        **order: Any,
    ) -> Sitting:
        """Starts the real command line.

        Args:
            *words: The command and its settings.
            simulated: Whether trials are answered without training.
            changes: What else is to differ, see `faults.command_line`.
            prefix: Words before the command.
            **order: What becomes of trials: `faults`, `seconds`; and `environment`.
        """
        environment = order.pop("environment", {})
        record = {"simulated": simulated, "folder": str(self.folder), **order, **(changes or {})}
        line = [*prefix, sys.executable, "-m", "faults.command_line", *words]
        return self.start(line, **{sabotage.SABOTAGE: json.dumps(record)}, **environment)

    def search(self, *words: str, base: Sequence[str] = SMALL_SEARCH, **order: Any) -> Sitting:
        """Starts a search by the command line in the row's run."""
        return self.command("search", *base, f"results_dir={self.folder}", "name=run", *WATCHED, *words, **order)

    def resume(self, *words: str, **order: Any) -> Sitting:
        """Continues the row's run by the command line."""
        return self.command("resume", f"run={self.run}", *words, **order)

    def await_kept(self, sitting: Sitting, number: int) -> None:
        """Waits until the row's run has kept so many trials."""
        sitting.await_that(lambda: len(kept_keys(self.run)) >= number, f"{number} trials were kept")

    def simulate_until(self, number: int, **options: Any) -> Sitting:
        """Starts a simulated search and waits until it has kept so many trials; see `simulate`."""
        sitting = self.simulate(**options)
        self.await_kept(sitting, number)
        return sitting

    def stop_half_way(self, *words: str, kept: int = 12, **order: Any) -> None:
        """Searches by the command line until some trials are kept, and stops in good order."""
        sitting = self.search(*words, **{"seconds": 0.1, **order})
        self.await_kept(sitting, kept)
        sitting.send(signal.SIGTERM)
        sitting.ends_with(130)

    def simulate_to_the_same_end(self) -> None:
        """Continues a simulated search, and compares; see `expect_same_end`."""
        self.simulate().ends_with(0)
        self.expect_same_end()

    def resume_to_the_same_end(self, *words: str) -> None:
        """Continues a search of the command line, and compares; see `expect_same_end`."""
        self.resume(*words).ends_with(0)
        self.expect_same_end("command")

    def whole(self, name: str = "small", **changes: object) -> Path:
        """Returns a run to compare with: of the simulation (`small`, `whole`), or one of `SEARCHES`."""
        if name in SEARCHES:
            return self._suite.reference(name, lambda place: _run_command(place, name))
        called = "-".join([name, *(f"{key}{value}" for key, value in changes.items())])
        return self._suite.reference(
            called, lambda place: place.simulate(plan=name, changes=changes, time_limit=None).ends_with(0)
        )

    def expect_same_end(self, name: str = "small", **changes: object) -> None:
        """Compares the row's run with one that nothing happened to, see `whole`.

        Raises:
            BrokenPromiseError: They differ in more than clocks.
        """
        differs = difference(self.run, self.whole(name, **changes))
        expect(not differs, f"these differ from an uninterrupted run: {differs}")

    def at_end(self, undo: Callable[[], object]) -> None:
        """Registers what must be undone whatever happens, the last first."""
        self._undo.append(undo)

    @contextmanager
    def held(self, sitting: Sitting) -> Iterator[None]:
        """Lets no trial end inside, and enters with one in flight."""
        hold = self.folder / sabotage.HOLD
        hold.touch()
        try:
            sitting.await_that(lambda: len(set(self.begun)) > len(kept_keys(self.run)), "a trial was held")
            yield
        finally:
            hold.unlink()

    @property
    def begun(self) -> list[str]:
        """Keys of the trials begun, as often as they were."""
        path = self.folder / "runs.txt"
        return path.read_text().split() if path.exists() else []

    @property
    def num_repeated(self) -> int:
        """Trials begun more than once, as often as they were begun again."""
        begun = self.begun
        return len(begun) - len(set(begun))

    def processes(self) -> dict[int, str]:
        """Returns the running processes of this row, with their command lines."""
        return marked_processes(self._mark)

    def await_no_processes(self) -> None:
        """Waits until none of the row's processes is left, as long as Ray gives its own.

        Raises:
            BrokenPromiseError: One stays.
        """
        left = await_no_process(self._mark)
        expect(not left, f"processes were left behind: {left}")

    def check_aftermath(self) -> None:
        """Looks at what is left when a row has ended.

        Raises:
            BrokenPromiseError: A process of ours, a dead bystander, or a journal that is not whole.
        """
        left = await_no_process(self._mark, SECONDS_TO_END)
        expect(not left, f"processes were left behind: {left}")
        expect(self.bystander.poll() is None, "a process that is not ours was ended")
        journals = sorted(set(self.folder.rglob("archsearch.db")) - self.damaged)
        problems = [problem for journal in journals if (problem := journal_problem(journal))]
        expect(not problems, f"a journal is not whole: {problems}")
        for sitting in self._sittings:
            expect("Traceback" not in sitting.text, f"a traceback: {sitting.text[-800:]}")

    def end_processes(self) -> None:
        """Ends what is left of the row's processes and undoes what was done to the machine."""
        for undo in reversed(self._undo):
            with suppress(OSError, ImpossibleHereError):  # what was removed with its folder, for instance
                undo()
        for sitting in self._sittings:
            sitting.kill()
        for pid in self.processes():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.bystander.kill()
        self.bystander.communicate()

    def close(self) -> None:
        """Leaves nothing behind."""
        self.end_processes()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            MARK: self._mark,
            "PYTHONPATH": str(TESTS),
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self.folder),
            "ARCHSEARCH_CACHE": str(self._suite.folder / "compiled"),
        }


def _run_command(place: Place, name: str) -> None:
    words, simulated, more = SEARCHES[name]
    place.search(*more, base=words, simulated=simulated).ends_with(0)
