"""Files that commands make: what comes to their place meanwhile is never overwritten."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from archsearch.cli import evaluate, predict
from archsearch.cli.exits import LateError
from archsearch.cli.new_files import put_in_place, write_new
from archsearch.export import formats
from archsearch.export.formats import FORMATS
from archsearch.export.weights import load_weights


@pytest.fixture(params=["links", "no links"])
def file_system(request, monkeypatch):
    """A file system with hard links, and one without."""

    def refuse(source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("file_system")
def test_a_finished_file_takes_a_free_place_only(tmp_path):
    path = tmp_path / "result.txt"
    write_new(path, "ours")
    assert path.read_text() == "ours"
    assert path.stat().st_nlink == 1
    for number in (1, 2):
        with pytest.raises(
            LateError, match=rf"result\.txt: expected no such file.* made is in .*result_{number}\.txt\.$"
        ):
            write_new(path, f"ours again {number}")
    assert [path.read_text(), (tmp_path / "result_2.txt").read_text()] == ["ours", "ours again 2"]
    (tmp_path / "finished").write_text("finished")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    with pytest.raises(LateError, match="meanwhile"):
        put_in_place(tmp_path / "finished", tmp_path / "nowhere")
    assert (tmp_path / "nowhere").is_symlink()
    assert (tmp_path / "nowhere_1").read_text() == "finished"
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.usefixtures("file_system")
def test_a_folder_that_is_gone_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_new(tmp_path / "gone" / "result.txt", "ours")


@pytest.mark.usefixtures("file_system")
def test_an_export_that_is_overtaken_leaves_what_came(archsearch, monkeypatch):
    def write_and_be_overtaken(layer, path):
        FORMATS["equations"].write(layer, path)
        Path("exported/gru.json").write_text("theirs")

    kind = replace(FORMATS["json"], write=write_and_be_overtaken, verify=FORMATS["equations"].verify)
    monkeypatch.setitem(formats.FORMATS, "json", kind)
    outcome = archsearch("export", "cell=gru", "format=json", "hidden_size=4")
    assert outcome.code == 1
    assert "exported/gru.json: expected no such file" in outcome.err
    assert Path("exported/gru.json").read_text() == "theirs"
    assert sorted(path.name for path in Path("exported").iterdir()) == ["gru.json", "gru_1.json"]


def test_a_prediction_that_is_overtaken_leaves_what_came(archsearch, monkeypatch):
    def forecast(predictor, root):
        Path("forecast.csv").write_text("theirs")
        return "ours"

    monkeypatch.setattr(predict, "load_predictor", str)
    monkeypatch.setattr(predict, "_how_well", str)
    monkeypatch.setattr(predict, "_forecast", forecast)
    outcome = archsearch("predict", "model=m", "input=waves.csv", "out=forecast.csv")
    assert outcome.code == 1
    assert "forecast.csv: expected no such file" in outcome.err
    assert [Path(name).read_text() for name in ("forecast.csv", "forecast_1.csv")] == ["theirs", "ours\n"]


def test_weights_of_a_training_that_is_overtaken_are_kept_beside_what_came(archsearch, monkeypatch):
    """Training takes hours."""

    def print_result(*given):
        Path("w.safetensors").write_text("theirs")

    monkeypatch.setattr(evaluate, "print_result", print_result)
    small = ("steps=2", "setting.max_parameters=2000", "task.xml.validation_size=700")
    outcome = archsearch("evaluate", "cell=gru", "task=xml", *small, "save=w.safetensors")
    assert outcome.code == 1
    assert "w.safetensors: expected no such file" in outcome.err
    assert Path("w.safetensors").read_text() == "theirs"
    assert load_weights("w_1.safetensors").metadata["task"] == "xml"
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["w.safetensors", "w_1.safetensors"]
