"""Which frames a plan takes, against numpy; and the batch that is filled in place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pybench import core, video
from tests.painted import numbers, painted

FPS, LONGEST = 20, 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    folder = tmp_path_factory.mktemp("plans")
    pictures = painted(LONGEST, 48, 64)

    def make(total: int) -> Path:
        path = folder / f"{total}.mp4"
        if not path.exists():
            video.write(path, pictures[:total], fps=FPS)
        return path

    return make


def taken(path: Path, frames: int | None = None, **arguments: object) -> list[int]:
    got = video.sample_frames(path, frames, size=(48, 64), **arguments)
    assert numbers(got.data) == got.indices.tolist()
    return got.indices.tolist()


def middle(total: int, count: int, stride: int) -> list[int]:
    begin = max(0, total // 2 - ((count - 1) * stride + 1) // 2)
    return np.minimum(begin + stride * np.arange(count), total - 1).tolist()


@pytest.mark.parametrize(("total", "count"), [(60, 16), (60, 60), (7, 3), (5, 8), (1, 4)])
def test_plans_take_the_frames_of_their_formula(
    clip: Callable[[int], Path], total: int, count: int
) -> None:
    path = clip(total)
    each = np.arange(count)
    uniform = np.linspace(0, total - 1, count).round().astype(int).tolist()
    assert taken(path, count) == taken(path, count, plan="uniform") == uniform
    assert taken(path, count, plan="middle") == middle(total, count, 1)
    assert taken(path, count, plan="middle", stride=3) == middle(total, count, 3)
    by_two = np.minimum(2 * each, total - 1).tolist()
    assert taken(path, count, plan="stride", stride=2) == by_two
    assert taken(path, plan="stride", stride=2) == list(range(0, total, 2))
    centres = ((each + 0.5) * total / count).astype(int).tolist()
    assert taken(path, count, plan="segments") == centres


@given(st.integers(0, 2**64 - 1), st.sampled_from([1, 5, 7, 60]), st.integers(1, 12))
def test_drawn_frames_lie_where_they_should(
    clip: Callable[[int], Path], seed: int, total: int, count: int
) -> None:
    path = clip(total)
    drawn = taken(path, count, plan="random", seed=seed)
    assert drawn == sorted(drawn) and 0 <= drawn[0] and drawn[-1] < total
    assert len(set(drawn)) == min(total, count)
    assert drawn == taken(path, count, plan="random", seed=seed)
    parts = taken(path, count, plan="segments", seed=seed)
    for part, frame in enumerate(parts):
        first = part * total // count
        assert first <= frame <= max(first, (part + 1) * total // count - 1)


def test_every_frame_and_pair_of_frames_is_drawn_equally_often(
    clip: Callable[[int], Path],
) -> None:
    path, draws = clip(5), 2000
    batch = video.sample_clips([path] * draws, 2, plan="random", seed=3, size=1)
    pairs, counts = np.unique(batch.indices, axis=0, return_counts=True)
    assert len(pairs) == 10
    # Ten pairs, each 200 times on average with a deviation of 13.4.
    assert abs(counts - draws / 10).max() < 5 * np.sqrt(draws * 0.1 * 0.9)
    parts = video.sample_clips([path] * draws, 1, plan="segments", seed=3, size=1)
    assert abs(np.bincount(parts.indices[:, 0]) - draws / 5).max() < 5 * np.sqrt(draws * 0.16)


def test_random_frames_come_from_the_named_stream(clip: Callable[[int], Path]) -> None:
    words = core.philox(core.stream_key(7, "video/clip=0"), size=3)
    expected = [20 * part + (int(word) * 20 >> 64) for part, word in enumerate(words)]
    assert taken(clip(60), 3, plan="segments", seed=7) == expected


def test_a_clip_draws_the_same_alone_and_in_a_batch(clip: Callable[[int], Path]) -> None:
    paths = [clip(60), clip(7), clip(60)]
    for plan in ("random", "segments"):
        batch = video.sample_clips(paths, 4, size=8, plan=plan, seed=[5, 6, 7], threads=2)
        for path, seed, row in zip(paths, (5, 6, 7), batch.indices, strict=True):
            assert taken(path, 4, plan=plan, seed=seed) == row.tolist()
        shared = video.sample_clips(paths, 4, size=8, plan=plan, seed=5)
        assert shared.indices[0].tolist() == batch.indices[0].tolist()
        assert shared.indices[0].tolist() != shared.indices[2].tolist()


def test_times_give_the_frame_on_the_screen(clip: Callable[[int], Path]) -> None:
    path = clip(60)
    assert taken(path, times_s=[k / FPS for k in range(60)]) == list(range(60))
    assert taken(path, times_s=np.array([2.999, 0.049, 0.051, 0])) == [59, 0, 1, 0]
    both = video.sample_clips([path, path], times_s=[1.0, 2.0], size=8)
    assert both.indices.tolist() == [[20, 40]] * 2
    for second in (3.0, -0.1, float("nan"), float("inf")):
        with pytest.raises(IndexError, match=r"times_s must be in 0\.\.3"):
            taken(path, times_s=[0.0, second])


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")
def test_times_follow_a_variable_rate(tmp_path: Path) -> None:
    from tests.painted import ffmpeg

    steady, uneven = tmp_path / "steady.mp4", tmp_path / "uneven.mp4"
    video.write(steady, painted(40, 48, 64), fps=10)
    kept = [k for k in range(40) if k % 7 == 0 or k % 5 == 0]
    chosen = "select='not(mod(n\\,7))+not(mod(n\\,5))'"
    ffmpeg("-i", steady, "-vf", chosen, "-vsync", "vfr", "-c:v", "mpeg4", "-q:v", "2", uneven)
    got = video.sample_frames(uneven, times_s=[0.0, 0.69, 0.7, 1.2, 3.3])
    assert numbers(got.data) == [0, 5, 7, 10, 30]
    assert [kept[i] for i in got.indices] == [0, 5, 7, 10, 30]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "one of frames, indices and times_s must be given, got none"),
        ({"frames": 2, "indices": [0]}, "got frames and indices; pass one"),
        ({"times_s": [0.0], "indices": [0]}, "got indices and times_s"),
        ({"frames": 2, "times_s": [0.0]}, "got frames and times_s"),
        ({"indices": []}, "indices must name at least one frame, got 0"),
        ({"times_s": []}, "times_s must name at least one frame, got 0"),
        ({"frames": 2, "plan": "dense"}, "plan must be one of uniform, .*, got 'dense'"),
        ({"plan": "middle"}, "got none"),
        ({"frames": 2, "plan": "random"}, "seed must be given for plan 'random'"),
        ({"frames": 2, "plan": "stride"}, "stride must be given"),
        ({"frames": 2, "plan": "stride", "stride": 0}, "stride must be at least 1, got 0"),
        ({"frames": 2, "seed": 1}, "seed must be left out with plan 'uniform'"),
        ({"frames": 2, "stride": 1}, "stride must be left out with plan 'uniform'"),
        ({"indices": [0], "seed": 1}, "seed must be left out with indices"),
        ({"times_s": [0], "plan": "middle"}, "plan must be left out with times_s"),
        ({"frames": 2, "plan": "random", "seed": -1}, "seed must be"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(
    clip: Callable[[int], Path], arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        video.sample_frames(clip(5), **arguments)
    with pytest.raises(ValueError, match=words):
        video.sample_clips([clip(5)], size=8, **arguments)


def test_a_batch_needs_a_number_of_frames_and_a_seed_for_each_clip(
    clip: Callable[[int], Path],
) -> None:
    with pytest.raises(ValueError, match="frames must be given for many clips"):
        video.sample_clips([clip(5)], size=8, plan="stride", stride=2)
    with pytest.raises(ValueError, match="seed must be one number or 2, got 3"):
        video.sample_clips([clip(5)] * 2, 1, size=8, plan="random", seed=[1, 2, 3])
    nothing = video.sample_clips([], 3, size=8, plan="random", seed=1)
    assert nothing.indices.shape == (0, 3)


def test_a_batch_goes_straight_into_a_tensor(clip: Callable[[int], Path]) -> None:
    paths = [clip(60), clip(7)]
    tensor = torch.zeros(3, 2, 4, 24, 32, 3, dtype=torch.uint8)
    room = tensor[1].numpy()
    batch = video.sample_clips(paths, 4, size=(24, 32), out=room)
    assert batch.data is room
    alone = np.stack([video.sample_frames(path, 4, size=(24, 32)).data for path in paths])
    np.testing.assert_array_equal(tensor[1].numpy(), alone)
    assert not tensor[0].any() and not tensor[2].any()


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (torch.zeros(2, 4, 24, 32, 3).numpy(), r"uint8 \(2, 4, 24, 32, 3\), got float32"),
        (torch.zeros(2, 4, 3, 24, 32, dtype=torch.uint8).numpy(), r"got uint8 \(2, 4, 3, 24, 32\)"),
        (torch.zeros(2, 4, 3, 24, 32, dtype=torch.uint8).movedim(2, 4).numpy(), "not contiguous"),
        (np.broadcast_to(np.zeros(3, np.uint8), (2, 4, 24, 32, 3)), "C-contiguous and writeable"),
    ],
)
def test_an_unfit_tensor_is_refused(
    clip: Callable[[int], Path], out: np.ndarray, words: str
) -> None:
    with pytest.raises(ValueError, match=f"out must be .*{words}"):
        video.sample_clips([clip(7)] * 2, 4, size=(24, 32), out=out)
