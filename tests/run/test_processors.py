"""The processors that a search counts are those that it may use."""

import os

import pytest

from archsearch.run.processors import num_processors


@pytest.fixture
def count(monkeypatch, tmp_path):
    """Returns a function that counts the processors of a machine with eight, of which Linux shows some files."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)

    def count_with(own_groups: str, files: dict[str, str]) -> int:
        own = tmp_path / "own"
        own.write_text(own_groups)
        for name, text in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return num_processors(tmp_path / "groups", own)

    return count_with


@pytest.mark.parametrize(
    ("quota", "processors"),
    [("max 100000\n", 8), ("200000 100000\n", 2), ("250000 100000\n", 3), ("20000 100000\n", 1), ("9900000 100000", 8)],
)
def test_a_quota_counts(count, quota, processors):
    assert count("0::/\n", {"cpu.max": quota}) == processors


def test_quotas_of_all_groups_above_count(count):
    files = {"jobs/cpu.max": "300000 100000", "jobs/mine/cpu.max": "max 100000", "others/cpu.max": "100000 100000"}
    assert count("0::/jobs/mine\n", files) == 3


def test_quotas_of_the_first_version_of_control_groups_count(count):
    files = {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}
    files |= {"cpu/box/cpu.cfs_quota_us": "400000\n", "cpu/box/cpu.cfs_period_us": "100000\n"}
    assert count("4:memory:/box\n2:cpu,cpuacct:/box\n", files) == 4
    assert count("2:cpu,cpuacct:/\n", {}) == 8


def test_where_there_is_nothing_to_read_the_processors_count(count, tmp_path):
    assert count("noise\n0::/somewhere\n", {"cpu.max": "no number"}) == 8
    assert num_processors(tmp_path, tmp_path / "missing") == 8
