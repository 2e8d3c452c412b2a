"""Files that people bring: what is repaired is said, what cannot be used is refused, and no part knows another."""

import datetime
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigError
from archsearch.tasks.labelled import Labelled
from archsearch.tasks.series import Series
from archsearch.tasks.text import Text
from archsearch.trials.problems import split_of
from archsearch.trials.text_units import split_units

SPLITS = ("training", "validation", "test")
IN_A_FOLDER = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def rows(count: int, value=lambda t: math.sin(t / 5)) -> str:
    return "time,wave\n" + "".join(f"{t},{value(t)}\n" for t in range(count))


# what cannot be used

TEXT_FAULTS = {
    "empty file": (b"", "found nothing but blanks"),
    "one symbol": (
        b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "at least two different characters",
    ),
    "too short": (b"one short line\n", "long enough for three parts, got 15 characters"),
    "no text": (b"to be\0or not to be" * 50, "got NUL characters"),
    "UTF-16": ("to be or not to be".encode("utf-16") * 50, "iconv -f utf-16 -t utf-8"),
    "wrong encoding": ("über alles\n".encode("latin1") * 50, "in UTF-8, got byte 0xfc at place 0"),
}


@pytest.mark.parametrize("fault", TEXT_FAULTS)
def test_texts_that_cannot_be_used(fault, tmp_path):
    content, message = TEXT_FAULTS[fault]
    with pytest.raises(ConfigError, match=message):
        Text("text", path=write(tmp_path, "text.txt", content)).symbols  # noqa: B018 - reading is what is tested


def test_a_file_of_two_gigabytes_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(2 * 2**30)
    with pytest.raises(ConfigError, match="at most 200 MB, which are held in memory by each worker, got 2,048"):
        Text("text", path=str(path)).digest  # noqa: B018


@pytest.mark.parametrize("path", [None, 5, "nowhere.txt"])
def test_no_file(path):
    with pytest.raises(ConfigError, match="expected a file or a folder"):
        Text("text", path=path).digest  # noqa: B018


def test_the_home_folder_of_nobody():
    with pytest.raises(ConfigError, match="task text, path: expected a path, got '~nobody-of-archsearch/a', and there"):
        Text("text", path="~nobody-of-archsearch/a").digest  # noqa: B018


def test_a_text_too_short_for_the_batches(tmp_path):
    task = Text("text", path=write(tmp_path, "text.txt", "to be or not to be, that is the question. " * 8))
    with pytest.raises(ConfigError, match="at least two characters of the validation part for each of 20 streams"):
        task.epoch_steps(20, 35)


SERIES_FAULTS = {
    "empty file": ("", {}, "nothing but blanks"),
    "no rows": ("time,wave\n", {}, "expected rows below the column names"),
    "one row": (rows(1), {}, "expected at least 5 rows, window and horizon together"),
    "no such column": (rows(200), {"targets": ["wind"]}, "which has time, wave; got 'wind'"),
    "no such time": (rows(200), {"time": "when"}, "which has time, wave; got 'when'"),
    "text among numbers": (rows(200, lambda t: "n/v" if t == 7 else t % 3), {}, "got 'n/v' in line 9 and 0 more"),
    "numbers too large to be squared": (rows(200, lambda t: "-1e308" if t == 7 else t), {}, "got '-1e308' in line 9"),
    "a fill value in the last part": (
        rows(200, lambda t: "-1e20" if t == 190 else t % 3),
        {},
        "line 192, column 'wave': expected a number within 1,000,000 standard deviations .*, got -1e\\+20",
    ),
    "all missing": (rows(200, lambda _: ""), {}, "all cells are missing"),
    "constant": (rows(200, lambda _: 3), {}, "expected a target that changes, got 'wave', which is 3"),
    "the same time twice": (rows(200) + "7,1\n", {}, "each time once, got '7' again in line 202"),
    "no time at all": (rows(200).replace("\n9,", "\nnoon,"), {}, "got 'noon' in line 11"),
    "window longer than the data": (rows(200), {"window": 150}, "expected at least 151 rows"),
    "fewer names than cells": (rows(200).replace("\n", ",1\n").replace("wave,1", "wave"), {}, "2 names and rows of 3"),
    "no target": (rows(200), {"targets": []}, "expected at least one column"),
    "commas for points": (rows(200).replace(",", ";").replace(".", ","), {}, "Write plain numbers such as 1234.5"),
    "no table": ('a,b\n1,2\n"1,2\n', {}, "does not parse"),
}


@pytest.mark.parametrize("fault", SERIES_FAULTS)
def test_tables_that_cannot_be_used(fault, tmp_path):
    content, fields, message = SERIES_FAULTS[fault]
    fields = {"time": "time", "window": 4, **fields}
    with pytest.raises(ConfigError, match=message):
        Series("series", path=write(tmp_path, "series.csv", content), **fields).digest  # noqa: B018


def test_the_line_of_a_wrong_cell_is_that_of_the_file(tmp_path):
    """Whatever stands above it: later rows, blank lines, cells of several lines."""
    names, *lines = rows(200, lambda t: "n/v" if t == 7 else t % 3).splitlines()
    remarks = [f'{line},"a ""remark""\nof two lines"' for line in lines]
    for number, content in enumerate(
        (
            "\n".join([names, *reversed(lines)]),
            "\n\n".join(["", names, "  ", *lines]),
            "\n\n".join([f"{names},remark", *remarks]),
        )
    ):
        (line,) = (line for line, text in enumerate(content.split("\n"), start=1) if "n/v" in text)
        task = Series("series", path=write(tmp_path, f"{number}.csv", content), time="time", targets="wave", window=4)
        with pytest.raises(ConfigError, match=f"got 'n/v' in line {line} and 0 more"):
            task.digest  # noqa: B018
    again = "\n".join([names, "", *lines, "", "7,1"])
    with pytest.raises(ConfigError, match="got '7' again in line 204"):
        Series("series", path=write(tmp_path, "again.csv", again), time="time", window=4).digest  # noqa: B018
    no_label = "\n".join(["sequence,label", "", "ab,1", "", "ba,"])
    with pytest.raises(ConfigError, match="line 5: expected a label in column 'label', got none"):
        Labelled("labelled", path=write(tmp_path, "label.csv", no_label)).digest  # noqa: B018
    with pytest.raises(ConfigError, match="line 4: expected a value in column 'who'"):
        long_table(write(tmp_path, "long.csv", "walk,x,y,who\n\n\nw,1,2,\n")).digest  # noqa: B018


def dated(way: str, count: int) -> str:
    dates = (datetime.date(2026, 1, 1) + datetime.timedelta(day) for day in range(count))
    return "time,wave\n" + "".join(f"{date.strftime(way)},{date.toordinal() % 7}\n" for date in dates)


def test_days_and_months_are_told_apart_or_refused(tmp_path):
    """Read date by date, the second of January and the first of February would change places."""
    ways = {"%d/%m/%Y": "with the day first", "%m/%d/%Y": "with the month first", "%Y-%m-%d": ""}
    digests = set()
    for number, (way, note) in enumerate(ways.items()):
        task = Series("series", path=write(tmp_path, f"{number}.csv", dated(way, 300)), time="time", window=4)
        digests.add(task.digest)
        assert any(note in said for said in task.notes())
        assert not any("order of time" in said for said in task.notes())
    assert len(digests) == 1
    unclear = "".join(line for line in dated("%d/%m/%Y", 365).splitlines(keepends=True) if line < "13" or "t" in line)
    with pytest.raises(ConfigError, match="nothing tells whether days or months come first"):
        Series("series", path=write(tmp_path, "unclear.csv", unclear), time="time", window=4).digest  # noqa: B018
    for way, said in (("%y-%m-%d", "nothing tells where the year stands"), ("%m.%Y", "would be read as a number")):
        content = "time,wave\n" + "".join(
            f"{datetime.date(2010 + month // 12, 1 + month % 12, 1).strftime(way)},{month % 7}\n"
            for month in range(160)
        )
        with pytest.raises(ConfigError, match=said):
            Series("series", path=write(tmp_path, "short.csv", content), time="time", window=4).digest  # noqa: B018


def test_columns_may_have_names_of_digits(tmp_path):
    """Typed, `task.series.time=0` is a number."""
    path = write(tmp_path, "series.csv", rows(200).replace("time,wave", "0,1"))
    series = Series("series", path=path, time=0, targets=1, inputs=None, window=4)
    assert series.digest == Series("series", path=path, time="0", targets=["1"], window=4).digest
    walk = write(tmp_path, "walks.csv", walks().replace("walk,x,y,who", "0,1,2,3"))
    numbers = long_table(walk, sequence_column=0, sequence=1, label=3)
    assert numbers.digest == long_table(walk, sequence_column="0", sequence="1", label="3").digest
    for field in ("sequence", "label", "sequence_column"):
        with pytest.raises(ConfigError, match=f"task labelled, {field}: expected a name, got "):
            long_table(walk, **{field: True})
    with pytest.raises(ConfigError, match=r"task series, time: expected a name, got \['a'\]"):
        Series("series", path=path, time=["a"])


def test_what_is_read_as_columns_is_said(tmp_path):
    for name, content, note in (
        ("semicolons", rows(200).replace(",", ";"), "separated by semicolons"),
        ("tabs", rows(200).replace(",", "\t"), "separated by tabs"),
        (
            "twice",
            "time,wave,wave\n" + "".join(f"{t},{t % 7},{t % 5}\n" for t in range(200)),
            "further ones are wave.1",
        ),
        ("numbers", rows(200).replace("time,wave", "0,0.5"), "0, 0.5, is read as the names of the columns"),
        ("all", rows(200), "all other columns of all.csv are: time, wave"),
    ):
        notes = Series("series", path=write(tmp_path, f"{name}.csv", content), window=4).notes()
        assert any(note in said for said in notes), (name, notes)


def labelled_lines(count: int = 300) -> list[str]:
    return [json.dumps({"sequence": f"{n:b}", "label": n % 2}) for n in range(count)]


def test_a_run_on_labelled_data_begun_before_rows_of_steps_could_be_read_is_the_same_task(tmp_path):
    path = write(tmp_path, "data.jsonl", "\n".join(labelled_lines()))
    assert "sequence_column" not in Labelled("labelled", path=path).identity_fields()
    assert "sequence_column" in Labelled("labelled", path=path, sequence_column="id").identity_fields()


def foreign_label() -> list[str]:
    held_out = next(n for n in range(300) if split_of(json.dumps(list(f"{n:b}")).encode()) == "test")
    lines = labelled_lines()
    lines[held_out] = json.dumps({"sequence": f"{held_out:b}", "label": "rare"})
    return lines


HELD_OUT = next(n for n in range(300) if split_of(json.dumps([[n / 7, 1e20]]).encode()) == "test")
LABELLED_FAULTS = {
    "label in the test part only": (foreign_label(), "got 'rare' in the test part only"),
    "no object": ([*labelled_lines(), "[1, 2"], "line 301: expected an object with 'sequence' and 'label'"),
    "no label": ([*labelled_lines(), '{"sequence": "01"}'], "line 301: expected an object"),
    "null for a label": ([*labelled_lines(), '{"sequence": "01", "label": null}'], "line 301: expected a label"),
    "empty label": ([*labelled_lines(), '{"sequence": "01", "label": ""}'], "line 301: expected a label"),
    "an object for a label": ([*labelled_lines(), '{"sequence": "01", "label": {}}'], "a text or a number, got {}"),
    "null for a step": ([*labelled_lines(), '{"sequence": ["0", null], "label": 1}'], "line 301: expected symbols or"),
    "too large a number": (
        [json.dumps({"sequence": [[n / 7 if n else 10**400]], "label": n % 2}) for n in range(300)],
        "line 1: expected numbers up to 1e+100, got [inf]",
    ),
    "lists without end": ([*labelled_lines(), "[" * 100_000], "line 301: expected an object"),
    "no lengths": (['{"sequence": "", "label": 1}'] * 3, "Note: 3 sequences of length zero are left out."),
    "one label": ([line[:-2] + "0}" for line in labelled_lines()], "at least two different labels, got ['0']"),
    "labels of another number": (['{"sequence": "abc", "label": [1, 2]}'], "a label for each of 3 steps, got 2"),
    "no number": (
        [json.dumps({"sequence": [[n / 7 if n else math.nan]], "label": n % 2}) for n in range(300)],
        "line 1: expected numbers up to 1e+100, got [nan]",
    ),
    "a whole number among numbers": (
        [json.dumps({"sequence": [0.5, 1, n / 7 + 0.1], "label": n % 2}) for n in range(300)],
        "expected 1 numbers at every step, got '1'. Whole numbers are read as symbols: write 1.0 for 1.",
    ),
    "a whole number before numbers": (
        [json.dumps({"sequence": [1, n / 7 + 0.1], "label": n % 2}) for n in range(300)],
        "expected symbols in every sequence, got numbers. Whole numbers are read as symbols: write 1.0 for 1",
    ),
    "a fill value": (
        [json.dumps({"sequence": [[n / 7, 1e20 if n == HELD_OUT else 0.5]], "label": n % 2}) for n in range(300)],
        f"data.jsonl, line {HELD_OUT + 1}, step 1, number 2: expected a number within 1,000,000 standard deviations of",
    ),
    "too few": (labelled_lines(2), "expected sequences for all three parts"),
}


@pytest.mark.parametrize("fault", LABELLED_FAULTS)
def test_sequences_that_cannot_be_used(fault, tmp_path):
    lines, message = LABELLED_FAULTS[fault]
    with pytest.raises(ConfigError) as caught:
        Labelled("labelled", path=write(tmp_path, "data.jsonl", "\n".join(lines))).digest  # noqa: B018
    assert message in str(caught.value)


# what is repaired, and said


def test_line_ends_of_windows(tmp_path):
    plain = write(tmp_path, "plain.txt", "to be or\nnot to be\n" * 40)
    windows = write(tmp_path, "windows.txt", "to be or\r\nnot to be\r\n" * 40)
    mine, theirs = Text("text", path=plain), Text("text", path=windows)
    assert theirs.digest == mine.digest
    assert "line ends of other systems" in theirs.notes()[0]
    assert mine.notes() == ()
    table = Series("series", path=write(tmp_path, "w.csv", rows(200).replace("\n", "\r\n")), time="time", window=4)
    assert table.digest == Series("series", path=write(tmp_path, "p.csv", rows(200)), time="time", window=4).digest


def test_what_training_never_saw_is_unknown(tmp_path):
    task = Text("text", path=write(tmp_path, "text.txt", "abc" * 100 + "xyz" * 10))
    assert task.symbols == ("a", "b", "c", "<unk>")
    assert any("characters of the test part (100.00%) are read as <unk>" in note for note in task.notes())


def test_the_ngram_of_a_long_text_has_its_end_only(tmp_path, monkeypatch):
    whole = write(tmp_path, "text.txt", "abcd" * 300 + "aabb" * 300)
    end = write(tmp_path, "end.txt", "aabb" * 300)
    shares = {"validation_share": 0.1, "test_share": 0.1, "measures": "accuracy"}
    assert list(Text("text", path=whole, **shares).baselines()) == ["best n-gram up to 6"]
    monkeypatch.setattr("archsearch.tasks.text.MOST_FOR_NGRAMS", {"training": 400, "validation": 50})
    known = Text("text", path=whole, **shares)
    assert known.baselines() == {"best n-gram up to 6 of 400 characters": 1.0}
    assert Text("text", path=end, **shares).chance() == 1.0


def test_a_long_held_out_part_is_cut_and_another_task(tmp_path):
    """It would be read after every epoch; what a run had before there was a limit stays the same task."""
    path = write(tmp_path, "text.txt", "abcd" * 500)
    shares = {"validation_share": 0.2, "test_share": 0.1}
    whole, same, cut = (Text("text", path=path, max_held_out=most, **shares) for most in (10_000, 400, 300))
    assert whole.digest == same.digest != cut.digest
    assert "max_held_out" not in whole.identity_fields()
    sizes = [
        [sum(batch.scored.sum() for batch in task.held_out(split, 1, 50)) for split in SPLITS[1:]]
        for task in (same, cut)
    ]
    assert sizes == [[399, 199], [299, 199]]
    assert len(cut._corpus.parts["training"]) == 1400


def test_rows_out_of_order_are_sorted(tmp_path):
    lines = rows(200).splitlines()
    mixed = "\n".join([lines[0], *reversed(lines[1:])])
    task = Series("series", path=write(tmp_path, "mixed.csv", mixed), time="time", window=4)
    assert task.digest == Series("series", path=write(tmp_path, "plain.csv", rows(200)), time="time", window=4).digest
    assert "were not in the order of time" in task.notes()[0]


def test_missing_values_are_filled_from_the_past_and_never_scored(tmp_path):
    content = rows(200, lambda t: "" if t in (0, 1, 50) else t % 7)
    task = Series("series", path=write(tmp_path, "series.csv", content), window=4, targets=["wave"])
    assert task.notes() == (
        "the first 2 rows are left out: some column has no value up to there",
        "1 missing values of 'wave' are read as the last ones before; none is scored",
    )
    table = task._table
    assert table.values[48] == table.values[47]
    assert not table.observed[48]
    for batch in (batch for _, batch in zip(range(20), task.training(1, 8, 1), strict=False)):
        assert np.isfinite(batch.inputs).all()


def test_a_gap_in_the_first_row_that_is_kept_is_filled_from_the_rows_left_out(tmp_path):
    content = "a,b\n5,\n,1\n" + "".join(f"{t % 7},{t % 5}\n" for t in range(200))
    table = Series("series", path=write(tmp_path, "series.csv", content), window=4)._table
    assert (table.values[0] * table.scales + table.means).tolist() == pytest.approx([5, 1])
    assert not table.observed[0]


def test_forecasts_with_missing_values_do_not_count_and_some_must(tmp_path):
    """An error of 0 over nothing would be the best of all."""
    content = rows(400, lambda t: "" if t % 40 == 0 else math.sin(t))
    task = Series("series", path=write(tmp_path, "some.csv", content), window=8, horizon=4, targets=["wave"])
    (note,) = (note for note in task.notes() if "validation forecasts" in note)
    num_scored = sum(int(batch.scored.sum()) for batch in task.held_out("validation", 20, 35))
    assert note.startswith(f"{num_scored} of ")
    dead = rows(400, lambda t: "" if t > 320 and t % 3 else math.sin(t))  # a horizon of 4 rows always has a gap
    series = Series("series", path=write(tmp_path, "dead.csv", dead), window=8, horizon=4, targets=["wave"])
    with pytest.raises(ConfigError, match=r"forecasts of the (validation|test) part whose rows all have values"):
        series.digest  # noqa: B018


def test_the_mean_of_the_training_part_is_a_simple_predictor(tmp_path):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=2000)
    path = write(tmp_path, "noise.csv", rows(2000, lambda t: noise[t]))
    simple = Series("series", path=path, window=8, horizon=2, targets=["wave"]).baselines()
    assert 0.8 < simple["training mean"] < 1.2
    assert 1.6 < simple["persistence"] < 2.4


def test_sequences_without_length_are_left_out(tmp_path):
    lines = [*labelled_lines(), '{"sequence": "", "label": 0}', '{"sequence": [], "label": 0}']
    task = Labelled("labelled", path=write(tmp_path, "data.jsonl", "\n".join(lines)))
    assert "2 sequences of length zero are left out" in task.notes()


def test_a_list_of_objects_is_read_as_lines_are(tmp_path):
    lines = labelled_lines()
    by_line = Labelled("labelled", path=write(tmp_path, "lines.jsonl", "\n".join(lines)))
    pretty = json.dumps([json.loads(line) for line in lines], indent=1)
    assert Labelled("labelled", path=write(tmp_path, "list.json", pretty)).digest == by_line.digest
    with pytest.raises(ConfigError, match="entry 2: expected an object"):
        Labelled("labelled", path=write(tmp_path, "bad.json", f"[{lines[0]}, 3]")).digest  # noqa: B018


def test_words_that_mean_missing_in_tables_of_numbers_are_words_among_labels(tmp_path):
    lines = ["sequence,label", "null,NA", *(f"{n:b},{'NA' if n % 2 else 'DE'}" for n in range(300))]
    task = Labelled("labelled", path=write(tmp_path, "countries.csv", "\n".join(lines)))
    assert task.labels == ("DE", "NA")
    assert sum(len(task.examples(split)) for split in SPLITS) == 301


def test_equal_sequences_with_different_labels_are_said(tmp_path):
    lines = [*labelled_lines(), '{"sequence": "1", "label": 0}']
    task = Labelled("labelled", path=write(tmp_path, "data.jsonl", "\n".join(lines)))
    assert "1 sequences stand there more than once, with different labels" in task.notes()


def test_a_quote_that_takes_rows_in_is_said(tmp_path):
    """Rows 30 and 90 begin with a quote that is meant as such."""
    lines = ["text,kind", *(f"{chr(34) * (n in (30, 90))}{n:b} is so,{n % 2}" for n in range(300))]
    path = write(tmp_path, "quotes.csv", "\n".join(lines))
    task = Labelled("labelled", path=path, sequence="text", label="kind")
    (note,) = (note for note in task.notes() if "quote is unpaired" in note)
    assert note.startswith("301 lines gave 240 rows of quotes.csv")


def test_labels_of_a_csv_and_numbers_of_json_lines(tmp_path):
    lines = ["text,kind"] + [f"{n:b},{'odd' if n % 2 else 'even'}" for n in range(300)]
    task = Labelled("labelled", path=write(tmp_path, "data.csv", "\n".join(lines)), sequence="text", label="kind")
    assert (task.labels, set(task.symbols)) == (("even", "odd"), {"0", "1"})
    example = task.examples("training")[3]
    assert example.scored.tolist() == [False] * (len(example) - 1) + [True]
    records = [json.dumps({"sequence": [[n / 7, 1.0], [n / 9, 1.0]], "label": [n % 2, 1]}) for n in range(300)]
    numbers = Labelled("labelled", path=write(tmp_path, "numbers.jsonl", "\n".join(records)))
    assert (numbers.symbols, numbers.interface.input_size) == ((), 2)
    assert numbers.examples("test")[0].scored.all()
    assert "1 of 2 numbers are constant in the training sequences" in numbers.notes()


def walks(change=lambda _walk, _step, row: row, count: int = 120) -> str:
    """One row for each step, the rows of two walks mixed."""
    lines = [
        change(walk, step, f"w{walk},{walk / 7},{step},{'ab'[walk % 2]},{'up' if step else 'down'}")
        for pair in range(0, count, 2)
        for step in range(3)
        for walk in (pair, pair + 1)
    ]
    return "\n".join(["walk,x,y,who,way", *lines])


def long_table(path: str, **fields) -> Labelled:
    return Labelled("labelled", path=path, **{"sequence_column": "walk", "sequence": "x, y", "label": "who", **fields})


def test_a_row_for_each_step(tmp_path):
    path = write(tmp_path, "walks.csv", walks())
    task = long_table(path)
    assert (task.labels, task.interface.input_size) == (("a", "b"), 2)
    examples = [example for split in SPLITS for example in task.examples(split)]
    assert sorted(json.loads(example.identity) for example in examples) == [
        [[n / 7, step] for step in range(3)] for n in range(120)
    ]
    assert all(example.scored.tolist() == [False, False, True] for example in examples)
    per_step = long_table(path, label="way", per_step=True)
    assert per_step.examples("training")[0].targets.tolist() == [0, 1, 1]
    assert per_step.examples("training")[0].scored.all()
    symbols = long_table(
        write(tmp_path, "s.csv", walks(lambda w, s, row: row.replace(f",{s},", f",{w:b}x,"))), sequence="y"
    )
    assert "0x" in symbols.symbols


LONG_FAULTS = {
    "no such column": (walks(), {"sequence_column": "run"}, "which has walk, x, y, who, way; got 'run'"),
    "text among numbers": (
        walks(lambda _w, _s, row: row.replace(",2,", ",n/v,")),
        {},
        "got 'n/v' in line 6 and 119 more",
    ),
    "one cell among numbers": (
        walks(lambda walk, _s, row: row if walk else row.replace(",2,", ",n/a,")),
        {"sequence": "y"},
        "got 'n/a' in line 6 and 0 more. .* or, if all cells are symbols, write a letter before those that read as",
    ),
    "no value": (walks(lambda _w, _s, row: row.replace(",2,", ",,")), {}, "line 6: expected a value in column 'y'"),
    "labels that differ": (walks(), {"label": "way"}, "sequence 'w0': expected one label for all its rows, got 'down'"),
}


@pytest.mark.parametrize("fault", LONG_FAULTS)
def test_rows_of_steps_that_cannot_be_used(fault, tmp_path):
    content, fields, message = LONG_FAULTS[fault]
    with pytest.raises(ConfigError, match=message):
        long_table(write(tmp_path, "walks.csv", content), **fields).digest  # noqa: B018


# no part knows another


@IN_A_FOLDER
@given(text=st.text(alphabet="abcdef \n", min_size=200, max_size=600), unit=st.sampled_from(["characters", "words"]))
def test_parts_of_a_text_are_its_pieces_in_time(tmp_path, text, unit):
    """Training, validation and test, one after the other, are the whole text: nothing is in two parts."""
    task = Text("text", path=write(tmp_path, "text.txt", text), unit=unit, validation_share=0.2, test_share=0.2)
    try:
        symbols = task.symbols
    except ConfigError:
        return  # blanks only, or but one word
    parts = [task._corpus.parts[split] for split in SPLITS]
    together = [symbols[number] for part in parts for number in part]
    assert all(len(part) >= 2 for part in parts)
    expected = split_units(text, unit, False)
    assert len(together) == len(expected)
    assert all(mine in (theirs, "<unk>") for mine, theirs in zip(together, expected, strict=True))
    assert set(together[: len(parts[0])]) <= set(symbols) - {"<unk>"}


@IN_A_FOLDER
@given(
    count=st.integers(60, 400),
    window=st.integers(1, 12),
    horizon=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_no_window_reads_or_asks_for_a_row_of_another_part(tmp_path, count, window, horizon, seed):
    """Every row's value is its number, so that what a batch holds tells which rows it has seen."""
    path = write(tmp_path, "series.csv", "row\n" + "".join(f"{t}\n" for t in range(count)))
    task = Series("series", path=path, window=window, horizon=horizon)
    try:
        table = task._table
    except ConfigError:
        return  # too short
    seen = {split: set() for split in SPLITS}
    for split in SPLITS:
        batches = task.training(seed, 30, 1) if split == "training" else task.held_out(split, 30, 1)
        for _, batch in zip(range(10), batches, strict=False):
            read = batch.inputs[..., 0]
            asked = read[..., None] + batch.targets
            for values in (read, asked):
                numbers = np.rint(values.astype(np.float64) * table.scales[0] + table.means[0]).astype(int)
                seen[split].update(numbers.ravel().tolist())
    for split in SPLITS:
        assert seen[split] <= set(task.rows_of(split))
    gap = window + horizon
    assert task.rows_of("validation").start - task.rows_of("training").stop == gap
    assert task.rows_of("test").start - task.rows_of("validation").stop == gap
    learned = np.arange(count)[task.rows_of("training").start : task.rows_of("training").stop]
    assert table.means[0] == pytest.approx(learned.mean())


@IN_A_FOLDER
@given(texts=st.lists(st.text(alphabet="01", min_size=1, max_size=9), min_size=120, max_size=200))
def test_equal_sequences_are_in_one_part(tmp_path, texts):
    lines = [json.dumps({"sequence": text, "label": text.count("1") % 2}) for text in texts]
    try:
        task = Labelled("labelled", path=write(tmp_path, "data.jsonl", "\n".join(lines)))
        identities = {split: {example.identity for example in task.examples(split)} for split in SPLITS}
    except ConfigError:
        return  # a part without a sequence, or a label that training lacks
    assert not identities["training"] & (identities["validation"] | identities["test"])
    assert not identities["validation"] & identities["test"]
    assert sum(len(task.examples(split)) for split in SPLITS) == len(texts)
