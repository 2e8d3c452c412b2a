"""Random and hostile input of every kind that archsearch reads: `from shared_hostile import KINDS, try_case`.

Each case is a pure function of its kind and number. What a case may do is raise an `ArchSearchError`, within
`CASE_SECONDS`; anything else is a finding.
"""

import json
import random
import shutil
import signal
import sqlite3
import tempfile
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from archsearch.cli.composition import compose_settings
from archsearch.cli.planning import plan_search
from archsearch.cli.run_configuration import from_yaml, settle, to_yaml
from archsearch.cli.words import parse_words
from archsearch.errors import ArchSearchError
from archsearch.graph.catalog import zoo_cell, zoo_names
from archsearch.graph.cell_graph import CellGraph
from archsearch.interop.darts import from_darts
from archsearch.interop.enas import from_enas
from archsearch.interop.nas_bench_nlp import from_nas_bench_nlp
from archsearch.run.reading import load_run

CASE_SECONDS = 20
JOURNAL = Path(__file__).parent / "run" / "fixtures" / "journal-1-real"

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 64, 65, 1000, 10**8, 10**9, 2**31, 2**63, 2**64, -(2**63), 10**100, 10**400),
    *(0.5, -0.0, 1e-320, 1e300, 1e308, float("inf"), float("-inf"), float("nan")),
)
TEXTS: tuple[str, ...] = (
    *(
        "",
        " ",
        "x",
        "h",
        "h'",
        "c",
        "linear",
        "tanh",
        "mul",
        "gru",
        "states",
        "null",
        "true",
        "~",
        "=",
        "..",
        "/",
        "\\",
    ),
    *(
        "../../etc/passwd",
        "a" * 65,
        "a" * 5000,
        "é",
        "\uff48",
        "\u202e",
        "\ud800",
        "\0",
        "\x1b[31m",
        "\n",
        "'",
        '"',
        "${seed}",
    ),
    *(
        "${oc.env:HOME}",
        "=1+1",
        "<script>",
        "[/red]",
        "{{7*7}}",
        "%s%s",
        "__import__('os')",
        "os.system",
        "!!python/none",
    ),
    *("archsearch.trials.task.Task", "archsearch.tasks.xml.Xml", "subprocess.Popen", "1e999", "9" * 5000, "-" * 100),
)


def hostile_value(rng: random.Random, depth: int = 0) -> Any:
    """Returns a value of any kind."""
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind < 2:
        return rng.choice(NUMBERS)
    if kind < 4:
        return rng.choice(TEXTS)
    if kind == 4:
        return rng.choice((None, True, False, [], {}))
    if kind == 5:
        return [hostile_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {rng.choice(TEXTS): hostile_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    value: Any = rng.choice(NUMBERS)
    for _ in range(rng.choice((2, 20, 200))):
        value = [value]
    return value


def changed(rng: random.Random, value: Any) -> Any:
    """Returns plain data with something in it replaced, dropped, repeated or renamed."""
    if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return hostile_value(rng)
    if isinstance(value, list):
        copy = list(value)
        at = rng.randrange(len(copy))
        act = rng.randrange(4)
        if act == 0:
            del copy[at]
        elif act == 1:
            copy.insert(at, copy[rng.randrange(len(copy))])
        elif act == 2:
            copy *= rng.choice((2, 30))
        else:
            copy[at] = changed(rng, copy[at])
        return copy
    record = dict(value)
    key = rng.choice(list(record))
    act = rng.randrange(5)
    if act == 0:
        del record[key]
    elif act == 1:
        record[rng.choice(TEXTS)] = record.pop(key)
    else:
        record[key] = changed(rng, record[key])
    return record


def garbled(rng: random.Random, text: str) -> str:
    """Returns a text with characters changed, lost or repeated."""
    for _ in range(rng.choice((0, 1, 1, 3, 20))):
        at = rng.randrange(len(text) + 1)
        length = rng.choice((1, 1, 5, 50))
        act = rng.randrange(4)
        if act == 0:
            text = text[:at] + text[at + length :]
        elif act == 1:
            text = text[:at] + rng.choice(TEXTS) + text[at:]
        elif act == 2:
            text = text[:at] + text[at : at + length] * rng.choice((2, 10)) + text[at:]
        else:
            text = text[:at] + rng.choice("()[]{}=+-*,:'\"#\\\n\t 019.eE") + text[at:]
    return text


def graph_file(rng: random.Random) -> None:
    """Reads a JSON file of a cell, and uses the cell if there is one."""
    record = json.loads(zoo_cell(rng.choice(zoo_names())).to_json())
    for _ in range(rng.randrange(4)):
        record = changed(rng, record)
    text = json.dumps(record) if rng.random() < 0.9 else "[" * rng.choice((10, 10_000, 500_000))
    _use(CellGraph.from_json(garbled(rng, text) if rng.random() < 0.4 else text))


def equations(rng: random.Random) -> None:
    """Reads equations: a cell's, garbled, or words in any order, or such as grow."""
    act = rng.randrange(8)
    if act < 4:
        text = garbled(rng, zoo_cell(rng.choice(zoo_names())).equations())
    elif act == 4:
        words = ("h'", "h", "x", "=", "(", ")", "+", "-", "*", ",", "tanh", "linear", "0.5", "2", "\n", "states:", "c'")
        text = " ".join(rng.choice(words) for _ in range(rng.choice((3, 30, 3000))))
    elif act == 5:
        deep = rng.choice((50, 99, 101, 20_000))
        text = "h' = " + rng.choice(("(", "tanh(", "linear(", "-", "0.5*(")) * deep + "h" + ")" * deep
    elif act == 6:  # a product of sums: as a polynomial it has 2 ** n terms
        count = rng.choice((5, 20, 60, 600))
        lines = [f"a{number} = tanh(linear(x, h)) + h" for number in range(count)]
        text = "\n".join([*lines, "h' = " + " * ".join(f"a{number}" for number in range(count))])
    else:  # doubling, squaring, sharing
        count = rng.choice((10, 40, 300))
        line = rng.choice(("a{1} = a{0} + a{0}", "a{1} = a{0} * a{0}", "a{1} = tanh(a{0}) * a{0} + a{0}"))
        lines = ["a0 = linear(x, h)", *(line.format(number, number + 1) for number in range(count))]
        text = "\n".join([*lines, f"h' = a{count}"])
    _use(CellGraph.from_equations(text))


def recipe(rng: random.Random) -> None:
    """Reads a cell in the format of another work."""
    act = rng.randrange(3)
    if act == 0:
        record: Any = {
            "h_new_0": {"op": "activation_tanh", "input": ["i"]},
            "i": {"op": "linear", "input": ["x", "h_prev_0"]},
        }
        from_nas_bench_nlp(_changed_often(rng, record))
    elif act == 1:
        genotype = {"recurrent": [["tanh", 0], ["relu", 1], ["sigmoid", 2]], "concat": [1, 2, 3]}
        from_darts(_changed_often(rng, genotype))
    else:
        from_enas(_changed_often(rng, [0, 0, 1, 1, 2, 3, 1]))


def configuration(rng: random.Random) -> None:
    """Reads the configuration out of a run's folder and builds what it says, short of training."""
    values = _whole_configuration()
    for _ in range(rng.randrange(1, 4)):
        values = changed(rng, values)
    if rng.random() < 0.2:
        text = "a: &a [" + ",".join(["x"] * 9) + "]\n" + "".join(f"b{n}: &b{n} [*a,*a,*a]\n" for n in range(9))
    elif isinstance(values, dict):
        text = to_yaml(values)
    else:
        text = json.dumps(values)
    plan_search(from_yaml(garbled(rng, text) if rng.random() < 0.3 else text, Path("config.yaml")))


def overrides(rng: random.Random) -> None:
    """Reads a command line and builds what it asks for, short of training."""
    keys = ("seed", "name", "task", "gate", "budget.candidates", "task.xml.max_tag", "task.arithmetic.max_digits")
    keys += ("founders", "search.space.num_layers", "search.space.learning_rates", "recipe.batch_size", "recipe.unroll")
    keys += ("recorded", "screen", "search", "transformation.remove_node.weight", "task.xml._target_", "lookahead")
    keys += ("workers", "ray.address", "bounds.max_nodes", "experiment", "recipe", "hydra.run.dir", "task@x.y", "++a.b")
    words = ["experiment=smoke"]
    for _ in range(rng.randrange(1, 4)):
        value = hostile_value(rng)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False).replace('"', "")
        sign = rng.choice(("", "", "", "+", "++", "~"))
        words.append(garbled(rng, f"{sign}{rng.choice(keys)}={text}"))
    typed = parse_words("search", words)
    plan_search(settle(compose_settings("search", typed), typed))


def journal(rng: random.Random) -> None:
    """Reads a run whose journal somebody else has written, as all commands that show runs do."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        shutil.copytree(JOURNAL, run)
        with closing(sqlite3.connect(run / "archsearch.db")) as connection, connection:
            for _ in range(rng.randrange(1, 4)):
                table, column = rng.choice(
                    (("steps", "record"), ("trials", "result"), ("trials", "setting"), ("about", "value"))
                )
                rows = connection.execute(f"SELECT {column} FROM {table}").fetchall()  # noqa: S608 - our own names
                text = rng.choice(rows)[0]
                try:
                    value = changed(rng, json.loads(text))
                except ValueError:  # plain text, or garbled a moment ago
                    value = hostile_value(rng)
                new = json.dumps(value) if rng.random() < 0.8 else garbled(rng, text)
                bindable = new.encode("utf-8", "replace").decode()
                update = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"  # noqa: S608 - as above
                connection.execute(update, (bindable, text))
        found = load_run(run)
        found.leaderboard(), found.trials(), found.candidates(), found.summary()
        assert [path.name for path in Path(folder).iterdir()] == ["run"], "something was written elsewhere"


KINDS: dict[str, Callable[[random.Random], None]] = {
    "graph files": graph_file,
    "equations": equations,
    "recipes": recipe,
    "configurations": configuration,
    "overrides": overrides,
    "journals": journal,
}


class TooSlowError(BaseException):
    """A case took longer than it may; not to be caught by what is tried."""


def try_case(kind: str, number: int) -> str:
    """Runs one case and returns what was found: nothing, or where an unexpected exception came from."""

    def give_up(*_: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, CASE_SECONDS)  # of the processor: other programs may take its time
    try:
        KINDS[kind](random.Random(f"{kind}/{number}"))
    except ArchSearchError as error:
        return "" if str(error) else "an error without a message"
    except TooSlowError:
        return f"took more than {CASE_SECONDS} s:\n{traceback.format_exc(limit=-3)}"
    except Exception:  # whatever it is, it is a finding
        return traceback.format_exc(limit=-3)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return ""


def _changed_often(rng: random.Random, value: Any) -> Any:
    for _ in range(rng.randrange(4)):
        value = changed(rng, value)
    return value


def _use(cell: CellGraph) -> None:
    """Does with a cell what every command does."""
    digest = cell.digest
    for again in (CellGraph.from_json(cell.to_json()), CellGraph.from_equations(cell.equations())):
        # the same nodes in the same order have the same digest, which takes seconds for the largest cells
        is_same = again == cell and list(again.structure.nodes) == list(cell.structure.nodes)
        assert is_same or again.digest == digest


_WHOLE: list[dict[str, Any]] = []


def _whole_configuration() -> dict[str, Any]:
    if not _WHOLE:
        typed = parse_words("search", ["experiment=smoke"])
        _WHOLE.append(settle(compose_settings("search", typed), typed))
    return json.loads(json.dumps(_WHOLE[0]))
