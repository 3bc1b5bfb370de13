"""Reader of UCF-Crime features in every layout people have them in, found by looking.

Lists, the first of these that is there:

- a CSV file ``path,class,split`` with the first and last frame of each abnormal interval in further
  columns: any other data set, such as ShanghaiTech or XD-Violence;
- RTFM: ``ucf-i3d.list`` and ``ucf-i3d-test.list``, truth in ``gt-ucf.npy``;
- two streams: ``train_anomaly.txt``, ``train_normal.txt``, ``test_anomalyv2.txt`` and
  ``test_normalv2.txt``, the last two with frames and intervals;
- the official ones: ``Anomaly_Train.txt`` and ``Temporal_Anomaly_Annotation*.txt``.

Features, wherever they lie in the folder: one ``.npy`` (T, crops, D) per video, one per crop
(``Abuse028_x264__0.npy``), one per stream (folders with ``rgb`` and ``flow`` in their names), or
C3D text of 32 lines. Listed paths may be of another machine, Windows too: file names count. Frames
are counted from 1 in every list, ends included, and -1 stands for an interval that is not there.

Damage of a training video leaves it out. Damage of the test set, or of its truth, is named too, and
nothing is scored until it is mended: an AUC on fewer frames is another AUC.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from pybench.data.problems import DataError, Problem
from pybench.data.snippets import (
    DROPPED,
    REFUSED,
    Interval,
    Video,
    Videos,
    open_all,
)

ANOMALIES = (
    "Abuse",
    "Arrest",
    "Arson",
    "Assault",
    "Burglary",
    "Explosion",
    "Fighting",
    "RoadAccidents",
    "Robbery",
    "Shooting",
    "Shoplifting",
    "Stealing",
    "Vandalism",
)
NORMAL = "Normal"
CLASSES = (*ANOMALIES, NORMAL)
IGNORED = "line ignored"
KNOWN_TWICE = "train_normal.txt"
"""The two-stream list as published names ten normal videos twice."""

_CROP = re.compile(r"__(\d+)$")
_NAMED = re.compile(r"(Normal_Videos?|[A-Za-z]+?)_?\d")


@dataclass(frozen=True)
class _Line:
    """One line of a list: which video, of which class, with what is said of it."""

    at: str
    path: str
    of: str
    test: bool
    frames: int | None = None
    intervals: tuple[Interval, ...] | None = None


@dataclass
class _Found:
    """Lists that were read: their lines, and what was wrong in them."""

    lists: list[Path] = field(default_factory=list)
    lines: list[_Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)
    truth: Path | None = None

    def wrong(self, at: str, what: str, *, test: bool) -> None:
        """Note a line that cannot be used."""
        if test:
            self.refused.append(Problem(at, what, REFUSED))
        else:
            self.problems.append(Problem(at, what, IGNORED))


def read(path: Path) -> Videos:
    """Read the lists and find the features, without opening them.

    Args:
        path: a folder that holds lists and features, or a CSV file.

    Raises:
        FileNotFoundError: no list of any known layout.
        DataError: a list that is not text, or lists no video of two classes.
    """
    folder = path.parent if path.is_file() else path
    walked = (
        f"{at}/{name}" for at, _, names in os.walk(folder) for name in names if name[0] != "."
    )
    files = list(map(Path, sorted(walked)))
    tables = [path] if path.is_file() else [f for f in files if f.suffix == ".csv" and _is_csv(f)]
    if tables:
        found = _csv(tables[0])
        labels = sorted({line.of for line in found.lines if not _is_normal(line.of)})
        classes = (*labels, next((x.of for x in found.lines if _is_normal(x.of)), NORMAL))
    else:
        found, classes = _ucf(folder, files), CLASSES
    return _videos(found, files, classes, exact=folder if tables else None)


def check(path: Path) -> dict[str, Any]:
    """Read everything, every feature and the truth of every frame, and name each damage."""
    found = read(path)
    opened = open_all(found)
    counts = dict.fromkeys(found.classes, 0)
    for video in opened.videos:
        counts[found.classes[video.label]] += 1
    known = any(truth is not None for truth in opened.truth)
    return {
        "counts": counts,
        "samples": len(opened.videos),
        "crops": opened.shape[0],
        "width": opened.shape[1],
        "frame_truth": known,
        "problems": [vars(problem) for problem in (*opened.problems, *opened.refused)],
    }


# -- lists -----------------------------------------------------------------------------------


def _ucf(folder: Path, files: Sequence[Path]) -> _Found:
    """Lines of the first layout of UCF-Crime that is there."""
    by_name: dict[str, Path] = {}
    for file in files:
        by_name.setdefault(file.name, file)
    lists = [f for f in files if f.suffix == ".list"]
    lists = [f for f in lists if f.name.lower().startswith("ucf")] or lists
    annotation = next((f for f in files if f.name.startswith("Temporal_Anomaly_Annotation")), None)
    found = _Found()
    if lists:
        _rtfm(found, lists)
        arrays = [f for f in files if f.suffix == ".npy" and f.name.startswith("gt")]
        found.truth = next((f for f in arrays if f.name == "gt-ucf.npy"), next(iter(arrays), None))
        if found.truth is None and annotation is not None:
            _annotated(found, annotation)
        elif found.truth is None:
            what = "neither gt-ucf.npy nor a temporal annotation is there"
            found.refused.append(Problem(lists[0].name, what, REFUSED))
    elif "train_anomaly.txt" in by_name or "train_normal.txt" in by_name:
        _two_streams(found, by_name)
    elif "Anomaly_Train.txt" in by_name or annotation is not None:
        _official(found, by_name.get("Anomaly_Train.txt"), annotation)
    else:
        msg = (
            f"folder must hold lists of videos, got none in {folder}; add Anomaly_Train.txt with "
            "the temporal annotation, ucf-i3d.list with gt-ucf.npy, or a CSV path,class,split"
        )
        raise FileNotFoundError(msg)
    return found


def _rtfm(found: _Found, lists: Sequence[Path]) -> None:
    for file in lists:
        found.lists.append(file)
        for at, line in _lines(file):
            found.lines.append(_Line(at, line, _class_of(line), "test" in file.stem.lower()))
    if not any(line.test for line in found.lines):
        found.refused.append(Problem(lists[0].name, "no list of test videos beside it", REFUSED))


def _two_streams(found: _Found, by_name: dict[str, Path]) -> None:
    for name in ("train_anomaly.txt", "train_normal.txt"):
        for at, line in _listed(found, by_name.get(name), name, test=False):
            _in_folder(found, _Line(at, line, _class_of(line), test=False))
    tests = [n for n in sorted(by_name) if re.fullmatch(r"test_(anomaly|normal)(v2)?\.txt", n)]
    for kind in ("anomaly", "normal"):
        name = next((n for n in reversed(tests) if kind in n), f"test_{kind}v2.txt")
        for at, line in _listed(found, by_name.get(name), name, test=True):
            path, _, rest = line.partition("|") if "|" in line else line.partition(" ")
            numbers = re.findall(r"-?\d+", rest)
            if not path or not numbers or re.sub(r"[-\d\s|,\[\]]", "", rest):
                found.wrong(at, f"must be path, frames and intervals, got {line!r}", test=True)
                continue
            frames, *ends = map(int, numbers)
            intervals = _intervals(found, at, ends)
            if intervals is not None:
                entry = _Line(at, path.strip(), _class_of(path), True, frames, intervals)
                _in_folder(found, entry)


def _official(found: _Found, train: Path | None, annotation: Path | None) -> None:
    for at, line in _listed(found, train, "Anomaly_Train.txt", test=False):
        _in_folder(found, _Line(at, line, _class_of(line), test=False))
    name = "Temporal_Anomaly_Annotation.txt"
    for at, line in _listed(found, annotation, name, test=True):
        entry = _annotation(found, at, line)
        if entry is not None:
            found.lines.append(entry)


def _annotated(found: _Found, annotation: Path) -> None:
    """Give the test videos of other lists the intervals of the official annotation."""
    found.lists.append(annotation)
    entries = [_annotation(found, at, line) for at, line in _lines(annotation)]
    said = {_key(entry.path): entry.intervals for entry in entries if entry is not None}
    found.lines = [
        _Line(x.at, x.path, x.of, True, None, said.get(_key(x.path))) if x.test else x
        for x in found.lines
    ]


def _annotation(found: _Found, at: str, line: str) -> _Line | None:
    fields = line.split()
    if len(fields) != 6 or not all(re.fullmatch(r"-?\d+", number) for number in fields[2:]):
        found.wrong(at, f"must be video, class and 4 frame numbers, got {line!r}", test=True)
        return None
    intervals = _intervals(found, at, [int(number) for number in fields[2:]])
    named, of = _class_of(fields[0]), fields[1]
    if of not in CLASSES or named != of:
        what = f"class {of!r} does not exist" if of not in CLASSES else f"{fields[0]} is not {of}"
        found.wrong(at, what, test=True)
        return None
    return None if intervals is None else _Line(at, fields[0], of, True, None, intervals)


def _intervals(found: _Found, at: str, ends: Sequence[int]) -> tuple[Interval, ...] | None:
    """Intervals of first and last frames, or None when they make no sense."""
    pairs = list(zip(ends[::2], ends[1::2], strict=False))
    if len(ends) % 2 and tuple(ends) != (-1,):
        found.wrong(at, f"an interval must have two ends, got {list(ends)}", test=True)
        return None
    there = [pair for pair in pairs if pair != (-1, -1)]
    if there != pairs[: len(there)] or any(a < 0 or b < a for a, b in there):
        what = f"intervals must begin before they end, -1 standing for none, got {list(ends)}"
        found.wrong(at, what, test=True)
        return None
    ordered = sorted(there)
    if any(later <= end for (_, end), (later, _) in pairwise(ordered)):
        found.wrong(at, f"intervals overlap: {list(ends)}", test=True)
        return None
    return tuple((max(a - 1, 0), b) for a, b in ordered)


def _in_folder(found: _Found, line: _Line) -> None:
    """Take a line whose folder, where it has one, agrees with the name of the video."""
    above = PurePosixPath(_posix(line.path)).parent.name
    if above and line.of in CLASSES and above != line.of and NORMAL not in (line.of, above):
        unknown = above not in CLASSES
        what = f"class {above!r} does not exist" if unknown else f"{line.path} is of two classes"
        found.wrong(line.at, what, test=line.test)
    else:
        found.lines.append(line)


def _csv(table: Path) -> _Found:
    found = _Found(lists=[table])
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{table} must be a UTF-8 CSV file, got: {error}"
        raise DataError(msg) from error
    if not rows or [cell.strip() for cell in rows[0][:3]] != ["path", "class", "split"]:
        msg = f"{table} must have the columns path,class,split, got {rows[0] if rows else 'none'}"
        raise DataError(msg)
    for number, row in enumerate(rows[1:], 2):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        at = f"{table.name} line {number}"
        role = cells[2] if len(cells) > 2 else ""
        test = role == "test"
        ends = [cell for cell in cells[3:] if cell]
        if role not in ("train", "test") or not cells[0] or not cells[1]:
            found.wrong(at, f"must be path, class and train or test, got {row}", test=test)
        elif not all(re.fullmatch(r"-?\d+", cell) for cell in ends):
            found.wrong(at, f"intervals must be frame numbers, got {ends}", test=test)
        else:
            # Only the test set is scored by frame, so only there do intervals matter.
            intervals = _intervals(found, at, list(map(int, ends))) if test else None
            if intervals is not None or not test:
                found.lines.append(_Line(at, cells[0], cells[1], test, None, intervals))
    return found


def _is_csv(file: Path) -> bool:
    with file.open("rb") as stream:
        head = stream.readline(200).decode("utf-8-sig", "replace")
    return head.replace(" ", "").startswith("path,class,split")


def _is_normal(of: str) -> bool:
    return of.lower() == NORMAL.lower()


def _listed(
    found: _Found, file: Path | None, name: str, *, test: bool
) -> Iterator[tuple[str, str]]:
    if file is None:
        (found.refused if test else found.problems).append(
            Problem(name, "absent", REFUSED if test else "trained without its videos")
        )
        return
    found.lists.append(file)
    yield from _lines(file)


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """(where, text) of the lines that say something."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{file} must be a text file, got: {error}"
        raise DataError(msg) from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"{file.name} line {number}", line.strip()


# -- from lines to videos --------------------------------------------------------------------


def _videos(
    found: _Found, files: Sequence[Path], classes: Sequence[str], *, exact: Path | None
) -> Videos:
    known = set(found.lists) | {found.truth}
    features = [f for f in files if f.suffix in (".npy", ".txt") and f not in known]
    streams = {s for file in features if (s := _stream(file))} == {"rgb", "flow"}
    index: dict[str, list[Path]] = {}
    for file in features:
        index.setdefault(_key(file.name), []).append(file)
    videos: dict[str, Video] = {}
    seen: set[str] = set()
    # Test videos first: of one that is in both lists, training goes without.
    for line in sorted(found.lines, key=lambda line: not line.test):
        path = _posix(line.path)
        # Two files of one name in two folders are two videos only where a table names files.
        key = _key(path) if exact is None else path
        crop = _CROP.search(PurePosixPath(path).stem)
        if line.of not in classes:
            found.wrong(line.at, f"class {line.of!r} does not exist", test=line.test)
        elif key in videos and crop and path not in seen and videos[key].test == line.test:
            seen.add(path)  # the next crop of a video whose crops are listed one by one
        elif key in videos:
            if line.at.split(" ")[0] != KNOWN_TWICE or videos[key].test:
                both = videos[key].test != line.test
                what = f"{key} occurs {'in training and test' if both else 'twice'}"
                found.wrong(line.at, what, test=line.test)
        else:
            seen.add(path)
            chosen = _features(path, index, streams=streams, exact=exact)
            videos[key] = Video(
                _key(path) if exact is None else path,
                classes.index(line.of),
                line.test,
                tuple(chosen),
                line.frames,
                line.intervals,
            )
    _absent(found, videos, streams=streams)
    present = [video for video in videos.values() if video.files]
    if len({video.label for video in present}) < 2:
        said = "; ".join(map(str, (found.problems + found.refused)[:3]))
        msg = f"lists must name videos of two classes that are there, got fewer ({said})"
        raise DataError(msg)
    return Videos(
        videos=tuple(present),
        classes=tuple(classes),
        lists=tuple(found.lists),
        joined="streams" if streams else "crops",
        truth=found.truth,
        segments=streams or any(v.files[0].suffix == ".txt" for v in present),
        problems=tuple(found.problems),
        refused=tuple(found.refused),
    )


def _absent(found: _Found, videos: dict[str, Video], *, streams: bool) -> None:
    """Name the videos without features, and those with fewer files than the others."""
    most = max((len(video.files) for video in videos.values()), default=0)
    for name, video in list(videos.items()):
        what = ""
        crops = [int(c[1]) for f in video.files if (c := _CROP.search(f.stem))]
        if not video.files:
            what = "listed but absent"
        elif streams and len(video.files) < 2:
            what = f"{'flow' if _stream(video.files[0]) == 'rgb' else 'rgb'} features are absent"
        elif crops and len(crops) < most:
            missing = sorted(set(range(most)) - set(crops))
            what = f"{len(crops)} crops instead of {most}: number {missing} absent"
        if what:
            problem = Problem(name, what, REFUSED if video.test else DROPPED)
            (found.refused if video.test else found.problems).append(problem)
            videos[name] = Video(name, video.label, video.test, ())


def _features(
    path: str, index: dict[str, list[Path]], *, streams: bool, exact: Path | None
) -> list[Path]:
    """The files of a listed video: crops in order, or colour before motion."""
    if exact is not None and (exact / path).is_file():
        return [exact / path]
    wanted = PurePosixPath(path).parts[:-1][::-1]
    best: dict[tuple[str, int], tuple[int, Path]] = {}
    for file in index.get(_key(path), ()):
        crop = _CROP.search(file.stem)
        slot = (_stream(file) if streams else "", int(crop[1]) if crop else 0)
        alike = 0
        for ours, theirs in zip(file.parts[:-1][::-1], wanted, strict=False):
            if ours != theirs:
                break
            alike += 1
        if slot not in best or alike > best[slot][0]:
            best[slot] = (alike, file)
    return [best[slot][1] for slot in sorted(best, key=lambda s: (s[0] != "rgb", s))]


def _stream(file: Path) -> str:
    above = " ".join(file.parts[-4:-1]).lower()
    return "rgb" if "rgb" in above else "flow" if "flow" in above else ""


def _posix(path: str) -> str:
    return path.strip().replace("\\", "/")


@cache  # a folder has thousands of names, and every trial reads them
def _key(path: str) -> str:
    """The name of a video, without what extractors append to it.

    Example:
        >>> [_key(n) for n in ("G:/x/Abuse001_x264_i3d.npy", "a/Abuse001_x264.mp4.npy",
        ...                    "Abuse001_x264__0.npy", "Abuse001_x264_C.txt")]
        ['Abuse001_x264', 'Abuse001_x264', 'Abuse001_x264', 'Abuse001_x264']
    """
    name = PurePosixPath(_posix(path)).name
    name = re.sub(r"\.(npy|txt)$", "", name)
    name = re.sub(r"\.(mp4|avi|mkv)$", "", name, flags=re.IGNORECASE)
    return re.sub(r"(_i3d|_C)$", "", _CROP.sub("", name))


def _class_of(path: str) -> str:
    """The class that a video's name begins with.

    Example:
        >>> _class_of("RoadAccidents002_x264.mp4"), _class_of("a/Normal_Videos_003_x264.mp4")
        ('RoadAccidents', 'Normal')
    """
    name = _key(path)
    named = _NAMED.match(name)
    of = named[1] if named else name
    return NORMAL if of.startswith("Normal_Video") else of
