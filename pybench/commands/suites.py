"""`pybench run`, `status` and `report`: a suite from nothing to its leaderboard."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pybench.commands.console import NO, OK, Device, Json, UsageError, emit, tell
from pybench.missing import MissingPartError

StoreDir = Annotated[Path, typer.Option("--store", help="Folder of the results.")]
Tasks = Annotated[str | None, typer.Option("--tasks", help="Only these tasks: a,b")]
Losses = Annotated[list[str] | None, typer.Option("--losses", help="Only these losses: ce,focal")]
Samplers = Annotated[list[str] | None, typer.Option("--samplers", help="Only these samplers.")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="Seeds 0 .. N-1 of each row.")]
Data = Annotated[list[str] | None, typer.Option("--data", help="Your own data: TASK=PATH")]
PaperSelection = Annotated[
    bool,
    typer.Option(
        "--paper-selection",
        help="Choose a swept loss's parameters on the test split, as papers do; it is stamped.",
    ),
]


def run(
    suite: Annotated[str, typer.Argument(help="Suite name or FILE.py; clips for your own data")],
    tasks: Tasks = None,
    losses: Losses = None,
    samplers: Samplers = None,
    seeds: Seeds = None,
    data: Data = None,
    device: Device = None,
    relabel: Annotated[Path | None, typer.Option(help="Corrected Dacon labels: 0007 0")] = None,
    engine: Annotated[str, typer.Option(help="inline or local")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Trials side by side.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run.")] = False,
    wall_limit_s: Annotated[float, typer.Option(help="Seconds a trial may take.")] = 3600.0,
    memory_limit_mib: Annotated[
        float | None, typer.Option(help="Memory a trial may take; default: its share.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option(help="Run failed trials again.")] = False,
    paper_selection: PaperSelection = False,
    store: StoreDir = Path("results"),
    json: Json = False,
) -> int:
    """Train what is left of a suite, then write its leaderboard."""
    from pybench import run as runner
    from pybench.store import Store

    chosen = _selection(tasks, losses, samplers, seeds, device)
    paths = _data_paths(suite, data)
    if relabel is not None:
        if not relabel.is_file():
            msg = f"--relabel must name a file, got {str(relabel)!r}"
            raise UsageError(msg)
        os.environ["PYBENCH_RELABEL"] = str(relabel.resolve())
    planned = runner.plan(
        suite, chosen, paths, store, make=not dry_run, say=partial(tell, quiet=json)
    )
    opened = Store(store)
    if dry_run:
        _dry_run(planned, runner.status(planned, opened, workers or os.cpu_count() or 1), json)
        return OK
    outcome = runner.run(
        planned,
        opened,
        engine=engine,
        workers=workers,
        wall_limit_s=wall_limit_s,
        memory_limit_mib=memory_limit_mib,
        retry_failed=retry_failed,
        quiet=json,
    )
    board = _write_board(planned, opened, store / planned.name, paper_selection)
    if json:
        emit(outcome.to_json())
    else:
        print(board)
    return NO if outcome.failed or outcome.todo else OK


def _dry_run(planned: Any, outcome: Any, json: bool) -> None:
    from pybench.progress import clock

    refused = [vars(refusal) for refusal in planned.plan.refused]
    if json:
        emit({**outcome.to_json(), "refused": refused, "trials": [j.id for j in planned.jobs]})
        return
    rows = dict.fromkeys((job.trial.task, job.trial.model, job.trial.name) for job in planned.jobs)
    for task, model, name in rows:
        print(f"{task:<12} {model:<12} {name}")
    for refusal in refused:
        print(f"refused: {refusal['task']}: {refusal['row']}: {refusal['reason']}")
    print(
        f"{len(planned.jobs)} trials, {outcome.done} done, {outcome.failed} failed, "
        f"{outcome.todo} to run, about {clock(outcome.eta_s)}"
    )


def status(
    suite: Annotated[str, typer.Argument(help="Suite name or FILE.py")],
    tasks: Tasks = None,
    losses: Losses = None,
    samplers: Samplers = None,
    seeds: Seeds = None,
    data: Data = None,
    device: Device = None,
    store: StoreDir = Path("results"),
    json: Json = False,
) -> None:
    """Say how much of a suite is done."""
    from pybench import run as runner
    from pybench.store import Store

    chosen = _selection(tasks, losses, samplers, seeds, device)
    planned = runner.plan(suite, chosen, _data_paths(suite, data), store, make=False)
    outcome = runner.status(planned, Store(store), os.cpu_count() or 1)
    if json:
        emit(outcome.to_json())
        return
    print(
        f"{outcome.done} done, {outcome.failed} failed, {outcome.running} running, "
        f"{outcome.todo} to run"
    )


def report(
    suite: Annotated[str, typer.Argument(help="Suite name or FILE.py")] = "quick",
    tasks: Tasks = None,
    losses: Losses = None,
    samplers: Samplers = None,
    seeds: Seeds = None,
    data: Data = None,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default STORE/SUITE")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder of scores over time and curves, tasks of bags")
    ] = None,
    paper_selection: PaperSelection = False,
    store: StoreDir = Path("results"),
    json: Json = False,
) -> int:
    """Write leaderboard.{html,md,json} of a suite from what is stored, and print the table."""
    from pybench import run as runner
    from pybench.store import Store

    chosen = _selection(tasks, losses, samplers, seeds, device)
    planned = runner.plan(suite, chosen, _data_paths(suite, data), store, make=False)
    opened = Store(store)
    if not opened.done([job.id for job in planned.jobs]):
        msg = (
            f"suite must have finished trials, got none of {planned.name}; run: pybench run {suite}"
        )
        raise MissingPartError(msg)
    folder = out or store / planned.name
    if figures is not None:
        from pybench.report import timelines

        timelines.write(planned, opened, figures)
    board = _write_board(planned, opened, folder, paper_selection)
    if json:
        print((folder / "leaderboard.json").read_text(), end="")
    else:
        print(board)
    return OK


def _write_board(planned: Any, store: Any, folder: Path, paper_selection: bool) -> str:
    import shlex

    from pybench.report import write

    command = shlex.join(["pybench", *sys.argv[1:]])
    text: str = write(planned, store, folder, command, paper_selection=paper_selection)
    return text


def _selection(
    tasks: str | None,
    losses: list[str] | None,
    samplers: list[str] | None,
    seeds: int | None,
    device: str | None,
) -> Any:
    from pybench.suite import Selection

    return Selection(
        tasks=tuple(filter(None, (t.strip() for t in tasks.split(",")))) if tasks else None,
        losses=_specs(losses),
        samplers=_specs(samplers),
        seeds=seeds,
        device=device,
    )


def _specs(given: list[str] | None) -> tuple[str, ...] | None:
    """Split ``ce,focal(gamma=2, alpha=1)`` at the commas outside brackets and quotes."""
    if not given:
        return None
    specs, depth, quote, current = [], 0, "", ""
    for character in ",".join(given) + ",":
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        depth += (character in "([") - (character in ")]") if not quote else 0
        if character == "," and not depth and not quote:
            specs.append(current.strip())
            current = ""
        else:
            current += character
    specs.append(current.strip())
    return tuple(spec for spec in specs if spec)


def _data_paths(suite: str, given: list[str] | None) -> dict[str, Path]:
    """``TASK=PATH`` pairs; a bare path belongs to the suite's own task (``run clips``)."""
    paths = {}
    for pair in given or ():
        task, equals, path = pair.partition("=")
        if not equals:
            task, path = suite, pair
        if not path or not Path(path).exists():
            msg = f"--data must name a path that exists, got {pair!r}; write TASK=PATH"
            raise UsageError(msg)
        paths[task] = Path(path).resolve()
    return paths
