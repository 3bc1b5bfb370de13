"""`pybench data`: make, read and check data in its real layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pybench.commands.console import NO, OK, Json, UsageError, emit

app = typer.Typer(no_args_is_help=True, help="Make, read and check data in its real layout.")


@app.command("make")
def make(
    task: Annotated[str, typer.Argument(help="Task whose embedded data is written")],
    directory: Annotated[Path, typer.Argument(help="New or empty folder")],
    scale: Annotated[float, typer.Option(min=0.01, help="Share of the default size.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    width: Annotated[int | None, typer.Option(min=1, help="Numbers per snippet, anomaly")] = None,
    crops: Annotated[int | None, typer.Option(min=1, help="Crops per snippet, anomaly")] = None,
    videos: Annotated[
        bool, typer.Option("--videos", help="Videos to extract the task's features from.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a task's generated data in its real on-disk layout."""
    import dataclasses

    from pybench.data import check
    from pybench.tasks import tasks

    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        msg = f"directory must be new or empty, got {directory}"
        raise UsageError(msg)
    built: Any = tasks.build(task)
    asked = {name: n for name, n in (("width", width), ("crops", crops)) if n is not None}
    known = {field.name for field in dataclasses.fields(built)}
    if asked and (videos or not asked.keys() <= known):
        msg = f"--{' and --'.join(asked)} must go with a task of features, got {task!r}"
        raise UsageError(msg + (" --videos" if videos else ""))
    built = dataclasses.replace(built, **asked)
    if videos:
        from pybench.features import find

        built.make_videos(directory, scale, seed)
        count = len(find(directory))
        if json:
            emit({"task": task, "directory": str(directory), "samples": count})
        else:
            print(f"{directory}: {count} videos; next: pybench features extract {directory}")
        return
    built.make(directory, scale, seed)
    found = check(built.meta.reader, directory)
    if json:
        emit({"task": task, "directory": str(directory), **found})
    else:
        counts = ", ".join(f"{name} {n}" for name, n in found["counts"].items())
        print(f"{directory}: {found['samples']} samples: {counts}")


@app.command("check")
def check_data(
    reader: Annotated[str, typer.Argument(help="dacon, ucf, clips; see: pybench list readers")],
    path: Annotated[Path, typer.Argument(help="Folder or file")],
    json: Json = False,
) -> int:
    """Read everything and name every damage; exit code 1 when there is any."""
    from pybench.data import check

    found = check(reader, path)
    if json:
        emit(found)
    else:
        counts = ", ".join(f"{name} {n}" for name, n in found["counts"].items())
        print(f"{reader}: {found['samples']} samples read: {counts}")
        for problem in found["problems"]:
            print(f"{problem['file']}: {problem['what']}; {problem['action']}")
    return NO if found["problems"] else OK
