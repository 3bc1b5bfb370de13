"""What data is: a content id of files, and a place for data that is made."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

READ_BYTES = 1 << 20
BOUND_GIB = 20.0
"""Bound of each folder of a cache, unless ``PYBENCH_CACHE_GIB`` says otherwise."""


def content_id(files: Sequence[Path], root: Path, cache: Path) -> str:
    """Hash of names and contents; a file whose size and time are unchanged is not read again.

    Args:
        files: files inside ``root``, in any order.
        root: names are relative to it.
        cache: where the hashes of single files are remembered.
    """
    memory = cache / "hashes" / f"{hashlib.blake2b(str(root.resolve()).encode()).hexdigest()[:32]}"
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    manifest: dict[str, list[object]] = {}
    for file in sorted(files):
        name, facts = os.path.relpath(file, root), file.stat()
        stamp = [facts.st_size, facts.st_mtime_ns]
        before = known.get(name)
        fresh = isinstance(before, list) and before[:2] == stamp
        manifest[name] = [*stamp, before[2] if fresh else _hash(file)]
    if manifest != known:
        memory.parent.mkdir(parents=True, exist_ok=True)
        work = memory.with_name(f"tmp-{uuid.uuid4().hex}")
        work.write_text(json.dumps(manifest))
        work.replace(memory)
    contents = [[name, entry[2]] for name, entry in manifest.items()]
    return hashlib.blake2b(json.dumps(contents).encode(), digest_size=16).hexdigest()


def made(folder: Path, make: Callable[[Path], object]) -> Path:
    """``folder``, made by ``make`` unless it is there already.

    One process makes, others wait; a maker that is killed leaves nothing that is taken for done.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the process that holds it
        if not folder.is_dir():
            work = folder.with_name(f"tmp-{folder.name}")
            shutil.rmtree(work, ignore_errors=True)
            try:
                make(work)
                work.rename(folder)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return folder


def make_room(folder: Path, wanted_bytes: int) -> None:
    """Remove what was used longest ago until ``wanted_bytes`` more fit the bound of a folder."""
    bound = float(os.environ.get("PYBENCH_CACHE_GIB", BOUND_GIB)) * 2**30
    kept: list[tuple[float, int, Path]] = []
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.name.startswith("tmp-"):
            used = sum(file.stat().st_size for file in entry.iterdir())
            kept.append((entry.stat().st_mtime, used, entry))
    total = sum(size for _, size, _ in kept) + wanted_bytes
    for _, used, entry in sorted(kept):
        if total <= bound:
            break
        shutil.rmtree(entry, ignore_errors=True)
        total -= used


def _hash(file: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
