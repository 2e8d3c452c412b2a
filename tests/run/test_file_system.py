"""Where a journal lies decides how it is kept."""

import pytest

from archsearch.run import file_system
from archsearch.run.file_system import file_system_of, is_network, journal_mode
from archsearch.run.journal import Journal

MOUNTS = r"""
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:30 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
31 30 0:31 / /home/me/fast rw - xfs /dev/sdb rw
32 21 0:32 / /mnt/my\040share rw master:3 propagate_from:2 - cifs //server/share rw
33 21 0:33 / /mnt/sftp rw - fuse.sshfs me@server: rw
34 21 0:34 / /mnt/scratch rw - lustre server:/scratch rw
35 21 0:35 / /over rw - nfs server:/over rw
36 21 0:36 / /over rw - tmpfs tmpfs rw
a line that makes no sense
"""


@pytest.fixture
def mounts(tmp_path, monkeypatch):
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS)
    monkeypatch.setattr(file_system, "MOUNTS", path)


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/run.db", "ext4", False),
        ("/home/me/run.db", "nfs4", True),
        ("/homeless/run.db", "ext4", False),
        ("/home/me/fast/run.db", "xfs", False),
        ("/mnt/my share/run.db", "cifs", True),
        ("/mnt/sftp", "fuse.sshfs", True),
        ("/mnt/scratch/a/b", "lustre", True),
        ("/over/run.db", "tmpfs", False),
    ],
)
def test_the_innermost_and_last_mount_decides(tmp_path, path, kind, network):
    from pathlib import Path

    assert file_system_of(Path(path)) == kind
    assert is_network(Path(path)) is network
    assert journal_mode(Path(path)) == ("DELETE" if network else "WAL")


def test_without_a_list_of_mounts_a_disk_is_taken_for_local(tmp_path, monkeypatch):
    monkeypatch.setattr(file_system, "MOUNTS", tmp_path / "missing")
    assert file_system_of(tmp_path) == ""
    assert journal_mode(tmp_path) == "WAL"


def test_the_environment_has_the_last_word(tmp_path, monkeypatch):
    monkeypatch.setenv("ARCHSEARCH_JOURNAL_MODE", "delete")
    assert journal_mode(tmp_path) == "DELETE"


@pytest.mark.parametrize(("mode", "beside"), [("wal", True), ("delete", False)])
def test_the_journal_is_kept_in_that_mode(tmp_path, monkeypatch, mode, beside):
    monkeypatch.setenv("ARCHSEARCH_JOURNAL_MODE", mode)
    journal = Journal.create(tmp_path / "archsearch.db")
    journal.note("name", "value")
    assert (tmp_path / "archsearch.db-wal").exists() is beside
    reader = Journal.open(tmp_path / "archsearch.db", read_only=True)
    journal.note("name", "another")
    assert reader.about("name") == "another"
    reader.close()
    journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["archsearch.db"]
