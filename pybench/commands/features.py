"""``pybench features``: what a network says of videos, snippet by snippet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pybench.commands.console import NO, OK, Device, Json, UsageError, emit

app = typer.Typer(no_args_is_help=True, help="Turn videos into features of snippets.")


@app.callback()
def group() -> None:
    """Keep ``extract`` a command of its own, although it is the only one."""


@app.command("extract")
def extract_command(
    directory: Annotated[Path, typer.Argument(help="Folder of videos, and their lists")],
    out: Annotated[Path, typer.Option(help="Folder of the features")],
    model: Annotated[str, typer.Option(help="r3d18 or i3d")] = "r3d18",
    weights: Annotated[Path | None, typer.Option(help="File of the network's weights")] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="An untrained network, to try the way.")
    ] = False,
    crops: Annotated[int, typer.Option(help="1, or 10: corners, centre, mirrored")] = 1,
    segments: Annotated[
        int | None, typer.Option(help="Means over so many parts of a video, such as 32.")
    ] = None,
    device: Device = None,
    json: Json = False,
) -> int:
    """Run every 16 frames of each video through a network; what is there already is kept."""
    from pybench.features import Settings, extract
    from pybench.progress import clock
    from pybench.suite import device_name

    if model not in ("r3d18", "i3d"):
        msg = f"model must be r3d18 or i3d, got {model!r}"
        raise UsageError(msg)
    if not directory.is_dir():
        msg = f"directory must be a folder of videos, got {str(directory)!r}"
        raise UsageError(msg)
    if weights is not None and not weights.is_file():
        msg = f"--weights must name a file, got {str(weights)!r}"
        raise UsageError(msg)
    settings = Settings(
        model=model,
        weights=weights,
        random_weights=random_weights,
        crops=crops,
        segments=segments,
        device=device_name(device),
        threads=os.cpu_count() or 1,
    )
    found = extract(directory, out, settings, quiet=json)
    if json:
        emit({"out": str(out), **found.to_json()})
    else:
        for problem in found.problems:
            print(problem)
        print(
            f"{out}: {found.done} videos, {found.snippets} snippets in {clock(found.wall_s)}: "
            f"decoding {found.decode_s:.1f} s beside {found.network_s:.1f} s of {model}; "
            f"{found.skipped} were there, {len(found.problems)} damaged"
        )
    return NO if found.problems else OK
