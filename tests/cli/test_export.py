"""`archsearch export`: every combination that a person types, on a run of a second."""

import importlib.util
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from archsearch.export import formats, onnx_model
from archsearch.export.formats import FORMATS
from archsearch.run.reading import load_run


def equal_weights(one: Path, two: Path) -> bool:
    """Compares tensors: the order of the texts beside them differs from file to file."""
    first, second = load_file(one), load_file(two)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_exported_files_fit_together(archsearch, tiny_run, tmp_path):
    outcome = archsearch(
        "export", "cell=mut1", "format=[python,safetensors]", "hidden_size=6", "input_size=3", "out=out"
    )
    assert outcome.code == 0
    spec = importlib.util.spec_from_file_location("mut1_exported", tmp_path / "out/mut1.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    layer = module.Mut1(input_size=3, hidden_size=6)
    layer.load_state_dict(load_file("out/mut1.safetensors"))
    assert layer(torch.zeros(2, 1, 3))[0].shape == (2, 1, 6)
    for line in ("from mut1 import Mut1", "layer = Mut1(input_size=3, hidden_size=6, num_layers=1)"):
        assert line in outcome.out


def test_what_is_said_after_an_export_works_as_it_stands(archsearch):
    outcome = archsearch("export", "cell=mut1", "format=[python,safetensors]", "hidden_size=6", "out=my cells")
    assert "next to the file or with PYTHONPATH='my cells':" in outcome.out
    said = outcome.out.partition("Use it where")[2].splitlines()[1:]
    lines = [line.strip() for line in said if line.startswith("  ")]
    subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], check=True, env={**os.environ, "PYTHONPATH": "my cells"}, timeout=120
    )


def test_exported_trained_weights_are_those_of_the_best_trial(archsearch, tiny_run):
    accuracy = load_run(tiny_run).leaderboard().iloc[0]["accuracy_xml"]
    words = ("export", f"run={tiny_run}", "rank=1", "trained=yes", "format=safetensors")
    outcome = archsearch(*words, "out=one")
    assert outcome.code == 0
    assert f"validation accuracy {accuracy:.4f}" in outcome.out
    assert archsearch(*words, "out=two").code == 0
    (one,), (two,) = list(Path("one").iterdir()), list(Path("two").iterdir())
    assert equal_weights(one, two)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("bidirectional=yes", "format=onnx_step"), "bidirectional: "),
        (("num_layers=1", "input_size=128"), "num_layers, input_size: "),
        (("hidden_size=7",), "hidden_size: "),
        (("++seed=1",), "seed: "),
    ],
    ids=str,
)
def test_what_trained_weights_cannot_follow_is_refused(given, named, archsearch, tiny_run):
    """Also where it says what is so anyway: whoever types it may think that it counts."""
    outcome = archsearch("export", f"run={tiny_run}", "rank=1", "trained=yes", *given)
    assert outcome.code == 2
    assert f"{named}expected with trained=no only" in outcome.err
    assert not list(Path.cwd().iterdir())


def test_a_file_called_as_an_id_is_a_file_with_first_biases_too(archsearch, tmp_path):
    (tmp_path / "c_436aa42e9676d4f5.eq").write_text("h' = tanh(linear(x, h))\n")
    for biases in ("", ":linear_1=1"):
        outcome = archsearch("export", f"cell=c_436aa42e9676d4f5.eq{biases}", "hidden_size=4", f"out=out{biases[-1:]}")
        assert outcome.code == 0, outcome.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["c_436aa42e9676d4f5.py"]
    source = (tmp_path / "out1" / "c_436aa42e9676d4f5_linear_1_1.py").read_text()
    assert "class C436aa42e9676d4f5Linear11(nn.Module)" in source
    for cell in ("c_436aa42e9676d4f5", "c_nowhere.eq:linear_1=1", "c_" + "a" * 300):
        assert "an id is known in its run only" in archsearch("export", f"cell={cell}").err


def test_a_class_of_a_wrong_name_is_refused_by_the_setting(archsearch):
    refused = archsearch("export", "cell=gru", "name=warnings")
    assert refused.code == 2
    assert "name=…: expected a name for a class, got 'warnings'" in refused.err
    assert not list(Path.cwd().iterdir())


def test_fresh_weights_depend_on_the_seed_alone(archsearch):
    for seed, out in (("1", "a"), ("1", "b"), ("2", "c")):
        assert (
            archsearch("export", "cell=gru", "format=safetensors", "hidden_size=4", f"seed={seed}", f"out={out}").code
            == 0
        )
    a, b, c = (Path(out) / "gru.safetensors" for out in "abc")
    assert equal_weights(a, b)
    assert not equal_weights(a, c)


def test_trained_weights_are_written_and_files_hide_no_module(archsearch, tiny_run, tmp_path):
    (tmp_path / "torch.eq").write_text("h' = tanh(linear(x, h))\n")
    assert archsearch("export", "cell=torch.eq", "out=plain").code == 0
    assert [path.name for path in (tmp_path / "plain").iterdir()] == ["cell_torch.py"]
    assert archsearch("export", f"run={tiny_run}", "rank=1", "trained=yes", "task=xml", "out=trained").code == 0
    assert sorted(path.suffix for path in (tmp_path / "trained").iterdir()) == [".py", ".safetensors"]


def printed_program(out: str) -> str:
    """Returns the lines of Python that an export ends with."""
    return "\n".join(line[2:] for line in out.splitlines() if line.startswith("  "))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("format=[python]",), "output, last = layer(torch.zeros(2, 5, 3))"),
        (("format=[python,safetensors]",), "output, last = layer(torch.zeros(2, 5, 3))"),
        (("format=safetensors",), "output, last = layer(torch.zeros(2, 5, 3))"),
        (("format=[python,safetensors]", "bidirectional=yes", "num_layers=2"), "assert layer.bidirectional"),
        (("format=json",), "output, last = layer(torch.zeros(2, 5, 3))"),
        (("format=[equations,svg]",), "output, last = layer(torch.zeros(2, 5, 3))"),
        (("format=onnx", "cell=lstm"), "assert output.shape == (2, 5, 4) and c_n.shape == (1, 5, 4)"),
        (("format=onnx_step", "cell=lstm"), "assert output.shape == (5, 4) and c_n.shape == (1, 5, 4)"),
        (("format=torch_program", "cell=lstm"), "assert output.shape == (2, 5, 4) and c_n.shape == (1, 5, 4)"),
    ],
    ids=str,
)
def test_the_printed_lines_run(options, code, archsearch):
    """As they stand, in the folder of the files."""
    cell = () if any(option.startswith("cell=") for option in options) else ("cell=mut1",)
    outcome = archsearch("export", *cell, *options, "hidden_size=4", "input_size=3", "out=.")
    assert outcome.code == 0, outcome.err
    arrays = "import numpy as np\nimport torch\n"
    shape = "(5, 3)" if "format=onnx_step" in options else "(2, 5, 3)"
    make = "torch.zeros" if "format=torch_program" in options else "np.float32(0) * np.ones"
    tail = "" if make == "torch.zeros" else ".astype(np.float32)"
    arrays += f"x = ({make}({shape})){tail}\nh_0 = c_0 = ({make}((1, 5, 4))){tail}\n"
    program = arrays + printed_program(outcome.out) + "\n" + code
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, program + done.stderr


def test_all_formats(archsearch):
    outcome = archsearch("export", "cell=gru", "format=all", "hidden_size=4", "input_size=3", "out=here")
    assert outcome.code == 0, outcome.err
    assert {path.name for path in Path("here").iterdir()} == {f"gru{kind.ending}" for kind in FORMATS.values()}
    wrote = [line for line in outcome.out.splitlines() if line.startswith("Wrote ")]
    assert len(wrote) == len(FORMATS)
    for line, kind in zip(wrote, FORMATS.values(), strict=True):
        assert line.split()[1] == f"here/gru{kind.ending}"
        assert "equal to the layer within" in line or "well-formed" in line


def test_a_cell_that_amplifies_rounding_is_exported(archsearch, tmp_path):
    (tmp_path / "steep.eq").write_text("h' = tanh(1000*x - 999*h)\n")
    outcome = archsearch("export", "cell=steep.eq", "format=all", "hidden_size=4", "input_size=4")
    assert outcome.code == 0, outcome.err


def test_all_stands_alone(archsearch):
    outcome = archsearch("export", "cell=gru", "format=[all,python]")
    assert outcome.code == 2
    assert "format: expected all alone" in outcome.err
    assert "Did you mean" not in outcome.err


def test_drawings_alone_need_no_advice(archsearch):
    outcome = archsearch("export", "cell=gru", "format=[svg,dot,mermaid]")
    assert outcome.code == 0
    assert outcome.out.count("\n") == 3


def test_a_file_that_is_not_the_layer_is_reported(archsearch, monkeypatch):
    def write_wrongly(layer, path):
        FORMATS["equations"].write(layer, path)
        path.write_text(path.read_text().replace("tanh", "sigmoid"))

    wrong = replace(FORMATS["json"], write=write_wrongly, verify=FORMATS["equations"].verify)
    monkeypatch.setitem(formats.FORMATS, "json", wrong)
    outcome = archsearch("export", "cell=gru", "format=[python,json]")
    assert outcome.code == 1
    assert "exported/gru.json: expected the numbers of the layer within 1e-05, got a difference of inf" in outcome.err
    assert "report" in outcome.err
    assert "Wrote exported/gru.py" in outcome.out
    assert "Wrote exported/gru.json" not in outcome.out
    assert [path.name for path in Path("exported").iterdir()] == ["gru.py"]


def test_a_file_that_cannot_be_read_back_is_reported(archsearch, monkeypatch):
    monkeypatch.setitem(
        formats.FORMATS, "svg", replace(FORMATS["svg"], write=lambda _layer, path: path.write_text("<svg>"))
    )
    outcome = archsearch("export", "cell=gru", "format=svg")
    assert outcome.code == 1
    assert "exported/gru.svg: expected well-formed XML" in outcome.err
    assert not list(Path("exported").iterdir())


@pytest.mark.parametrize("name", ["safetensors", "onnx", "torch_program", "json"])
def test_a_full_disk_is_said_and_leaves_nothing(name, archsearch, monkeypatch):
    """A limit on the size of files stands in for it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_without_room(layer, path):
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            kind.write(layer, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    kind = FORMATS[name]
    monkeypatch.setitem(formats.FORMATS, name, replace(kind, write=write_without_room))
    outcome = archsearch("export", "cell=gru", f"format={name}", "hidden_size=4", "input_size=3")
    assert outcome.code == 1
    assert f"exported/gru{kind.ending}: cannot be written: " in outcome.err
    assert not list(Path("exported").iterdir())


def test_a_missing_package_is_said_before_anything_is_written(archsearch, monkeypatch):
    monkeypatch.setattr(onnx_model, "find_spec", lambda _name: None)
    outcome = archsearch("export", "cell=gru", "format=[python,onnx]")
    assert outcome.code == 2
    assert "'.[onnx]'" in outcome.err
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("hidden_size=13000",), "hidden_size: expected a layer of at most 1,000,000,000 weights, got 1,014,039,000."),
        (("hidden_size=10000", "bidirectional=yes"), "got 1,200,060,000. Lower hidden_size"),
        (("hidden_size=8000", "num_layers=2", "bidirectional=yes"), "got 1,920,096,000. Lower hidden_size"),
        (("hidden_size=10000", "format=[python,onnx]"), "format onnx: expected a layer of at most 520,093,696 weights"),
        (
            ("hidden_size=10000", "format=onnx_step"),
            "format onnx_step: expected a layer of at most 520,093,696 weights",
        ),
    ],
    ids=str,
)
def test_what_fits_into_no_memory_or_file_is_refused_before_it_is_built(options, message, archsearch):
    size = options[0].removeprefix("hidden_size=")
    outcome = archsearch("export", "cell=gru", f"input_size={size}", *options)
    assert outcome.code == 2
    assert message in outcome.err
    assert not list(Path.cwd().iterdir())


def test_one_direction_formats_refuse_two_before_anything_is_written(archsearch):
    outcome = archsearch("export", "cell=gru", "format=[python,onnx_step]", "bidirectional=yes")
    assert outcome.code == 2
    assert "format onnx_step: expected bidirectional=no" in outcome.err
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("file", "module"),
    [("class.eq", "cell_class"), ("int.eq", "int"), ('a"""b.eq', "a___b"), ("exception.eq", "exception")],
)
def test_files_of_strange_names_become_safe_ones(file, module, archsearch, tmp_path):
    (tmp_path / file).write_text("h' = tanh(linear(x, h))\n")
    outcome = archsearch("export", f"cell={file}", "out=here", "format=[python,safetensors]")
    assert outcome.code == 0, outcome.err
    assert {path.stem for path in Path("here").iterdir()} == {module}
    done = subprocess.run(
        [sys.executable, "-c", printed_program(outcome.out).replace("'here/", "'")],
        capture_output=True,
        text=True,
        check=False,
        cwd="here",
    )
    assert done.returncode == 0, done.stderr
