"""Compiling and keeping compiled cells: everything that can be wrong with a compiler or a folder.

Compilers that misbehave are shell scripts; only whole programs are built by the real one.
"""

import ctypes
import errno
import logging
import os
import pickle
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest
import torch
from shared_unrolling import why_not_native

from archsearch.compiler import engines
from archsearch.compiler.engines import choose_engine, prepare
from archsearch.compiler.interpreter import Interpreter
from archsearch.compiler.layer import RecurrentLayer
from archsearch.compiler.lower import lower
from archsearch.compiler.native import build as build_module
from archsearch.compiler.native import compiled, cpu, engine
from archsearch.compiler.native.build import CompilerLostError, build
from archsearch.errors import EngineError
from archsearch.graph.equations import parse_equations

SOURCE = '#include "vector.h"\nREAL answer(void) { return 42 + sizeof(REAL); }\n'
CACHED = [cpu.compiler, cpu.flags, cpu.machine_digest, build_module.cache_folder, compiled.runtime]
CACHED += [engines._fastest, engines._say_once]


@cache
def real_compiler():
    return shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A cache of its own, in a process that has compiled nothing yet."""
    if why_not_native() is not None:
        pytest.skip(why_not_native())
    real_compiler()
    folder = tmp_path / "cache"
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(folder))
    monkeypatch.delenv("CC", raising=False)
    forget()
    yield folder / "native"
    monkeypatch.undo()
    forget()


def forget():
    for function in CACHED:
        function.cache_clear()
    build_module._loaded.clear()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Returns a function that makes a shell script the compiler; it writes a line per compilation to `log`."""

    def install(commands):
        script = tmp_path / "compiler"
        log = tmp_path / "log"
        log.touch()
        script.write_text(
            '#!/bin/sh\nif [ "$1" = --version ]; then echo compiler 1.0; exit 0; fi\n'
            f"echo run >> {log}\nreal={real_compiler()}\n{commands}\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("CC", str(script))
        forget()
        return log

    return install


def answer(library):
    function = library.functions.answer
    function.restype = ctypes.c_float
    return function()


def program():
    return lower(parse_equations("h' = tanh(linear(x, h)) - h"))


def objects(folder):
    return sorted(folder.glob("*.so"))


def assert_tidy(folder):
    assert [path for path in folder.iterdir() if path.suffix != ".so"] == []


def test_a_program_is_compiled_once_and_found_again(folder, install):
    log = install('exec "$real" "$@"')
    assert answer(build(SOURCE, "float")) == 46
    for _ in range(2):
        assert answer(build(SOURCE, "float")) == 46
        forget()
    assert log.read_text() == "run\n"
    assert len(objects(folder)) == 1
    build(SOURCE, "double")
    build(SOURCE.replace("42", "43"), "float")
    assert log.read_text() == "run\n" * 3
    assert len(objects(folder)) == 3
    assert_tidy(folder)


def test_finding_is_fast():
    build(SOURCE, "float")
    seconds = []
    for _ in range(3):
        build_module._loaded.clear()
        start = time.perf_counter()
        build(SOURCE, "float")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.05


def test_what_is_loaded_is_shared(install):
    log = install('exec "$real" "$@"')
    library = build(SOURCE, "float")
    assert build(SOURCE, "float") is library
    assert log.read_text() == "run\n"


def assert_refused(message):
    """Native refuses, and auto runs the interpreter."""
    with pytest.raises(EngineError, match=message) as caught:
        build(SOURCE, "float")
    assert "engine=interpreter" in str(caught.value) or "Unset CC" in str(caught.value)
    with pytest.raises(EngineError, match=message):
        choose_engine("native")
    assert choose_engine("auto") == "interpreter"
    run = prepare("auto", program())
    assert run._native is None
    assert isinstance(run._interpreter, Interpreter)


def test_no_compiler(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing here"))
    with caplog.at_level(logging.WARNING):
        assert_refused(r"no C compiler found, expected cc, gcc or clang on the PATH\. Install one")
    assert len(caplog.records) == 1
    assert "the slower interpreter runs instead" in caplog.text


@pytest.mark.parametrize("has_compiler_first", [True, False])
def test_a_saved_layer_is_run_by_what_works_where_it_is_loaded(monkeypatch, tmp_path, has_compiler_first):
    x, path = torch.randn(4, 2, 3), os.environ["PATH"]
    results, engine_names = [], []
    saved = None
    for has_compiler in (has_compiler_first, not has_compiler_first):
        monkeypatch.setenv("PATH", path if has_compiler else str(tmp_path / "nothing here"))
        forget()
        layer = RecurrentLayer("gru", 3, 4) if saved is None else pickle.loads(saved)  # noqa: S301
        engine_names.append("interpreter" if layer.unroll._native is None else "native")
        results.append(layer(x)[0])
        saved = pickle.dumps(layer)
    assert engine_names == (["native", "interpreter"] if has_compiler_first else ["interpreter", "native"])
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["nonsense", "/no/such/compiler -O3", "   "])
def test_a_compiler_that_does_not_exist(monkeypatch, name):
    monkeypatch.setenv("CC", name)
    assert_refused(f"CC is '{name}', which is no command here. Unset CC")


def test_a_compiler_with_options(monkeypatch):
    monkeypatch.setenv("CC", f"{real_compiler()} -DUNUSED=1")
    assert answer(build(SOURCE, "float")) == 46


def test_a_compiler_that_fails(folder, install):
    log = install("echo 'cell.c:1: error: the disk is on fire' >&2; exit 1")
    assert_refused("compiler failed: cell.c:1: error: the disk is on fire. Set CC")
    assert "run" in log.read_text()
    assert objects(folder) == []
    assert_tidy(folder)


def test_a_compiler_that_fails_silently(folder, install):
    install("exit 3")
    assert_refused("compiler failed: exit code 3")


KILLED = "echo 'gcc: fatal error: Killed signal terminated program cc1' >&2; exit 1"


@pytest.mark.parametrize("end", ["kill -9 $$", KILLED])
def test_a_compiler_that_was_ended_from_outside_is_run_again(folder, install, tmp_path, monkeypatch, end):
    monkeypatch.setattr(build_module, "PAUSE_SECONDS", 0)
    first = f"if [ ! -e {tmp_path}/ended ]; then touch {tmp_path}/ended; {end}; fi"
    log = install(f'{first}\nexec "$real" "$@"')
    assert answer(build(SOURCE, "float")) == 46
    assert log.read_text() == "run\n" * 2
    assert_tidy(folder)


@pytest.mark.parametrize(
    ("commands", "is_lost"),
    [
        ("kill -9 $$", True),
        ("kill -SEGV $$", False),
        (KILLED, True),
        ("echo 'cc1: out of memory allocating 65536 bytes' >&2; exit 1", True),
        ("echo 'as: cell.s: No space left on device' >&2; exit 1", True),
        ("echo 'cell.c:1: error: of the cell' >&2; exit 1", False),
    ],
)
def test_losses_of_the_compiler_are_told_from_failures(install, monkeypatch, commands, is_lost):
    monkeypatch.setattr(build_module, "PAUSE_SECONDS", 0)
    run = engine.NativeEngine(program())
    log = install(commands)
    for _ in range(2):  # the second time it is known
        with pytest.raises(EngineError, match="compiler failed: ") as caught:
            run.code(torch.float32)
        assert isinstance(caught.value, CompilerLostError) == is_lost
    assert log.read_text() == "run\n" * (2 if is_lost else 1)


@pytest.mark.parametrize(("number", "is_lost"), [(errno.EAGAIN, True), (errno.ENOMEM, True), (errno.EACCES, False)])
def test_no_room_for_one_more_process(monkeypatch, number, is_lost):
    monkeypatch.setattr(build_module, "PAUSE_SECONDS", 0)
    build_module.machine_digest()

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(EngineError, match="cannot be started") as caught:
        build(SOURCE, "float")
    assert isinstance(caught.value, CompilerLostError) == is_lost


def test_a_compiler_that_cannot_be_started(tmp_path, monkeypatch):
    script = tmp_path / "compiler"
    script.write_text("#!/no/such/shell\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    assert_refused("--version failed|cannot be started")


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_compiler_that_hangs_is_ended_with_its_children(folder, install, tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "COMPILE_SECONDS", 0.3)
    monkeypatch.setattr(build_module, "PAUSE_SECONDS", 0)
    install(f"sleep 600 & echo $! $$ >> {tmp_path}/processes; wait")
    with pytest.raises(CompilerLostError, match=r"did not finish within 0\.3 s\. Set CC"):
        build(SOURCE, "float")
    processes = (tmp_path / "processes").read_text().split()
    assert len(processes) == 2 * 2
    assert not any(map(is_alive, processes))
    assert_tidy(folder)


def test_a_compiler_that_writes_garbage(folder, install):
    install("head -c 5000 /dev/urandom > cell.so")
    assert_refused("cannot be loaded")
    install('exec "$real" "$@"')
    assert answer(build(SOURCE, "float")) == 46


def test_a_compiler_that_writes_nothing(folder, install):
    install("exit 0")
    assert_refused("engine native: ")


def test_a_file_where_the_folder_should_be(tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("here first")
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(blocked))
    forget()
    with caplog.at_level(logging.WARNING):
        assert answer(build(SOURCE, "float")) == 46
        build_module._loaded.clear()
        assert answer(build(SOURCE, "float")) == 46
    assert blocked.read_text() == "here first"
    assert len(caplog.records) == 1
    assert "cannot be kept" in caplog.text
    assert "Set ARCHSEARCH_CACHE" in caplog.text


def test_missing_folders_are_made(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHSEARCH_CACHE", str(tmp_path / "a" / "b c" / "ü"))
    build_module.cache_folder.cache_clear()
    assert answer(build(SOURCE, "float")) == 46
    assert len(objects(tmp_path / "a" / "b c" / "ü" / "native")) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(folder, caplog):
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    with caplog.at_level(logging.WARNING):
        assert answer(build(SOURCE, "float")) == 46
    assert "cannot be kept" in caplog.text


def test_a_folder_that_vanishes(folder, caplog):
    build(SOURCE, "float")
    shutil.rmtree(folder)
    assert answer(build(SOURCE.replace("42", "41"), "float")) == 45


def fill_disk(folder, monkeypatch):
    """Every write below a folder fails from now on."""
    write_text = Path.write_text

    def refuse(path, *arguments, **options):
        if folder in path.parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", refuse)


def test_a_full_disk(folder, monkeypatch, caplog):
    build(SOURCE, "double")
    fill_disk(folder, monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert answer(build(SOURCE, "float")) == 46
    assert "No space left" in caplog.text
    assert len(objects(folder)) == 1
    assert_tidy(folder)


def test_a_disk_that_the_compiler_finds_full(folder, install, monkeypatch, caplog):
    install(f'case "$PWD" in {folder}*) echo "No space left on device" >&2; exit 1;; esac; exec "$real" "$@"')
    usage = shutil.disk_usage(folder.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with caplog.at_level(logging.WARNING):
        assert answer(build(SOURCE, "float")) == 46
    assert "No space left" in caplog.text


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda content: content[: len(content) // 2], id="cut off"),
        pytest.param(lambda content: content[:-1], id="one byte short"),
        pytest.param(lambda content: content[:2000] + b"\xff" + content[2001:], id="one byte changed"),
        pytest.param(lambda _: b"no object" * 1000, id="something else"),
    ],
)
def test_a_spoilt_object_is_compiled_anew(folder, install, spoil):
    log = install('exec "$real" "$@"')
    build(SOURCE, "float")
    (path,) = objects(folder)
    whole = path.read_bytes()
    path.unlink()  # a new file: the old one may still be mapped
    path.write_bytes(spoil(whole))
    assert path.read_bytes() != whole
    forget()
    assert answer(build(SOURCE, "float")) == 46
    assert log.read_text() == "run\n" * 2
    assert objects(folder) == [path]


def test_a_folder_where_the_object_should_be(folder):
    build(SOURCE, "float")
    (path,) = objects(folder)
    path.unlink()
    path.mkdir()
    forget()
    assert answer(build(SOURCE, "float")) == 46


def test_an_object_of_another_processor_is_not_used(folder, install, monkeypatch):
    log = install('exec "$real" "$@"')
    build(SOURCE, "float")
    monkeypatch.setattr(build_module, "machine_digest", lambda: "another one")
    forget_without_digest = [function for function in CACHED if function is not cpu.machine_digest]
    for function in forget_without_digest:
        function.cache_clear()
    build_module._loaded.clear()
    assert answer(build(SOURCE, "float")) == 46
    assert log.read_text() == "run\n" * 2
    assert len(objects(folder)) == 2


def test_the_digest_of_a_machine_tells_processors_and_compilers_apart(monkeypatch, install):
    digests = {cpu.machine_digest()}
    monkeypatch.setattr(cpu, "_processor", lambda: "flags: another one")
    cpu.machine_digest.cache_clear()
    digests.add(cpu.machine_digest())
    install("exit 0")
    digests.add(cpu.machine_digest())
    monkeypatch.setattr(cpu, "_FLAGS", (*cpu._FLAGS, "-O1"))
    forget()
    digests.add(cpu.machine_digest())
    assert len(digests) == 4


def test_several_processes_build_the_same_at_once(folder, install):
    log = install('sleep 0.2; exec "$real" "$@"')
    command = (
        "import ctypes, sys\nfrom archsearch.compiler.native.build import build\n"
        "sys.stdin.read()\nlibrary = build(sys.argv[1], 'float')\n"
        "library.functions.answer.restype = ctypes.c_float\nprint(library.functions.answer())"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", command, SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in processes:  # they wait for their input to end
        process.stdin.close()
    answers = [process.stdout.read().strip() for process in processes]
    assert [process.wait() for process in processes] == [0] * 4
    assert answers == ["46.0"] * 4
    assert 1 <= len(log.read_text().splitlines()) <= 4
    assert len(objects(folder)) == 1
    assert_tidy(folder)
    for process in processes:
        process.stdout.close()


def test_old_objects_are_removed_where_there_are_too_many(folder, monkeypatch):
    monkeypatch.setattr(build_module, "MAX_CACHED", 10)
    folder.mkdir(parents=True)
    for index in range(11):
        path = folder / f"{index:02}.so"
        path.write_text("old")
        os.utime(path, (index, index))
    build_module._prune(folder)
    assert [path.name for path in objects(folder)] == [f"{index:02}.so" for index in range(5, 11)]
    build_module._prune(folder)
    assert len(objects(folder)) == 6


def test_a_failure_later_falls_back_too(install, monkeypatch, caplog):
    """The compiler breaks after the start of a run: auto goes on with the interpreter, native says why."""
    import torch

    monkeypatch.setattr(engine, "check_native", lambda *_: None)
    install("echo broken >&2; exit 1")
    x, states = torch.zeros(2, 1, 3), (torch.ones(1, 1, 3),)
    parameters = {name: torch.ones(3, 3) for name in ("new_1.weight", "new_2.weight")}
    cell = lower(parse_equations("h' = tanh(x) - h"))
    run = prepare("auto", cell)
    with caplog.at_level(logging.WARNING):
        output, _ = run(x, states, parameters)
    assert torch.equal(output, Interpreter(cell)(x, states, parameters)[0])
    assert "broken" in caplog.text
    with pytest.raises(EngineError, match="broken"):
        engine.NativeEngine(cell)(x, states, parameters)


def test_a_compiler_that_fails_is_asked_once(folder, install):
    """With `auto` the interpreter runs; what failed, or hung, is not tried again at every call."""
    cell = lower(parse_equations("h' = tanh(x * h)"))
    run = prepare("auto", cell)
    log = install("exit 1")
    for _ in range(3):
        output, _ = run(torch.ones(2, 1, 4), (torch.ones(1, 1, 4),), {})
        assert output.shape == (2, 1, 4)
    assert len(log.read_text().splitlines()) == 1
