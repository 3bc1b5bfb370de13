"""Damages small clips in all containers and looks what the reader makes of them.

Usage: python -m tests.fuzz_video CASES [FIRST]

A case is a number: it chooses the clip and the damage. Each is read in a worker process under a
watchdog and a bound on memory. What must hold: no crash, no call over five seconds, no error but
`VideoError`, and every run of frames that the report does not name is, bit for bit and in the same
order, a run of those that the ffmpeg program decodes from the same file, or from the whole one, or
from each group of pictures alone: in one go the program decodes with what damage has left behind.
"""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pybench import seeds, video
from tests.painted import ffmpeg, painted

FRAMES, HEIGHT, WIDTH = 24, 48, 64
SLOW_S, REFERENCE_S = 5.0, 60.0
MEMORY = 3 << 30
BATCH = 16
NOT_TURNED, GAPS = "stays as it is stored", "leave room for"
WHOLE = "whole"  # the folder with what the undamaged clips show, without loss
MANY_ERRORS = 69  # the program's exit code when more packets failed than not
X264 = ["-c:v", "libx264", "-preset", "veryfast", "-g", "8", "-bf", "2"]
X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=8:pools=1:log-level=0"]
MPEG4 = ["-c:v", "mpeg4", "-q:v", "4", "-g", "8"]
VPX = ["-g", "8", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "300k"]

Pictures: TypeAlias = npt.NDArray[np.uint8]

CLIPS = {
    "h264_moov_first.mp4": [*X264, "-movflags", "+faststart"],
    "h264_moov_last.mov": X264,
    "h264_fragmented.mp4": [*X264, "-movflags", "frag_keyframe+empty_moov"],
    "h264_open_gop.mkv": [*X264, "-x264-params", "open-gop=1"],
    "h264.ts": X264,
    "h264.avi": X264,
    "h264.flv": X264,
    "hevc.mp4": X265,
    "hevc.mkv": X265,
    "hevc.ts": X265,
    "mpeg4.mp4": [*MPEG4, "-bf", "2"],
    "mpeg4_b.avi": [*MPEG4, "-bf", "2"],
    "mpeg4.avi": MPEG4,
    "msmpeg4.avi": ["-c:v", "msmpeg4", "-q:v", "4", "-g", "8"],
    "mpeg2.mpg": ["-c:v", "mpeg2video", "-q:v", "4", "-g", "8", "-bf", "2"],
    "mpeg2.ts": ["-c:v", "mpeg2video", "-q:v", "4", "-g", "8", "-bf", "2"],
    "mjpeg.avi": ["-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p"],
    "mjpeg.mov": ["-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p"],
    "vp8.webm": ["-c:v", "libvpx", *VPX],
    "vp9.webm": ["-c:v", "libvpx-vp9", *VPX],
    "av1.mp4": ["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "8"],
}


def make_clips(folder: Path) -> None:
    raw = painted(FRAMES, HEIGHT, WIDTH).tobytes()
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "25"]
    for name, codec in CLIPS.items():
        pixels = [] if "-pix_fmt" in codec else ["-pix_fmt", "yuv420p"]
        # Matroska would put random numbers in.
        same = ["-threads", "1", "-fflags", "+bitexact"]
        ffmpeg(*source, "-i", "-", *codec, *pixels, *same, folder / name, stdin=raw)
        whole = folder / WHOLE / f"{name}.mkv"
        whole.parent.mkdir(exist_ok=True)
        ffmpeg("-i", folder / name, "-c:v", "rawvideo", whole)


def damaged(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One way of damage: bits, an end cut off, a size that lies, bytes lost, doubled or foreign."""
    new = bytearray(data)
    # Half of the damage goes to the first kilobyte, where the headers of most containers are.
    room = len(data) if rng.random() < 0.5 else min(1024, len(data))
    at = int(rng.integers(room))
    length = int(2 ** rng.uniform(0, 11))
    match int(rng.integers(7)):
        case 0:
            for place in rng.integers(room, size=int(rng.integers(1, 9))):
                new[place] ^= 1 << int(rng.integers(8))
        case 1:
            del new[int(rng.integers(len(new))) :]
        case 2:
            lie = [0, 1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, int(rng.integers(1 << 32))]
            order = ["big", "little"][int(rng.integers(2))]
            new[at : at + 4] = lie[int(rng.integers(7))].to_bytes(4, order)
        case 3:
            del new[at : at + length]
        case 4:
            new[at : at + length] = bytes(len(new[at : at + length]))
        case 5:
            new[at : at + length] = rng.bytes(len(new[at : at + length]))
        case _:
            begin = int(rng.integers(len(other)))
            new[at:at] = other[begin : begin + length]
    return bytes(new)


def mutant(case: int, folder: Path, to: Path) -> Path:
    """Writes the damaged clip of a case."""
    rng = seeds.generator(case, "fuzz_video")
    names = sorted(CLIPS)
    name, other = names[case % len(names)], names[int(rng.integers(len(names)))]
    path = to / name
    path.write_bytes(damaged((folder / name).read_bytes(), (folder / other).read_bytes(), rng))
    return path


def references(paths: list[Path], to: Path) -> list[Pictures]:
    """What the ffmpeg program decodes of each, without loss, through the same colour conversion."""
    outputs = [to / f"reference_{k}.mkv" for k in range(len(paths))]
    command = ["ffmpeg", "-nostdin", "-y", "-v", "quiet"]
    for path in paths:
        command += ["-threads", "1", "-i", str(path)]
    for k, output in enumerate(outputs):
        output.unlink(missing_ok=True)
        whole = ["-map", f"{k}:V:0", "-vsync", "passthrough", "-c:v", "rawvideo"]
        command += [*whole, str(output)]
    done = subprocess.run(command, timeout=REFERENCE_S, check=False)
    if len(paths) > 1 and done.returncode not in (0, MANY_ERRORS):
        # One of them stopped the program, and with it the decoding of the others.
        return [references([path], to)[0] for path in paths]
    return [pictures_of(output) for output in outputs]


def pictures_of(lossless: Path) -> Pictures:
    try:
        shown = video.probe(lossless).frames
        return video.sample_frames(lossless, indices=range(shown), size=(HEIGHT, WIDTH)).data
    except video.VideoError:
        return np.empty((0, HEIGHT, WIDTH, 3), np.uint8)


def misplaced(got: video.Frames, *truths: Pictures) -> str | None:
    """Compare every run of frames that the report does not name with what ffmpeg decodes.

    Each must stand in one of the truths, bit for bit, behind the one before; and nothing between
    two of a run is left out, unless the report says that there are gaps.
    """
    named = {*got.report.missing, *got.report.concealed}
    gaps = any(GAPS in warning for warning in got.report.warnings)
    decoded = [[picture.tobytes() for picture in truth] for truth in truths]
    ends = [0] * len(truths)
    within = False
    for index, picture in enumerate(got.data):
        if index in named:
            within = False
            continue
        places = [
            row_index(row, picture.tobytes(), end) for row, end in zip(decoded, ends, strict=True)
        ]
        follows = [place == end for place, end in zip(places, ends, strict=True)]
        if all(place is None for place in places) or (within and not gaps and not any(follows)):
            return f"frame {index} of {len(got.data)} is not named, and not what ffmpeg decodes"
        ends = [
            end if place is None else place + 1 for place, end in zip(places, ends, strict=True)
        ]
        within = True
    return None


def row_index(row: list[bytes], picture: bytes, start: int) -> int | None:
    return next((at for at in range(start, len(row)) if row[at] == picture), None)


def from_keyframes(path: Path, to: Path) -> Pictures:
    """What ffmpeg decodes of each group of pictures alone, one behind the other."""
    pattern = to / f"{path.stem}_%04d.nut"
    cut = ["-f", "segment", "-segment_time", "0.001", "-segment_format", "nut", str(pattern)]
    whole = ["-i", str(path), "-map", "0:V:0", "-c", "copy", *cut]
    subprocess.run(
        ["ffmpeg", "-nostdin", "-y", "-v", "quiet", *whole], timeout=REFERENCE_S, check=False
    )
    groups = sorted(to.glob(f"{path.stem}_*.nut"))
    return np.concatenate([np.empty((0, HEIGHT, WIDTH, 3), np.uint8), *references(groups, to)])


def examine(cases: Sequence[int], folder: Path, to: Path) -> list[str]:
    """Read damaged clips; the verdict on each is `refused`, `flagged`, `clean` or a sentence."""
    verdicts: dict[int, str] = {}
    read: dict[int, tuple[Path, video.Frames]] = {}
    for case in cases:
        room = to / str(case)
        room.mkdir()
        path = mutant(case, folder, room)
        begun = time.monotonic()
        try:
            shown = video.probe(path).frames
            if shown > 10_000:
                some = video.sample_frames(path, 4, size=16, on_error="black", threads=1)
                verdicts[case] = "flagged" if some.report else f"{shown} frames out of {FRAMES}"
            else:
                read[case] = (
                    path,
                    video.sample_frames(
                        path,
                        indices=range(shown),
                        size=(HEIGHT, WIDTH),
                        on_error="black",
                        threads=1,
                    ),
                )
        except video.VideoError:
            verdicts[case] = "refused"
        if (seconds := time.monotonic() - begun) > SLOW_S:
            verdicts[case] = f"took {seconds:.1f} s"
    # The program takes longer to start than to decode.
    decoded = references([path for path, _ in read.values()], to) if read else []
    for (case, (path, got)), truth in zip(read.items(), decoded, strict=True):
        fine = "flagged" if got.report or got.report.warnings else "clean"
        if any(NOT_TURNED in warning for warning in got.report.warnings):
            verdicts.setdefault(case, fine)  # the program turns it
        truths = [truth, pictures_of(folder / WHOLE / f"{path.name}.mkv")]
        if misplaced(got, *truths):
            truths.append(from_keyframes(path, path.parent))
        verdicts.setdefault(case, misplaced(got, *truths) or fine)
    return [verdicts[case] for case in cases]


def serve(pipe: Connection, folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    while (cases := pipe.recv()) is not None:
        with tempfile.TemporaryDirectory() as room:
            try:
                pipe.send(examine(cases, folder, Path(room)))
            except Exception as error:  # whatever it is, it is a finding
                pipe.send([f"{type(error).__name__}: {error}"] * len(cases))


class Worker:
    """A process that reads damaged clips, started anew when it died or was too slow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.folder), daemon=True)
        self.process.start()
        theirs.close()

    def __call__(self, cases: Sequence[int]) -> list[str]:
        self.pipe.send(cases)
        verdict = "no answer"
        if self.pipe.poll(SLOW_S * len(cases) + REFERENCE_S):
            try:
                return list(self.pipe.recv())
            except EOFError:
                self.process.join()
                verdict = f"crash with exit code {self.process.exitcode}"
        self.process.kill()
        self.process.join()
        self.start()
        if len(cases) == 1:
            return [verdict]
        return [self([case])[0] for case in cases]

    def stop(self) -> None:
        self.pipe.send(None)
        self.process.join()


@dataclass(frozen=True)
class Finding:
    case: int
    clip: str
    verdict: str


def fuzz(cases: range, folder: Path, workers: int = 2) -> Iterator[Finding]:
    """The verdict on each case."""
    names = sorted(CLIPS)
    crew = [Worker(folder) for _ in range(workers)]
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def judge(batch: range) -> list[Finding]:
        worker = idle.get()
        try:
            verdicts = worker(batch)
        finally:
            idle.put(worker)
        return [Finding(c, names[c % len(names)], v) for c, v in zip(batch, verdicts, strict=True)]

    batches = [cases[k : k + BATCH] for k in range(0, len(cases), BATCH)]
    try:
        with ThreadPoolExecutor(workers) as pool:
            for findings in pool.map(judge, batches):
                yield from findings
    finally:
        for worker in crew:
            worker.stop()


def main() -> None:
    count, first = (int(word) for word in (*sys.argv[1:], "0")[:2])
    with tempfile.TemporaryDirectory() as room:
        make_clips(Path(room))
        verdicts: Counter[str] = Counter()
        for finding in fuzz(range(first, first + count), Path(room)):
            fine = finding.verdict in ("refused", "flagged", "clean")
            verdicts[finding.verdict if fine else "WRONG"] += 1
            if not fine:
                print(f"case {finding.case} ({finding.clip}): {finding.verdict}", flush=True)
        print(dict(verdicts))


if __name__ == "__main__":
    main()
