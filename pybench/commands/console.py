"""What all commands share: exit codes, the option ``--json``, and how an object is printed."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

OK, NO, USAGE, MISSING, UNTOLD, INTERRUPTED = 0, 1, 2, 3, 4, 130

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu or cuda")]


class UsageError(ValueError):
    """A command line that cannot be understood."""


def emit(value: Any) -> None:
    """Print one JSON object."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def tell(text: str, *, quiet: bool) -> None:
    """Say on stderr what goes on, unless it is to be quiet."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)
