"""Starts a private Ray or joins one, and sees to it that all its machines can do the same work."""

import _thread
import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from archsearch.errors import ArchSearchError, ConfigError, SearchStateError

START_SECONDS = 180.0
CONNECT_SECONDS = 10.0
SECONDS_BETWEEN_LOOKS = 2.0


def start_private(ray: Any, num_workers: int, folder: Path, num_gpus: int | None = None) -> None:
    """Starts a Ray of our own, which ends with this process.

    Args:
        ray: The module.
        num_workers: Trials at once.
        folder: For its files.
        num_gpus: That it may give to workers; None for those that it finds.

    Raises:
        SearchStateError: It does not start.
    """
    _init(
        ray,
        "Ray did not start",
        "Look at the memory, the disk and the sockets allowed here, or use workers=0, which needs no Ray.",
        address="local",
        num_cpus=num_workers,
        num_gpus=num_gpus,
        include_dashboard=False,
        object_store_memory=256 * 1024 * 1024,
        _temp_dir=str(folder),
    )


def join(ray: Any, address: str) -> None:
    """Connects to a Ray that others started and will end.

    Raises:
        ConfigError: The address is of a kind that cannot be used.
        SearchStateError: There is none, or it does not answer.
    """
    if "://" in address:
        raise ConfigError(
            f"ray.address: expected auto or HOST:PORT, got {address!r}. Start the search on a machine of the cluster: "
            f"results are kept where it runs."
        )
    trouble = f"no Ray cluster could be joined at {address!r}"
    if address != "auto":
        _look_for(address, trouble)
    _init(
        ray,
        trouble,
        "A cluster that asks for Ray's token wants RAY_AUTH_MODE=token in the environment besides the token; all "
        "machines need the same versions of Ray and Python.",
        address=address,
    )


def _look_for(address: str, trouble: str) -> None:
    """Checks that somebody listens at an address: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"ray.address: expected auto or HOST:PORT, got {address!r}.")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise SearchStateError(
            f"{trouble} ({error}). `ray start --head` on its first machine says the address; look at the firewall."
        ) from error


def _init(ray: Any, trouble: str, advice: str, **arguments: Any) -> None:
    """Calls `ray.init`, or gives up after `START_SECONDS`: it may hang where it is not allowed to open sockets."""
    is_late = threading.Event()

    def give_up() -> None:
        is_late.set()
        _thread.interrupt_main()

    watchdog = threading.Timer(START_SECONDS, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        with _leaving_sigterm(ray):
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **arguments)
    except KeyboardInterrupt:
        if not is_late.is_set():
            raise
        raise SearchStateError(f"{trouble} within {START_SECONDS:.0f} s. {advice}") from None
    except Exception as error:  # Ray raises even that class itself, where a process of its own does not start in time
        raise SearchStateError(f"{trouble} ({' '.join(str(error).split())[:500]}). {advice}") from error
    finally:
        watchdog.cancel()


@contextmanager
def _leaving_sigterm(ray: Any) -> Iterator[None]:
    """Keeps Ray from taking SIGTERM for itself: for the seconds of its start it would end us with 15 and no word."""
    utils = ray._private.utils
    take = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda _handler: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = take


def own_versions() -> dict[str, str]:
    """Returns the versions that must be the same on all machines."""
    return _make_versions()()


def _make_versions() -> Callable[[], dict[str, str]]:
    def versions() -> dict[str, str]:
        """Is sent as code, not by name: the machine it runs on may lack archsearch."""
        import importlib.metadata
        import platform

        found = {"python": ".".join(platform.python_version_tuple()[:2])}
        for name in ("torch", "archsearch"):
            try:
                found[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[name] = "missing"
        return found

    return versions


def name_of(node: Mapping[str, Any]) -> str:
    """Returns what people call a machine of the cluster."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def check_nodes(
    ray: Any,
    describe: Callable[..., dict[str, str]],
    arguments: tuple[Any, ...],
    own: Mapping[str, str],
    nodes: Sequence[Mapping[str, Any]],
    gpu_share: float = 0.0,
) -> None:
    """Compares the machines that will compute with this one before work starts.

    Args:
        ray: The module.
        describe: Returns what the evaluator says of the place where it is called.
        arguments: Of `describe`.
        own: What it returns here.
        nodes: The machines; one without a processor or a GPU that is needed gets no trials and need not be asked.
        gpu_share: Of a GPU, that is needed to call it.

    Raises:
        SearchStateError: Versions, engine or the tasks' data differ on a machine, or it does not answer.
    """
    versions = own_versions()
    checks: tuple[tuple[Any, tuple[Any, ...], Mapping[str, str]], ...] = (
        (_make_versions(), (), versions),
        (describe, arguments, own),
    )
    for function, values, expected in checks:
        remote = ray.remote(num_cpus=0, num_gpus=gpu_share, max_retries=0)(function)
        asked = [(node, remote.options(scheduling_strategy=_at(ray, node)).remote(*values)) for node in nodes]
        for node, reference in asked:
            difference = _difference(ray, reference, expected, gpu_share)
            if difference:
                raise SearchStateError(
                    f"Ray node {name_of(node)}: {difference}. All machines must compute alike: give the node what is "
                    f"missing, or take it out of the cluster."
                )


def _difference(ray: Any, reference: Any, expected: Mapping[str, str], gpu_share: float) -> str:
    exceptions = ray.exceptions
    try:
        return differences(ray.get(reference, timeout=START_SECONDS), expected)
    except exceptions.RayTaskError as error:
        cause = error.cause
        return str(cause) if isinstance(cause, ArchSearchError) else f"nothing can be computed there ({_last(error)})"
    except (exceptions.NodeDiedError, exceptions.TaskUnschedulableError):
        return ""  # it has gone; should it come back, it is compared before its first trial
    except exceptions.GetTimeoutError:
        taken = "its GPUs are taken by other jobs, or it" if gpu_share else "it"
        return f"no answer within {START_SECONDS:.0f} s: {taken} is cut off"
    except exceptions.RayError as error:
        return f"it does not answer ({_last(error)})"


def _last(error: Exception) -> str:
    """Returns the last line of what Ray says, which after a traceback is the cause."""
    return str(error).strip().splitlines()[-1][:300]


def differences(found: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """Returns in words what is not as it should be, empty if nothing."""
    pairs = [(name, found.get(name, "missing"), value) for name, value in expected.items()]
    return ", ".join(f"{name} is {there}, expected {value} as here" for name, there, value in pairs if there != value)


def _at(ray: Any, node: Mapping[str, Any]) -> Any:
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)


@contextmanager
def noted_place(ray: Any, note: str) -> Iterator[None]:
    """Notes on which machine a worker computes, where the search can read it."""
    table = ray.experimental.internal_kv
    table._internal_kv_put(note, ray.get_runtime_context().get_node_id(), overwrite=True)
    try:
        yield
    finally:
        table._internal_kv_del(note)


class Places:
    """Knows where trials compute, by a note that the worker leaves in the cluster's own table.

    Ray declares a machine dead that has been silent for half a minute, but waits seven for an answer of its workers if
    their connections stay open, as when a network is cut.

    Args:
        ray: The module.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._notes: dict[Any, str] = {}  # of tasks of which it is not known whether they have begun
        self._places: dict[Any, str] = {}
        self._due = 0.0

    def new_note(self) -> str:
        """Returns the name of a note that nobody has used."""
        return f"archsearch-{uuid.uuid4().hex}"

    def expect(self, reference: Any, note: str) -> None:
        """Remembers under which name the worker of a task will leave its note."""
        self._notes[reference] = note

    def forget(self, reference: Any) -> None:
        """Drops a task that is over."""
        self._notes.pop(reference, None)
        self._places.pop(reference, None)

    def newly_begun(self, *, at_once: bool = False) -> list[Any]:
        """Returns the tasks that were found to have begun since the last call; it looks now and then, or at once."""
        if time.monotonic() < self._due and not at_once:
            return []
        self._due = time.monotonic() + SECONDS_BETWEEN_LOOKS
        read = self._ray.experimental.internal_kv._internal_kv_get
        begun = {reference: place.decode() for reference, note in self._notes.items() if (place := read(note))}
        self._places |= begun
        self._notes = {reference: note for reference, note in self._notes.items() if reference not in begun}
        return list(begun)

    def on(self, dead: Mapping[str, str], *, or_nowhere: bool) -> list[tuple[Any, str]]:
        """Returns the tasks on some machines, each with the machine's name.

        Args:
            dead: Names of the machines, by their ids.
            or_nowhere: Whether those that no machine has begun are among them, without a name: when a machine has just
                died, Ray may have asked it to take them, and would wait for its answer.
        """
        found = [(reference, dead[place]) for reference, place in self._places.items() if place in dead]
        return found + [(reference, "") for reference in self._notes if or_nowhere]


class Machines:
    """The machines of a joined cluster: how many trials they can run at once, and which of them may not.

    Args:
        ray: The module.
        most: Units at once; None for as many as there are processors.
        workers_per_gpu: Workers that share a GPU; None where they need none.
    """

    def __init__(self, ray: Any, most: int | None, workers_per_gpu: int | None = None) -> None:
        self.refused: dict[str, str] = {}
        self._ray = ray
        self._most = most
        self._workers_per_gpu = workers_per_gpu
        self._num_slots = 0
        self._due = self._losses_due = 0.0
        self._dead_before = frozenset(node["NodeID"] for node in ray.nodes() if not node["Alive"])  # Ray lists them on
        self._lost: dict[str, str] = {}

    @property
    def num_slots(self) -> int:
        """Processors of the machines that are there now, or workers for whom there is a GPU, `most` at the most."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + SECONDS_BETWEEN_LOOKS
            usable = [node for node in self._ray.nodes() if node["Alive"] and node["NodeID"] not in self.refused]
            self._num_slots = sum(self._slots_of(node["Resources"]) for node in usable)
        return self._num_slots if self._most is None else min(self._most, self._num_slots)

    def usable(self) -> list[Mapping[str, Any]]:
        """Returns the machines that are there now and have room for a worker."""
        return [node for node in self._ray.nodes() if node["Alive"] and self._slots_of(node["Resources"])]

    def look_for_losses(self) -> tuple[Mapping[str, str], bool]:
        """Returns the names of the machines that died since we joined, by their ids, and whether one of them is news.

        No later task is offered to them. It does not always look.
        """
        if time.monotonic() < self._losses_due:
            return self._lost, False
        self._losses_due = time.monotonic() + SECONDS_BETWEEN_LOOKS
        num_before = len(self._lost)
        dead = {node["NodeID"]: name_of(node) for node in self._ray.nodes() if not node["Alive"]}
        self._lost |= {node_id: name for node_id, name in dead.items() if node_id not in self._dead_before}
        return self._lost, len(self._lost) > num_before

    def _slots_of(self, resources: Mapping[str, float]) -> int:
        processors = int(resources.get("CPU", 0))
        if self._workers_per_gpu is None:
            return processors
        return min(processors, int(resources.get("GPU", 0)) * self._workers_per_gpu)

    def refuse(self, node_id: str, reason: str) -> str:
        """Keeps a machine out from now on and returns why, in words; an empty text if that was said before.

        Raises:
            SearchStateError: None is left.
        """
        if node_id in self.refused:  # it had been given several trials
            return ""
        names = {node["NodeID"]: name_of(node) for node in self._ray.nodes()}
        self.refused[node_id] = reason
        self._due = 0.0
        text = f"Ray node {names.get(node_id, node_id)}: {reason}. It gets no trials."
        if not self.num_slots:
            raise SearchStateError(f"{text} No other machine is left.")
        return text

    def options(self) -> dict[str, Any]:
        """Returns what keeps a trial away from the refused machines, and from those that are lost."""
        shunned = sorted({*self._lost, *self.refused})
        return {"label_selector": {"ray.io/node-id": f"!in({','.join(shunned)})"}} if shunned else {}
