"""Content ids of data, and data that is made once."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Barrier, Thread

import pytest

from pybench.data.manifest import content_id, made, make_room


def write(folder: Path) -> None:
    folder.mkdir()
    (folder / "a").write_text("one")


def test_data_is_made_once_however_many_ask(tmp_path: Path) -> None:
    together, calls = Barrier(4), []

    def make(folder: Path) -> None:
        calls.append(folder)
        write(folder)

    def ask() -> None:
        together.wait()
        assert made(tmp_path / "data", make).is_dir()

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert (tmp_path / "data" / "a").read_text() == "one"


def test_a_maker_that_fails_leaves_nothing_that_looks_done(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        write(folder)
        msg = "disk full"
        raise OSError(msg)

    with pytest.raises(OSError, match="disk full"):
        made(tmp_path / "data", half)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.lock"]


def test_what_a_killed_maker_left_is_swept(tmp_path: Path) -> None:
    def die(folder: Path) -> None:
        write(folder)
        (folder / "torn").write_text("half")
        os._exit(1)

    child = os.fork()
    if child == 0:
        made(tmp_path / "data", die)
    os.waitpid(child, 0)
    assert not (tmp_path / "data").exists()
    made(tmp_path / "data", write)
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == ["a"]


def test_the_content_id_is_of_names_and_bytes_and_not_of_places_and_times(tmp_path: Path) -> None:
    for place in ("here", "there"):
        write(tmp_path / place)
    os.utime(tmp_path / "there" / "a", (1, 1))
    here, there = (
        content_id([tmp_path / place / "a"], tmp_path / place, tmp_path / "cache")
        for place in ("here", "there")
    )
    assert here == there
    (tmp_path / "there" / "a").write_text("two")
    assert content_id([tmp_path / "there" / "a"], tmp_path / "there", tmp_path / "cache") != here


def test_what_was_used_longest_ago_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, name in enumerate(("old", "new", "newest")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bytes").write_bytes(b"x" * 1000)
        os.utime(tmp_path / name, (age, age))
    monkeypatch.setenv("PYBENCH_CACHE_GIB", str(3000 / 2**30))
    make_room(tmp_path, 900)
    assert {entry.name for entry in tmp_path.iterdir()} == {"new", "newest"}
    make_room(tmp_path, 900)
    assert {entry.name for entry in tmp_path.iterdir()} == {"new", "newest"}
