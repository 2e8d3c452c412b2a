"""Music's files: what cannot be used is refused, whatever scipy makes of it."""

import numpy as np
import pytest
from scipy.io import savemat

from archsearch.errors import ConfigError
from archsearch.tasks.music import Music

FAULTS = {
    "empty": b"",
    "a text": b"to be or not to be" * 40,
    "MATLAB 7.3": b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(1_000),
}


def refuse(folder) -> None:
    with pytest.raises(
        ConfigError, match=r"Nottingham\.mat: expected a MATLAB file with traindata, .* Get it again from"
    ):
        Music("music", path=str(folder)).digest  # noqa: B018 - reading is what is tested


@pytest.mark.parametrize("fault", FAULTS)
def test_files_that_cannot_be_used(fault, tmp_path):
    (tmp_path / "Nottingham.mat").write_bytes(FAULTS[fault])
    refuse(tmp_path)


def test_damaged_files(tmp_path):
    """Compressed and cut off, or with bytes that another program has changed."""
    path = tmp_path / "Nottingham.mat"
    savemat(path, {"traindata": np.random.default_rng(1).random((40, 40))}, do_compression=True)
    whole = path.read_bytes()
    for content in (whole[:200], whole[:1_000] + bytes(500) + whole[1_500:]):
        path.write_bytes(content)
        refuse(tmp_path)


@pytest.mark.parametrize(
    ("path", "message"),
    [(5, "path: expected the text of a folder's path, got 5"), ("~nobody-of-archsearch/a", "no such user's home")],
)
def test_paths_that_cannot_be(path, message):
    with pytest.raises(ConfigError, match=f"task music, .*{message}"):
        Music("music", path=path).digest  # noqa: B018
