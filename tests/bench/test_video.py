"""Reading clips beside the peers that are installed: a short form of `video_peers.py`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.video_peers import READERS, Worker, start

FFMPEG = ["ffmpeg", "-nostdin", "-y", "-v", "error", "-f", "lavfi", "-i"]
CLIPS = {
    "h264 240p": ["testsrc2=s=320x240:r=30:d=20", "-c:v", "libx264", "-g", "250", "-bf", "3"],
    "h264 720p": ["testsrc2=s=1280x720:r=30:d=4", "-c:v", "libx264", "-g", "30", "-bf", "2"],
    "mpeg4 720p": ["testsrc2=s=1280x720:r=30:d=2", "-c:v", "mpeg4", "-q:v", "5"],
}

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg program")


@pytest.fixture(scope="module", params=CLIPS)
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / f"{request.param}.mp4"
    subprocess.run([*FFMPEG, *CLIPS[request.param], "-pix_fmt", "yuv420p", path], check=True)
    return path


@pytest.fixture(scope="module", params=[name for name in READERS if name.endswith("_t2")])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    workers = start([request.param], sys.executable)
    if not workers:
        pytest.skip(f"{READERS[request.param][0]} is not installed")
    yield workers[request.param][0]
    workers[request.param][0].close()


@pytest.mark.parametrize(
    ("case", "frames", "size"), [("uniform", 32, 224), ("middle", 16, 112), ("all", 0, 224)]
)
def test_sampling(benchmark, worker: Worker, clip: Path, case: str, frames: int, size: int) -> None:
    def read() -> dict[str, object]:
        worker.send([clip], case, frames, size)
        return worker.receive()

    benchmark.group = f"{clip.stem}, {case}"
    benchmark.extra_info["version"] = worker.hello["version"]
    assert "error" not in benchmark.pedantic(read, rounds=3, warmup_rounds=1)
