"""`kill -9` at any moment, and on to the same end."""

import random
import time
from collections import Counter

from faults.place import TRAINED, Place
from faults.promises import BrokenPromiseError, expect, fault
from faults.sitting import Sitting, kill
from faults.tables import difference, kept_keys, torn_views

SEED = 5
CHANGES = {"num_candidates": 80}
"""Enough trials that a search is not over before it was killed a hundred times."""


class _Killer:
    """Kills a search again and again, at moments that are drawn, and keeps account of what is computed again."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.rng = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.kept: set[str] = set()
        self.recomputed: set[str] = set()
        self._num_begun = 0

    def sit(self, num_left: int) -> int:
        """Lets the search go on until its driver is killed; returns the number of kills."""
        sitting = self.place.simulate(plan="whole", changes=CHANGES, seconds=0.01)
        num_kills, at_least = 0, 0
        while num_kills < num_left:
            target = self.rng.choices(["driver", "worker", "both", "starting driver"], [4, 3, 3, 1])[0]
            if target == "starting driver" and num_kills == 0:
                time.sleep(self.rng.uniform(0, 1.0))
            else:
                self._await_trials(sitting, at_least + self.rng.randrange(6))
                time.sleep(self.rng.uniform(0, 0.03))
            workers = sitting.workers() if target in {"worker", "both"} else []
            if target != "worker" or not workers:
                kill(sitting.pid)
            was_killed = [kill(pid) for pid in workers]
            num_kills += 1
            self.killed[target] += 1
            if target != "worker" or not workers:
                sitting.end()
                self._look()
                return num_kills
            # a trial under which three processes are killed is given up: the next one must have begun before
            at_least = 3 if any(was_killed) else 0
        sitting.kill()
        self._look()
        return num_kills

    def _await_trials(self, sitting: Sitting, number: int) -> None:
        wanted = len(self.place.begun) + number
        sitting.await_that(lambda: len(self.place.begun) >= wanted, f"{number} more trials began")

    def _look(self) -> None:
        """Compares with what was kept before, once no process runs."""
        torn = torn_views(self.place.run) if self.place.run.exists() else []
        expect(not torn, f"after a kill these views were not whole: {torn}")
        begun = self.place.begun
        self.recomputed |= self.kept.intersection(begun[self._num_begun :])
        kept = kept_keys(self.place.run)
        expect(self.kept <= kept, f"{len(self.kept - kept)} finished trials were lost by a kill")
        self.kept, self._num_begun = kept, len(begun)


def _kill_often(place: Place, num_kills: int, seed: int = SEED) -> str:
    whole = place.whole("whole", **CHANGES)
    killer = _Killer(place, seed)
    num_left = num_kills
    while num_left:
        num_left -= killer.sit(num_left)
    place.simulate(plan="whole", changes=CHANGES).ends_with(0)
    killer._look()
    differs = difference(place.run, whole)
    expect(not differs, f"after {num_kills} kills these differ: {differs}")
    leftovers = [path.name for path in place.run.glob(".*")]
    expect(not leftovers, f"temporary files were left: {leftovers}")
    expect(not killer.recomputed, f"{len(killer.recomputed)} finished trials were computed again")
    num_repeated = place.num_repeated
    expect(num_repeated <= num_kills, f"{num_repeated} trials repeated by {num_kills} kills with one in flight")
    targets = ", ".join(f"{count} {target}" for target, count in sorted(killer.killed.items()))
    return (
        f"{sum(killer.killed.values())} kills ({targets}); {len(killer.kept)} trials, {num_repeated} in flight "
        f"repeated, none that had finished; all tables equal"
    )


@fault(
    "kill-100-times",
    "100 kill -9 at random moments of one search: driver, worker, both, also while it starts; resumed each time",
    "leaderboard, trials, candidates, summary and steps equal an uninterrupted run's byte for byte apart from clocks; "
    "no finished trial is computed again or lost, at most the one in flight is repeated; no view is ever torn",
)
def kill_100_times(place: Place) -> str:
    return _kill_often(place, 100)


@fault(
    "kill-6-times",
    "the same with 6 kills, another seed",
    "the same",
    fast=True,
)
def kill_6_times(place: Place) -> str:
    return _kill_often(place, 6, seed=6)


@fault(
    "kill-while-training",
    "kill -9 of the command line during real trainings, 5 times, resumed each time",
    "the leaderboard of an uninterrupted run; no finished training is repeated",
)
def kill_while_training(place: Place) -> str:
    whole = place.whole("trained")
    rng = random.Random(SEED)
    num_kills, kept = 0, set[str]()
    while True:
        begun = len(place.begun)
        goes_on = (place.run / "config.yaml").exists()
        sitting = (
            place.resume(simulated=False)
            if goes_on
            else place.search("budget.candidates=4", base=TRAINED, simulated=False)
        )
        if num_kills == 5:
            sitting.ends_with(0)
            again = kept.intersection(place.begun[begun:])
            expect(not again, f"{len(again)} finished trainings were repeated")
            break
        wanted = begun + rng.randrange(1, 4)
        try:
            sitting.await_that(lambda wanted=wanted: len(place.begun) >= wanted, "trainings began")
        except BrokenPromiseError:
            if sitting.end().code:
                raise
        time.sleep(rng.uniform(0, 0.2))
        sitting.kill()
        num_kills += 1
        again = kept.intersection(place.begun[begun:])
        expect(not again, f"{len(again)} finished trainings were repeated")
        kept = kept_keys(place.run)
    differs = difference(place.run, whole)
    expect(not differs, f"these differ: {differs}")
    repeated = place.num_repeated
    return f"5 kills; {len(set(place.begun))} trainings, {repeated} in flight repeated; all tables equal"
