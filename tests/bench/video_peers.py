"""How fast video readers turn a clip into one array, ours beside its peers.

    python tests/bench/video_peers.py --make DIR [--footage CLIP ...]     make the clips, once
    python tests/bench/video_peers.py DIR [--python PEERS/bin/python]     print the table

A timed call opens the file, plans, decodes and returns (T, H, W, 3) uint8. Each reader works in
processes of its own, as their copies of FFmpeg get into each other's way in one. The rounds are
interleaved and rotated; a timing that other work on the machine disturbed is taken again. Readers
that cannot be loaded are left out; `--python` names an interpreter that has them.
"""

import argparse
import importlib.metadata
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Clip, case, number of frames, size -> pictures.
Reader = Callable[[Path, str, int, int], Any]

OURS = "pybench"
KINDS = ["mp4", "mkv", "avi", "ts"]


def choose(total: int, case: str, frames: int) -> list[int]:
    """Which frames a case asks for."""
    if case == "all":
        return list(range(total))
    if case == "middle":
        start = max(0, total // 2 - frames // 2)
        return [min(total - 1, start + k) for k in range(frames)]
    return np.linspace(0, total - 1, frames).round().astype(int).tolist()


def pybench_reader(threads: int, indexed: bool) -> Reader:
    from pybench import video

    def read(path: Path, case: str, frames: int, size: int) -> Any:
        if not indexed:
            os.utime(path)  # what is remembered of the clip is of no use any more
        if case == "uniform":
            return video.sample_frames(path, frames, size=size, threads=threads)
        indices = choose(video.probe(path).frames, case, frames)
        return video.sample_frames(path, indices=indices, size=size, threads=threads)

    return read


def torchcodec_reader(threads: int) -> Reader:
    import torch
    from torchcodec.decoders import VideoDecoder
    from torchcodec.transforms import Resize

    torch.set_num_threads(threads)

    def read(path: Path, case: str, frames: int, size: int) -> Any:
        decoder = VideoDecoder(
            path,
            dimension_order="NHWC",
            num_ffmpeg_threads=threads,
            transforms=[Resize((size, size))],
        )
        return decoder.get_frames_at(choose(len(decoder), case, frames)).data.numpy()

    return read


def decord_reader(threads: int) -> Reader:
    import decord

    def read(path: Path, case: str, frames: int, size: int) -> Any:
        reader = decord.VideoReader(
            str(path), ctx=decord.cpu(0), width=size, height=size, num_threads=threads
        )
        return reader.get_batch(choose(len(reader), case, frames)).asnumpy()

    return read


def video_reader_rs_reader(threads: int) -> Reader:
    import ctypes
    import importlib.util

    found = importlib.util.find_spec("video_reader")
    for folder in (found and found.submodule_search_locations) or []:
        for library in (Path(folder).parent / "video_reader_rs.libs").glob("libsharpyuv*"):
            ctypes.CDLL(str(library))  # the wheel does not find it by itself
    from video_reader import PyVideoReader

    def read(path: Path, case: str, frames: int, size: int) -> Any:
        reader = PyVideoReader(str(path), threads=threads, target_width=size, target_height=size)
        if case == "all":
            return reader.decode()
        return reader.get_batch(choose(len(reader), case, frames))

    return read


def opencv_reader(seek: bool) -> Reader:
    import cv2

    cv2.setNumThreads(2)

    def read(path: Path, case: str, frames: int, size: int) -> Any:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        chosen = choose(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), case, frames)
        pictures = np.empty((len(chosen), size, size, 3), np.uint8)
        at = 0
        for slot, index in enumerate(chosen):
            if seek and index != at:
                capture.set(cv2.CAP_PROP_POS_FRAMES, index)
                at = index
            while at < index:
                capture.grab()
                at += 1
            good, frame = capture.read()
            at += 1
            if not good:
                msg = f"no frame {index}"
                raise ValueError(msg)
            small = cv2.resize(frame, (size, size))
            cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=pictures[slot])
        return pictures

    return read


def pyav_reader(threads: int) -> Reader:
    import av
    from av.video.reformatter import VideoReformatter

    def read(path: Path, case: str, frames: int, size: int) -> Any:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = threads
            shape = {"width": size, "height": size, "format": "rgb24", "interpolation": "BILINEAR"}
            form = VideoReformatter()
            if case == "all":
                decoded = container.decode(stream)
                return np.stack([form.reformat(frame, **shape).to_ndarray() for frame in decoded])
            packets = [p for p in container.demux(stream) if p.pts is not None]
            times = sorted(p.pts for p in packets)
            keys = sorted(p.pts for p in packets if p.is_keyframe)
            pictures, decoded, frame = [], None, None
            for index in choose(len(times), case, frames):
                wanted = times[index]
                key = max((k for k in keys if k <= wanted), default=times[0])
                if frame is None or wanted < frame.pts or key > frame.pts:
                    container.seek(key, stream=stream, backward=True)
                    decoded, frame = container.decode(stream), None
                while frame is None or frame.pts < wanted:
                    frame = next(decoded)
                pictures.append(form.reformat(frame, **shape).to_ndarray())
            return np.stack(pictures)

    return read


# Name: the distribution, and the reader. Only readers that give the right frames of plain clips.
READERS: dict[str, tuple[str, Callable[[], Reader]]] = {
    "pybench_t1": (OURS, lambda: pybench_reader(1, indexed=False)),
    "pybench_t2": (OURS, lambda: pybench_reader(2, indexed=False)),
    "pybench_indexed_t2": (OURS, lambda: pybench_reader(2, indexed=True)),
    "torchcodec_t1": ("torchcodec", lambda: torchcodec_reader(1)),
    "torchcodec_t2": ("torchcodec", lambda: torchcodec_reader(2)),
    "decord2_t2": ("decord2", lambda: decord_reader(2)),
    "video_reader_rs_t1": ("video-reader-rs", lambda: video_reader_rs_reader(1)),
    "video_reader_rs_t2": ("video-reader-rs", lambda: video_reader_rs_reader(2)),
    "opencv_grab": ("opencv-python-headless", lambda: opencv_reader(seek=False)),
    "opencv_seek": ("opencv-python-headless", lambda: opencv_reader(seek=True)),
    "pyav_t1": ("av", lambda: pyav_reader(1)),
    "pyav_t2": ("av", lambda: pyav_reader(2)),
}


def serve(name: str) -> None:
    """The other side of `Worker`: one JSON line in, one out."""
    wire = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries that print must not garble the wire
    distribution, make = READERS[name]

    def grown() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    try:
        read = make()
        version = importlib.metadata.version(distribution)
    except (ImportError, OSError, RuntimeError) as error:
        print(json.dumps({"error": str(error).split("\n")[0][:200]}), file=wire)
        return
    imported = grown()
    print(json.dumps({"version": version}), file=wire)
    for line in sys.stdin:
        paths, case, frames, size = json.loads(line)
        start, cpu = time.perf_counter(), time.process_time()
        try:
            for path in paths:
                read(Path(path), case, frames, size)
            answer = {"s": time.perf_counter() - start, "cpu": time.process_time() - cpu}
        except Exception as error:  # what it fails with is the row of the table
            answer = {"error": f"{type(error).__name__}: {error}"[:120]}
        print(json.dumps({**answer, "grown_mb": grown() - imported}), file=wire)


class Worker:
    """A process that reads clips with one reader."""

    def __init__(self, name: str, python: str) -> None:
        self.process = subprocess.Popen(
            [python, __file__, "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.hello = self.receive()

    def send(self, paths: Iterable[Path], case: str, frames: int, size: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([[str(p) for p in paths], case, frames, size]) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": "the process died"}

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def start(names: Iterable[str], python: str, processes: int = 1) -> dict[str, list[Worker]]:
    """Workers of the readers that are installed."""
    workers = {}
    for name in names:
        own = sys.executable if READERS[name][0] == OURS else python
        first = Worker(name, own)
        if "error" in first.hello:
            print(f"{name} is left out: {first.hello['error']}")
            first.close()
            continue
        workers[name] = [first, *(Worker(name, own) for _ in range(processes - 1))]
    return workers


def busy_s() -> float:
    """CPU seconds that everything on the machine has used."""
    spent = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(spent) - spent[3] - spent[4]) / os.sysconf("SC_CLK_TCK")


def measure(
    workers: dict[str, list[Worker]],
    clips: list[Path],
    case: str,
    frames: int,
    size: int,
    runs: int,
) -> dict[str, dict[str, Any]]:
    """Median seconds of each reader, rounds interleaved; the first round only warms up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in workers}
    rows: dict[str, dict[str, Any]] = {name: {} for name in workers}
    order = list(workers)
    for turn in range(runs + 1):
        order = order[1:] + order[:1]
        for name in order:
            if "error" in rows[name]:
                continue
            for _ in range(4):
                everything, began = busy_s(), time.perf_counter()
                crew = workers[name]
                for k, worker in enumerate(crew):
                    worker.send(clips[k :: len(crew)], case, frames, size)
                answers = [worker.receive() for worker in crew]
                wall = time.perf_counter() - began
                failed = [answer["error"] for answer in answers if "error" in answer]
                if failed or busy_s() - everything - sum(a["cpu"] for a in answers) < (
                    0.02 + 0.15 * wall
                ):
                    break
            if failed:
                rows[name] = {"error": failed[0]}
                continue
            rows[name]["grown_mb"] = max(answer["grown_mb"] for answer in answers)
            if turn:
                seconds = wall if len(crew) > 1 else answers[0]["s"]
                times[name].append((seconds, sum(answer["cpu"] for answer in answers)))
    for name, pairs in times.items():
        if pairs:
            seconds, cpu = (statistics.median(column) for column in zip(*pairs, strict=True))
            rows[name].update(s=seconds, cpu_s=cpu)
    return rows


# case, frames, size, clips
TABLE: list[tuple[str, int, int, list[str]]] = [
    (
        *("uniform", 32, 224),
        ["cctv240_g12", "cctv240_g250", "dash720_g30", "dash720_g250", "dash1080_g30"],
    ),
    ("uniform", 32, 224, ["dashcam720_mpeg4", "dash720_hevc"]),
    ("middle", 16, 112, ["cctv240_g250", "dash720_g30", "dash720_g250", "dashcam720_mpeg4"]),
    ("all", 0, 224, ["cctv240_g250", "dash720_g30"]),
    ("uniform", 32, 224, ["cctv240_mkv", "cctv240_mpeg4_avi", "cctv240_ts"]),
]


def report(
    folder: Path, python: str, runs: int, only: str, readers: str
) -> Iterator[dict[str, Any]]:
    """Rows of the table, printed as they come."""
    names = [name for name in READERS if any(name.startswith(r) for r in readers.split(","))]
    workers = start(names, python)
    versions = {READERS[name][0]: crew[0].hello["version"] for name, crew in workers.items()}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{'case':34} {'ours ms':>9} {'(CPU)':>9} {'peer ms':>9}  ratio  best peer")
    grown: dict[str, float] = {}
    for case, frames, size, stems in TABLE:
        for name in stems:
            if only not in f"{case} {name}":
                continue
            [clip] = [path for path in folder.iterdir() if path.stem == name]
            rows = measure(workers, [clip], case, frames, size, runs)
            grown.update({reader: found.get("grown_mb", 0.0) for reader, found in rows.items()})
            yield row(f"{case} {name}", rows)
    text = ", ".join(f"{reader} {mb:.0f}" for reader, mb in grown.items())
    print(f"memory at its peak, MB above that after the import: {text}")
    for crew in workers.values():
        crew[0].close()
    if only in "many":
        single = [name for name in names if not name.endswith("_t2") or "decord" in name]
        pairs = start(single, python, processes=2)
        clips = sorted((folder / "many").iterdir())
        yield row(f"many: {len(clips)} clips", measure(pairs, clips, "uniform", 32, 224, runs))
        for crew in pairs.values():
            for worker in crew:
                worker.close()


def row(label: str, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Prints our fastest against the fastest peer; an index from before does not count as ours."""
    good = {name: found for name, found in rows.items() if "s" in found}
    own = [n for n in good if n.startswith(OURS) and "indexed" not in n]
    peers = [n for n in good if not n.startswith(OURS)]
    ours = min(own, key=lambda name: good[name]["s"])
    text = f"{label:34} {good[ours]['s'] * 1e3:9.1f} {good[ours]['cpu_s'] * 1e3:9.1f}"
    if peers:
        best = min(peers, key=lambda name: good[name]["s"])
        text += f" {good[best]['s'] * 1e3:9.1f} {good[best]['s'] / good[ours]['s']:6.2f}  {best}"
    if "pybench_indexed_t2" in good:
        text += f" (ours, indexed before: {good['pybench_indexed_t2']['s'] * 1e3:.1f} ms)"
    print(text, flush=True)
    for name, found in rows.items():
        if "error" in found:
            print(f"    {name}: {found['error']}")
    return {"case": label, "readers": rows}


def make_clips(folder: Path, footage: list[Path]) -> None:
    """Encodes the clips; footage is looped, and without any FFmpeg's own moving pictures serve."""
    folder.mkdir(parents=True, exist_ok=True)

    def ffmpeg(*arguments: str | Path) -> None:
        subprocess.run(
            ["ffmpeg", "-nostdin", "-y", "-v", "error", *map(str, arguments)], check=True
        )

    def encode(source: list[str], name: str, *settings: str) -> None:
        path = folder / name
        if not path.exists():
            part = path.with_name(f"part_{path.name}")
            ffmpeg(*source, "-an", *settings, part)
            part.rename(path)

    def source(name: str, width: int, height: int, frames: int) -> list[str]:
        """A nearly lossless original."""
        shape = f"scale={width}:{height},setsar=1,format=yuv420p"
        pieces: list[str] = []
        for path in footage:
            pieces += ["-stream_loop", "4", "-i", str(path)]
        if not footage:
            pieces = ["-f", "lavfi", "-i", f"testsrc2=s={width}x{height}:r=30"]
            pieces += ["-f", "lavfi", "-i", f"mandelbrot=s={width}x{height}:r=30"]
        inputs = pieces.count("-i")
        joined = "".join(
            f"[{k}:v]{shape},trim=end_frame={frames // inputs + 1},setpts=N/30/TB[v{k}];"
            for k in range(inputs)
        )
        joined += "".join(f"[v{k}]" for k in range(inputs)) + f"concat=n={inputs}:v=1"
        fast = ["-r", "30", "-frames:v", str(frames), "-c:v", "libx264", "-preset", "ultrafast"]
        encode([*pieces, "-filter_complex", joined], name, *fast, "-crf", "10")
        return ["-i", str(folder / name)]

    x264 = ["-c:v", "libx264"]
    small = source("source_240.mp4", 320, 240, 3000)
    encode(small, "cctv240_g12.mp4", *x264, "-g", "12", "-bf", "3")
    encode(small, "cctv240_g250.mp4", *x264, "-g", "250", "-bf", "3")
    middle = source("source_720.mp4", 1280, 720, 1200)
    encode(middle, "dash720_g30.mp4", *x264, "-g", "30", "-bf", "2")
    encode(middle, "dash720_g250.mp4", *x264, "-g", "250", "-bf", "2")
    encode(middle, "dashcam720_mpeg4.mp4", *("-c:v", "mpeg4", "-q:v", "5", "-frames:v", "50"))
    encode(middle, "dash720_hevc.mp4", *("-c:v", "libx265", "-preset", "fast", "-frames:v", "300"))
    large = source("source_1080.mp4", 1920, 1080, 600)
    encode(large, "dash1080_g30.mp4", *x264, "-g", "30", "-bf", "2")
    encoded = ["-i", str(folder / "cctv240_g12.mp4")]
    encode(encoded, "cctv240_mkv.mkv", "-c", "copy")
    encode(encoded, "cctv240_ts.ts", "-c", "copy")
    encode(encoded, "cctv240_mpeg4_avi.avi", *("-c:v", "mpeg4", "-q:v", "5", "-g", "12"))
    many = folder / "many"
    many.mkdir(exist_ok=True)
    for k in range(10):
        for kind, copies, original, gop in [("cctv", 8, small, "250"), ("dash", 2, middle, "30")]:
            first = f"many/{kind}_{k}_0.mp4"
            encode(["-ss", str(3 * k), *original], first, *x264, "-frames:v", "300", "-g", gop)
            for copy in range(1, copies):
                shutil.copy(folder / first, folder / f"many/{kind}_{k}_{copy}.mp4")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--make", type=Path, metavar="DIR")
    parser.add_argument("--footage", type=Path, nargs="*", default=[])
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--readers", default="", help="only readers that start with one of these")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
    if arguments.make:
        make_clips(arguments.make, arguments.footage)
    if arguments.folder:
        chosen = (arguments.runs, arguments.only, arguments.readers)
        rows = list(report(arguments.folder, arguments.python, *chosen))
        if arguments.json:
            arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
