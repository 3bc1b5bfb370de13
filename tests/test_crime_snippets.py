"""The generated features: the real counts, no shortcut, the same numbers for the same seed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pybench.data import check, crime_snippets, ucf
from pybench.data.crime_audit import Views, markdown, table, views
from pybench.data.crime_snippets import COUNTS, MEDIAN_SHARE, SNIPPETS, World, events
from pybench.data.snippets import SNIPPET_FRAMES


@pytest.fixture(scope="module")
def drawn():
    return list(events(World()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("anomaly") / "made"
    crime_snippets.make(made, scale=0.01, seed=3, crops=2, width=64)
    return made


def test_every_class_has_the_real_numbers_of_videos(drawn):
    counts = Counter((event.of, event.test) for event in drawn)
    assert len(drawn) == 1900
    assert counts == {
        (of, test): sizes[test] for of, sizes in COUNTS.items() for test in (False, True)
    }
    assert len({event.name for event in drawn}) == 1900


def test_lengths_and_intervals_have_the_real_statistics(drawn):
    lengths = np.array([event.snippets for event in drawn])
    assert SNIPPETS[0] <= lengths.min() <= lengths.max() <= SNIPPETS[1]
    assert np.median(lengths) == pytest.approx(118, rel=0.1)
    abnormal = [event for event in drawn if event.intervals]
    assert len(abnormal) == 950
    assert 0.05 < np.mean([len(event.intervals) == 2 for event in abnormal]) < 0.17
    for of, share in MEDIAN_SHARE.items():
        found = [
            sum(end - begin for begin, end in event.intervals) / (SNIPPET_FRAMES * event.snippets)
            for event in abnormal
            if event.of == of
        ]
        assert np.median(found) == pytest.approx(share, rel=0.35), of


def test_intervals_lie_inside_their_video_one_after_the_other(drawn):
    for event in drawn:
        ends = [end for interval in event.intervals for end in interval]
        assert ends == sorted(set(ends))
        assert not ends or (ends[0] >= 0 and ends[-1] <= SNIPPET_FRAMES * event.snippets)


def test_the_generator_is_frozen_under_its_version():
    # Another hash means other data: raise VERSION, run the audit again, write the new pair here.
    assert (crime_snippets.VERSION, crime_snippets.fingerprint()) == FROZEN


FROZEN = ("1", "0cda975e56f223513182f98fa59ea81a")


def test_the_folder_is_read_back_by_the_reader_of_the_real_one(folder: Path):
    found = check("ucf", folder)
    assert found["problems"] == []
    assert (found["crops"], found["width"], found["frame_truth"]) == (2, 64, True)
    log = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert Counter(event["of"] for event in log) == found["counts"]


def test_the_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path):
    crime_snippets.make(tmp_path / "again", scale=0.01, seed=3, crops=2, width=64)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        other = tmp_path / "again" / path.relative_to(folder)
        assert path.read_bytes() == other.read_bytes(), path
    crime_snippets.make(tmp_path / "other", scale=0.01, seed=4, crops=2, width=64)
    name = ucf.read(folder).files[-1].relative_to(folder)
    assert (folder / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_features_are_as_sparse_and_as_slow_as_real_ones():
    seen = views(World(seed=5), scale=0.05)
    assert 0.17 < seen.active.mean() < 0.35
    assert 0.89 < seen.neighbours.mean() < 0.97


def test_the_audit_finds_the_leak_that_is_there_and_no_other():
    rng = np.random.default_rng(0)
    abnormal = np.arange(400) % 2 == 0
    leak = abnormal[:, None] + 0.1 * rng.normal(size=(400, 1))
    seen = Views(
        abnormal,
        {"leaky": leak, "tight": rng.normal(size=(400, 1))},
        np.zeros(400),
        np.zeros(400),
    )
    leaky, tight = table(seen, seed=0)
    assert leaky.auc > 0.99
    assert tight.low < 0.5 < tight.high
    assert markdown([leaky, tight]).count("\n") == 3
