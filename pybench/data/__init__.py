"""Readers of real on-disk formats, and generators of embedded data in those very formats."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reader:
    """A reader of one format; its module has ``check(path) -> dict``.

    Fields:
        summary: one line for people.
        module: dotted name.
    """

    summary: str
    module: str


READERS = {
    "dacon": Reader("folder of the Dacon car-crash competition 236064", "pybench.data.dacon"),
    "ucf": Reader("UCF-Crime features in any known layout, or a CSV", "pybench.data.ucf"),
    "clips": Reader("CSV path,label of any labelled videos", "pybench.data.clips"),
}


def check(reader: str, path: Path) -> dict[str, Any]:
    """Read everything at ``path`` and name every damage.

    Returns:
        {"reader", "counts", "samples", "problems": [{"file", "what", "action"}]}.

    Raises:
        ValueError: unknown reader.
        FileNotFoundError: nothing at ``path``.
    """
    if reader not in READERS:
        near = difflib.get_close_matches(reader, READERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(READERS)}"
        msg = f"unknown reader {reader!r}; {hint}"
        raise LookupError(msg)
    if not path.exists():
        msg = f"path must exist, got {path}"
        raise FileNotFoundError(msg)
    found: dict[str, Any] = importlib.import_module(READERS[reader].module).check(path)
    return {"reader": reader, **found}
