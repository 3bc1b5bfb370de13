"""Snippet features of videos: every 16 frames through a network, one array per video.

What anomaly detectors read. Videos keep their relative names: ``Abuse/Abuse001_x264.mp4`` becomes
``OUT/Abuse/Abuse001_x264.mp4.npy``, float32 (T, K, D) with K crops, as the reader ``ucf`` takes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pybench import video
from pybench._core import kernel_sources
from pybench.data.problems import Problem
from pybench.data.snippets import FRAMES, SNIPPET_FRAMES, Features, segmented
from pybench.progress import Progress, Reporter

if TYPE_CHECKING:
    from torch import nn

CHUNK = 16
"""Snippets decoded at once, so that a long video needs little memory."""
BATCH = 8
"""Crops of snippets the network sees at once."""
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm")
TABLES = (".csv", ".txt")
STAMP = "features.json"


class SettingsError(ValueError):
    """Settings that cannot be, or differ from those the folder was made with."""


@dataclass(frozen=True)
class Settings:
    """How features are made.

    Fields:
        model: ``"r3d18"`` (D = 512) or ``"i3d"`` (D = 1024).
        weights: a file of the network's weights; None only together with ``random_weights``.
        random_weights: use an untrained network: for trying the way, not for results.
        crops: 1 is the centre; 10 are the centre, the corners, and these five mirrored.
        segments: means over so many equal parts of the video instead of all its snippets, or None;
            ``frames.csv`` beside them then keeps the number of frames.
        device: ``"cpu"`` or ``"cuda"``.
        threads: of the decoder and of the network, each.
    """

    model: str
    weights: Path | None
    random_weights: bool = False
    crops: int = 1
    segments: int | None = None
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.crops not in (1, 10):
            msg = f"crops must be 1 or 10, got {self.crops}"
            raise SettingsError(msg)
        if self.segments is not None and self.segments < 1:
            msg = f"segments must be at least 1, got {self.segments}"
            raise SettingsError(msg)
        if self.weights is None and not self.random_weights:
            msg = (
                "weights must name a file, got none; give --weights FILE, or --random-weights "
                "to try the way with an untrained network"
            )
            raise SettingsError(msg)
        if self.weights is not None and self.random_weights:
            msg = "weights must be a file or random, got both; leave one out"
            raise SettingsError(msg)

    def stamp(self) -> dict[str, Any]:
        """What the features depend on, as ``features.json`` holds it."""
        trained = self.weights and hashlib.blake2b(self.weights.read_bytes(), digest_size=16)
        return {
            "model": self.model,
            "weights": trained.hexdigest() if trained else "random, seed 0",
            "crops": self.crops,
            "segments": self.segments,
            "snippet_frames": SNIPPET_FRAMES,
            "reader": kernel_sources()["video"],
        }


@dataclass
class Outcome:
    """What was done.

    Fields:
        done: videos whose features were made now.
        skipped: videos whose features were there.
        problems: videos without features, and why.
        snippets: made now.
        decode_s: seconds of decoding, which goes on beside the network.
        network_s: seconds in the network.
        wall_s: seconds from start to end.
    """

    done: int = 0
    skipped: int = 0
    problems: tuple[Problem, ...] = ()
    snippets: int = 0
    decode_s: float = 0.0
    network_s: float = 0.0
    wall_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The keys of ``pybench features extract --json``."""
        return {**asdict(self), "problems": [vars(problem) for problem in self.problems]}


def find(directory: Path) -> list[Path]:
    """All videos below a folder, sorted by name.

    Raises:
        FileNotFoundError: no video there.
    """
    found = sorted(
        Path(folder) / name
        for folder, _, names in os.walk(directory)
        for name in names
        if name.lower().endswith(VIDEOS)
    )
    if not found:
        msg = f"directory must hold videos ({', '.join(VIDEOS)}), got none in {directory}"
        raise FileNotFoundError(msg)
    return found


def extract(
    directory: Path,
    out: Path,
    settings: Settings,
    *,
    quiet: bool = False,
) -> Outcome:
    """Make the features of every video below ``directory``; what is there already is kept.

    Lists and tables (``*.txt``, ``*.csv``) beside the videos are copied, so that ``out`` is a data
    set of its own. A damaged video is named and gets no features.

    Args:
        directory: holds the videos.
        out: folder of the features.
        settings: network, weights, crops.
        quiet: say nothing on stderr.

    Raises:
        FileNotFoundError: no video, or no weights.
        SettingsError: ``out`` was made with other settings.
    """
    began = time.perf_counter()
    videos = find(directory)
    _same_settings(out, settings.stamp())
    for table in sorted(directory.iterdir()):
        if table.suffix.lower() in TABLES:
            shutil.copyfile(table, out / table.name)
    todo = [path for path in videos if not _made(path, _target(path, directory, out))]
    outcome, problems = Outcome(skipped=len(videos) - len(todo)), list[Problem]()
    progress = Progress(len(todo), workers=1, expected_s=0.0)
    reporter = Reporter(progress, quiet=quiet)
    with reporter.live():
        network = _network(settings)
        for path in todo:
            name = str(path.relative_to(directory))
            progress.running = {name}
            reporter.update()
            try:
                array = _features(path, network, settings, outcome)
            except video.VideoError as error:
                what = str(error).removeprefix(f"{path}: ")
                problems.append(Problem(name, what, "no features written"))
                progress.failed += 1
            else:
                progress.done += 1
                outcome.snippets += len(array)
                made = segmented(array, settings.segments) if settings.segments else array
                _save(_target(path, directory, out), made)
            progress.running.clear()
            reporter.update(name)
    if settings.segments:
        _write_frames(out / FRAMES, [v for v in videos if _made(v, _target(v, directory, out))])
    outcome.done, outcome.problems = progress.done, tuple(problems)
    outcome.wall_s = time.perf_counter() - began
    return outcome


def _target(path: Path, directory: Path, out: Path) -> Path:
    name = path.relative_to(directory)
    return out / name.with_name(f"{name.name}.npy")


def _made(path: Path, target: Path) -> bool:
    return target.is_file() and target.stat().st_mtime >= path.stat().st_mtime


def _same_settings(out: Path, stamp: dict[str, Any]) -> None:
    file = out / STAMP
    if file.is_file():
        before = json.loads(file.read_text())
        differing = [key for key in stamp if before.get(key) != stamp[key]]
        if differing:
            msg = (
                f"out must be new or made with the same settings, got {out} with another "
                f"{', '.join(differing)}; choose another folder"
            )
            raise SettingsError(msg)
        return
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(stamp, indent=1) + "\n")


class _Network:
    """A network without its classifier, and the size of the pictures it takes."""

    def __init__(self, module: nn.Module, size: tuple[int, int], settings: Settings) -> None:
        import torch

        self.module, self.size, self.settings = module.eval(), size, settings
        self.device = torch.device(settings.device)
        self.module.to(self.device)

    def __call__(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (N, D) of clips (N, 16, H, W, 3)."""
        import torch

        parts = []
        torch.set_num_threads(self.settings.threads)
        with torch.inference_mode():
            for begin in range(0, len(clips), BATCH):
                batch = torch.from_numpy(clips[begin : begin + BATCH]).to(self.device)
                features = self.module(batch).features
                parts.append(list(features.values())[-1].float().cpu().numpy())
        return np.concatenate(parts)


def _network(settings: Settings) -> _Network:
    import torch

    from pybench.models import models
    from pybench.types import ModelContext

    kind = models[settings.model]
    built = kind(weights=str(settings.weights)) if settings.weights else kind()  # type: ignore[call-arg]
    torch.manual_seed(0)
    module = built.build(ModelContext(num_classes=2))
    return _Network(module, built.size, settings)


def _features(path: Path, network: _Network, settings: Settings, outcome: Outcome) -> Features:
    """(T, K, D): one chunk is decoded while the network works on the one before."""
    found = video.probe(path)
    # The short side is 8/7 of what the network takes, as its authors crop.
    short = round(max(network.size) * 8 / 7)
    scale = short / min(found.height, found.width)
    size = max(short, round(found.height * scale)), max(short, round(found.width * scale))
    parts = []

    def decode(indices: NDArray[np.int64]) -> tuple[NDArray[np.uint8], float]:
        began = time.perf_counter()
        data = video.sample_frames(path, indices=indices, size=size, threads=settings.threads).data
        return data, time.perf_counter() - began

    chunks = list(_chunks(found.frames))
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(decode, chunks[0])
        for number in range(len(chunks)):
            frames, seconds = coming.result()
            outcome.decode_s += seconds
            if number + 1 < len(chunks):
                coming = pool.submit(decode, chunks[number + 1])
            began = time.perf_counter()
            snippets = frames.reshape(-1, SNIPPET_FRAMES, *frames.shape[1:])
            made = [network(crop) for crop in _crops(snippets, network.size, settings.crops)]
            parts.append(np.stack(made, axis=1))
            outcome.network_s += time.perf_counter() - began
    return np.concatenate(parts)


def _chunks(frames: int) -> Iterator[NDArray[np.int64]]:
    """Frames of as many whole snippets as there are; a video too short repeats its last frame."""
    whole = max(frames // SNIPPET_FRAMES, 1) * SNIPPET_FRAMES
    for begin in range(0, whole, CHUNK * SNIPPET_FRAMES):
        wanted = np.arange(begin, min(begin + CHUNK * SNIPPET_FRAMES, whole), dtype=np.int64)
        yield np.minimum(wanted, frames - 1)


def _crops(
    snippets: NDArray[np.uint8], size: tuple[int, int], crops: int
) -> Iterator[NDArray[np.uint8]]:
    """Crops (N, 16, h, w, 3): centre, then corners row by row, then these five mirrored."""
    height, width = snippets.shape[2] - size[0], snippets.shape[3] - size[1]
    centre = (height // 2, width // 2)
    corners = [(0, 0), (0, width), (height, 0), (height, width)] if crops == 10 else []
    for step in (1, -1) if crops == 10 else (1,):
        for top, left in (centre, *corners):
            crop = snippets[:, :, top : top + size[0], left : left + size[1]]
            yield np.ascontiguousarray(crop[:, :, :, ::step])


def _write_frames(file: Path, videos: Sequence[Path]) -> None:
    """Say how many frames each video has: features of segments no longer tell."""
    rows = [f"{path.name},{video.probe(path).frames}\n" for path in videos]
    file.write_text("".join(["path,frames\n", *rows]))


def _save(target: Path, array: Features) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_name(f"{target.name}.tmp")  # of a killed run: written over
    with work.open("wb") as file:
        np.save(file, array)
    work.replace(target)
