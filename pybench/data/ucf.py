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

``frames.csv`` with the columns ``path,frames`` says how many frames a video has, which features of
32 segments do not tell; the test lists of two streams say it too.

Damage of a training video leaves it out. Damage of the test set, or of its truth, is named too, and
nothing is scored until it is mended: an AUC on fewer frames is another AUC.
"""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from pybench.data.problems import DataError, Problem
from pybench.data.snippets import (
    DROPPED,
    FRAMES,
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
UNTRAINED = "nothing to train on"
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
    """Lists that were read: their lines, what was wrong in them, and frames said elsewhere."""

    lists: list[Path] = field(default_factory=list)
    lines: list[_Line] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)
    truth: Path | None = None
    frames: dict[str, int] = field(default_factory=dict)

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
    videos = _read(path)
    if len({video.label for video in videos.videos}) < 2:
        said = "; ".join(map(str, (videos.problems + videos.refused)[:3]))
        msg = f"lists must name videos of two classes that are there, got fewer ({said})"
        raise DataError(msg)
    return videos


def _read(path: Path) -> Videos:
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
    _take_frames(found, files)
    return _videos(found, files, classes, exact=folder if tables else None)


def check(path: Path) -> dict[str, Any]:
    """Read everything, every feature and the truth of every frame, and name each damage."""
    try:
        found = _read(path)
    except DataError as error:
        nothing = Problem(path.name, str(error), "nothing can be read until it is mended")
        return {"counts": {}, "samples": 0, "problems": [vars(nothing)]}
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
        if annotation is not None:
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
    if not any("test" in file.stem.lower() for file in lists):
        found.refused.append(Problem(lists[0].name, "no list of test videos beside it", REFUSED))
    if all("test" in file.stem.lower() for file in lists):
        what = "no list of training videos beside it"
        found.problems.append(Problem(lists[0].name, what, UNTRAINED))


def _two_streams(found: _Found, by_name: dict[str, Path]) -> None:
    for name in ("train_anomaly.txt", "train_normal.txt"):
        for at, line in _listed(found, by_name.get(name), name, test=False):
            _in_folder(found, _Line(at, line, _class_of(line), test=False))
    for kind in ("anomaly", "normal"):
        name = _test_list(by_name, kind)
        for at, line in _listed(found, by_name.get(name), name, test=True):
            timed = _timed(line)
            if timed is None:
                found.wrong(at, f"must be path, frames and intervals, got {line!r}", test=True)
                continue
            path, frames, ends = timed
            intervals = _intervals(found, at, ends)
            if intervals is not None:
                _in_folder(found, _Line(at, path, _class_of(path), True, frames, intervals))


def _test_list(by_name: dict[str, Path], kind: str) -> str:
    """Name of the test list of a kind: the second version, unless only the first is there."""
    first, second = f"test_{kind}.txt", f"test_{kind}v2.txt"
    return first if first in by_name and second not in by_name else second


def _timed(line: str) -> tuple[str, int, list[int]] | None:
    """Path, frames and ends of intervals, or None for another line.

    Example:
        >>> _timed("Arson/Arson011_x264.mp4|1267|[150, 420]"), _timed("Arson/Arson011_x264.mp4")
        (('Arson/Arson011_x264.mp4', 1267, [150, 420]), None)
    """
    path, _, rest = line.partition("|") if "|" in line else line.partition(" ")
    numbers = re.findall(r"-?\d+", rest)
    if not path or not numbers or re.sub(r"[-\d\s|,\[\]]", "", rest):
        return None
    frames, *ends = map(int, numbers)
    return path.strip(), frames, ends


def _official(found: _Found, train: Path | None, annotation: Path | None) -> None:
    for at, line in _listed(found, train, "Anomaly_Train.txt", test=False):
        _in_folder(found, _Line(at, line, _class_of(line), test=False))
    name = "Temporal_Anomaly_Annotation.txt"
    for at, line in _listed(found, annotation, name, test=True):
        entry = _annotation(found, at, line)
        if entry is not None:
            found.lines.append(entry)


def _annotated(found: _Found, annotation: Path) -> None:
    """Give the test videos of other lists the intervals of the official annotation.

    Beside an array of the truth it decides nothing, and what is wrong with it is only named.
    """
    said_wrong = _Found() if found.truth else found
    if found.truth is None:
        found.lists.append(annotation)
    entries = [_annotation(said_wrong, at, line) for at, line in _lines(annotation)]
    if found.truth:
        action = f"{found.truth.name} is used"
        found.problems += [Problem(p.file, p.what, action) for p in said_wrong.refused]
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
    above = NORMAL if NORMAL in above else above
    unknown = above not in CLASSES
    if above and line.of in CLASSES and above != line.of and not (unknown and line.of == NORMAL):
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
        role = cells[2].lower() if len(cells) > 2 else ""
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
    data = file.read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
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
                what = f"{videos[key].name} occurs {'in training and test' if both else 'twice'}"
                found.wrong(line.at, what, test=line.test)
        else:
            seen.add(path)
            chosen = _features(path, index, streams=streams, exact=exact)
            videos[key] = Video(
                _name(path) if exact is None else path,
                classes.index(line.of),
                line.test,
                tuple(chosen),
                line.frames or found.frames.get(_key(path)),
                line.intervals,
            )
    _absent(found, videos, streams=streams)
    present = [video for video in videos.values() if video.files]
    _one_sided(found, present, normal=len(classes) - 1)
    if exact is None:
        listed = {_key(line.path) for line in found.lines}
        _unlisted(found, [files[0] for key, files in index.items() if key not in listed])
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
    """Name the videos without features, and those with other crops than most have."""
    numbers = {
        key: tuple(int(c[1]) for f in video.files if (c := _CROP.search(f.stem)))
        for key, video in videos.items()
    }
    usual = max(Counter(filter(None, numbers.values())).items(), key=_often, default=((), 0))[0]
    for key, video in list(videos.items()):
        what = ""
        crops = numbers[key]
        if not video.files:
            what = "listed but absent"
        elif streams and len(video.files) < 2:
            what = f"{'flow' if _stream(video.files[0]) == 'rgb' else 'rgb'} features are absent"
        elif crops and crops != usual:
            missing = sorted(set(usual) - set(crops))
            more = sorted(set(crops) - set(usual))
            names = f"number {missing} absent" if missing else f"number {more} too many"
            what = f"{len(crops)} crops instead of {len(usual)}: {names}"
        if what:
            problem = Problem(video.name, what, REFUSED if video.test else DROPPED)
            (found.refused if video.test else found.problems).append(problem)
            videos[key] = Video(video.name, video.label, video.test, ())


def _often(crops: tuple[tuple[int, ...], int]) -> tuple[int, int]:
    """Sort key of crop numbers with their frequency: the most frequent, then the most."""
    return crops[1], len(crops[0])


def _one_sided(found: _Found, present: Sequence[Video], normal: int) -> None:
    """Name a training or test set that a loss or an AUC of bags can do nothing with."""
    name = found.lists[0].name if found.lists else "lists"
    trained = {video.label == normal for video in present if not video.test}
    if len(trained) < 2 and not any(p.action == UNTRAINED for p in found.problems):
        kind = "" if not trained else "normal " if True not in trained else "abnormal "
        found.problems.append(Problem(name, f"no {kind}training video is there", UNTRAINED))
    if not any(video.test and video.label != normal for video in present) and not found.refused:
        found.refused.append(Problem(name, "no abnormal test video is there", REFUSED))


def _unlisted(found: _Found, files: Sequence[Path]) -> None:
    """Name the videos of a known class that no list has: a list may be cut short."""
    names = sorted(_name(file.name) for file in files if _class_of(file.name) in CLASSES)
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        found.problems.append(Problem(names[0], f"{names[0]}{more} in no list", "left out"))


def _take_frames(found: _Found, files: Sequence[Path]) -> None:
    """Learn how many frames videos have from the files that say it beside another layout."""
    if found.truth is not None:
        return  # an array of the truth has 16 frames per snippet, whatever the video has
    by_name = {file.name: file for file in files}
    for kind in ("anomaly", "normal"):
        file = by_name.get(_test_list(by_name, kind))
        if file is None or file in found.lists:
            continue
        found.lists.append(file)
        timed = filter(None, (_timed(line) for _, line in _lines(file)))
        found.frames |= {_key(path): frames for path, frames, _ in timed}
    if (file := by_name.get(FRAMES)) is None:
        return
    found.lists.append(file)
    rows = [(at, [cell.strip() for cell in line.split(",")]) for at, line in _lines(file)]
    for at, cells in rows[1:] if rows and rows[0][1] == ["path", "frames"] else rows:
        if len(cells) == 2 and cells[1].isdecimal() and int(cells[1]) > 0:
            found.frames[_key(cells[0])] = int(cells[1])
        else:
            found.wrong(
                at, f"must be path and number of frames, got {','.join(cells)!r}", test=True
            )


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
def _name(path: str) -> str:
    """The name of a video, without what extractors append to it.

    Example:
        >>> [_name(n) for n in ("G:/x/Abuse001_x264_i3d.npy", "a/Abuse001_x264.mp4.npy",
        ...                     "Abuse001_x264__0.npy", "Abuse001_x264_C.txt")]
        ['Abuse001_x264', 'Abuse001_x264', 'Abuse001_x264', 'Abuse001_x264']
    """
    name = PurePosixPath(_posix(path)).name
    name = re.sub(r"\.(npy|txt)$", "", name)
    name = re.sub(r"\.(mp4|avi|mkv)$", "", name, flags=re.IGNORECASE)
    return re.sub(r"(_i3d|_C)$", "", _CROP.sub("", name))


@cache
def _key(path: str) -> str:
    """What two spellings of a video's name share: extractors and file systems change the rest.

    Example:
        >>> _key("Abuse001_x264.mp4") == _key("abuse001_i3d.npy")
        True
    """
    return _name(path).lower().removesuffix("_x264")


def _class_of(path: str) -> str:
    """The class that a video's name begins with.

    Example:
        >>> _class_of("RoadAccidents002_x264.mp4"), _class_of("a/Normal_Videos_003_x264.mp4")
        ('RoadAccidents', 'Normal')
    """
    name = _name(path)
    named = _NAMED.match(name)
    of = named[1] if named else name
    return NORMAL if of.startswith("Normal_Video") else of
