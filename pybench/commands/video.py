"""The commands ``pybench video``: what a clip holds, and what training would see of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pybench.commands.console import NO, OK, Json, UsageError, emit

if TYPE_CHECKING:
    from pybench import video

app = typer.Typer(no_args_is_help=True, help="Look at a video the way training sees it.")

LONGEST_SIDE = 224


@app.command()
def probe(path: Path, json: Json = False) -> None:
    """Say what a video file holds: codec, size, frames shown, groups, rotation, duration."""
    from pybench import video

    facts = video.probe(path)
    if json:
        emit({"file": str(path), **dataclasses.asdict(facts)})
        return
    turned = f", turned by {facts.rotation} degrees" if facts.rotation else ""
    for name, value in {
        "file": path,
        "video": f"{facts.codec} in {facts.container}",
        "size": f"{facts.width}x{facts.height}{turned}",
        "frames": f"{facts.frames} shown, {facts.fps:.6g} per second",
        "duration": f"{facts.duration_s:.3f} s",
        "groups": f"{facts.gops} keyframes",
    }.items():
        print(f"{name:<10} {value}")
    for warning in facts.warnings:
        print(f"warning    {warning}")


@app.command()
def sample(
    path: Path,
    frames: Annotated[int | None, typer.Option(help="How many.  [default: 32]")] = None,
    plan: Annotated[
        str | None,
        typer.Option(help="uniform, middle, stride, segments or random.  [default: uniform]"),
    ] = None,
    stride: Annotated[int | None, typer.Option(help="From frame to frame; middle, stride.")] = None,
    seed: Annotated[int | None, typer.Option(help="For random and segments.")] = None,
    indices: Annotated[str | None, typer.Option(help="These frames instead: 0,5,9")] = None,
    times: Annotated[str | None, typer.Option(help="What is shown at these seconds: 0.5,2")] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="224 for a square or 128x171 (height x width), as training would see it; "
            "default: in proportion."
        ),
    ] = None,
    on_error: Annotated[str, typer.Option(help="raise, nearest or black")] = "raise",
    out: Annotated[Path, typer.Option(help="The contact sheet to write.")] = Path("sheet.png"),
    json: Json = False,
) -> int:
    """Draw the frames that a plan takes, with their indices and times; exit code 1 for damage."""
    from pybench import contact_sheet, video

    listed = {"indices": _numbers("indices", indices, int), "times_s": _numbers("times", times)}
    if not any(listed.values()) and plan != "stride":
        frames = frames or 32
    facts = video.probe(path)
    taken = video.sample_frames(
        path,
        frames,
        plan=plan,  # type: ignore[arg-type]  # checked there
        stride=stride,
        seed=seed,
        **listed,
        size=_size(size, facts),
        on_error=on_error,  # type: ignore[arg-type]  # checked there
    )
    title = f"{path.name}   {facts.codec} {facts.width}x{facts.height}, {facts.frames} frames"
    contact_sheet.write(taken, out, title=title)
    report = taken.report
    if json:
        emit(
            {
                "file": str(path),
                "sheet": str(out),
                "indices": taken.indices.tolist(),
                "pts_s": taken.pts_s.tolist(),
                **dataclasses.asdict(report),
            }
        )
    else:
        print(f"{out}: {len(taken.indices)} frames of {facts.frames}")
        for name, values in dataclasses.asdict(report).items():
            if values:
                print(f"{name}: {', '.join(map(str, values))}")
    return NO if report else OK


def _numbers(name: str, text: str | None, kind: type[int] | type[float] = float) -> Any:
    if text is None:
        return None
    try:
        return [kind(word) for word in text.split(",")]
    except ValueError as error:
        msg = f"--{name} must be numbers with commas between, got {text!r}"
        raise UsageError(msg) from error


def _size(text: str | None, facts: video.Probe) -> tuple[int, int]:
    if text is None:
        scale = min(1.0, LONGEST_SIDE / max(facts.height, facts.width))
        return max(1, round(facts.height * scale)), max(1, round(facts.width * scale))
    height, _, width = text.partition("x")
    try:
        return int(height), int(width or height)
    except ValueError as error:
        msg = f"--size must be a number or HEIGHTxWIDTH, got {text!r}"
        raise UsageError(msg) from error
