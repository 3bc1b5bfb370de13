"""The command line. Nothing heavy is imported at the top: ``pybench --help`` stays quick."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pybench.commands import features, performance, video
from pybench.commands.console import INTERRUPTED, MISSING, NO, OK, USAGE, Device, Json, UsageError
from pybench.commands.console import emit as _emit
from pybench.commands.console import tell as _tell

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which loss, which sampler, on which imbalanced visual task, by how much, is it real?",
)
data_app = typer.Typer(no_args_is_help=True, help="Make, read and check data in its real layout.")
app.add_typer(data_app, name="data")
app.add_typer(features.app, name="features")
app.add_typer(video.app, name="video")
app.command()(performance.kernels)
app.command()(performance.gate)
app.command("asv-page")(performance.asv_page)

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

FOLDERS = ("losses", "samplers", "transforms", "models", "metrics", "steps", "tasks")


def main() -> None:
    """Run the command line; an error is one sentence on stderr and an exit code."""
    try:
        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        print("pybench: interrupted; run the same command again to go on", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        # At once: the engine has stopped its workers, and a server of workers that is still
        # loading torch ends by itself when this process is gone.
        os._exit(INTERRUPTED)
    except Exception as error:
        if os.environ.get("PYBENCH_DEBUG") == "1":
            raise
        _leave(*_explain(error))
    sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else OK)


def _explain(error: Exception) -> tuple[str, int]:
    """One sentence and an exit code for an error."""
    if isinstance(error, typer.Abort):
        return "interrupted", INTERRUPTED
    if hasattr(error, "format_message"):  # the parser's complaint about the command line
        return str(error.format_message()), USAGE
    text = " ".join(str(error).split()) or type(error).__name__
    wrong_usage = {"SpecError", "SuiteError", "UsageError", "EngineError", "SettingsError"}
    kinds = {cls.__name__ for cls in type(error).__mro__}
    absent = FileNotFoundError | NotADirectoryError | LookupError
    if kinds & wrong_usage or isinstance(error, absent):
        return text, USAGE
    if kinds & {"MissingPartError", "ImportError"}:
        return text, MISSING
    if isinstance(error, ValueError | OSError):
        return text, NO
    return f"{type(error).__name__}: {text} (PYBENCH_DEBUG=1 shows where)", NO


def _leave(text: str, code: int) -> NoReturn:
    print(f"pybench: {text}", file=sys.stderr)
    sys.exit(code)


# -- what there is ---------------------------------------------------------------------------


@app.command("list")
def list_components(
    what: Annotated[str, typer.Argument(help="losses, samplers, ..., suites, readers")] = "all",
    json: Json = False,
) -> None:
    """List components: what each is, where it comes from, and on which tasks it cannot be used."""
    rows = _listing(what)
    if json:
        _emit({"rows": rows})
        return
    width = max(len(row["name"]) for row in rows) if rows else 0
    folder = None
    for row in rows:
        if row["folder"] != folder:
            folder = row["folder"]
            print(f"{folder}:")
        print(f"  {row['name']:<{width}}  {row['summary']}")
        barred = ", ".join(place for place, reason in row.get("uses", {}).items() if reason)
        more = [row.get("source") or "", f"not for {barred}" if barred else ""]
        if any(more):
            print(f"  {'':<{width}}  {'; '.join(filter(None, more))}")


def _listing(what: str) -> list[dict[str, Any]]:
    import importlib

    from pybench import kernels as kernels_module
    from pybench import suite as suites
    from pybench.data import READERS

    known = (*FOLDERS, "suites", "kernels", "readers")
    if what not in (*known, "all"):
        msg = f"what must be one of {', '.join(known)}, got {what!r}"
        raise UsageError(msg)
    rows: list[dict[str, Any]] = []
    for folder in known if what == "all" else (what,):
        if folder in FOLDERS:
            registry = getattr(importlib.import_module(f"pybench.{folder}"), folder)
            rows += [
                {
                    "folder": folder,
                    "name": name,
                    "summary": registry.summary(name),
                    "source": getattr(registry[name], "source", None),
                    "uses": suites.uses(registry, name),
                }
                for name in registry
            ]
            continue
        if folder == "suites":
            found = {name: suites.find(name)[1].title for name in suites.names()}
        elif folder == "kernels":
            found = kernels_module.summaries()
        else:
            found = {name: reader.summary for name, reader in READERS.items()}
        rows += [{"folder": folder, "name": n, "summary": s} for n, s in found.items()]
    return rows


@app.command()
def show(
    component: Annotated[str, typer.Argument(help="FOLDER/NAME, such as losses/focal")],
    json: Json = False,
) -> None:
    """Explain one component: equation, parameters, source, deviations from the paper."""
    import dataclasses
    import importlib
    import inspect

    folder, _, name = component.partition("/")
    if folder not in FOLDERS or not name:
        known = ", ".join(FOLDERS)
        msg = f"component must be FOLDER/NAME with FOLDER one of {known}, got {component!r}"
        raise UsageError(msg)
    from pybench import suite as suites
    from pybench.registry import parameters

    registry = getattr(importlib.import_module(f"pybench.{folder}"), folder)
    cls = registry[name]
    defaults = {
        key: None if value is dataclasses.MISSING else value
        for key, value in parameters(cls).items()
    }
    text = inspect.cleandoc(cls.__doc__ or "")
    source, places = getattr(cls, "source", None), suites.uses(registry, name)
    if json:
        about = {"name": name, "doc": text, "parameters": defaults, "source": source}
        _emit({**about, "uses": places})
        return
    inside = ", ".join(f"{key}={value!r}" for key, value in defaults.items())
    print(f"{name}({inside})\n\n{text}")
    if source and "Source:" not in text:
        print(f"\nSource: {source}")
    width = max(map(len, places), default=0)
    for number, (what, reason) in enumerate(places.items()):
        print(("" if number else "\nOn tasks of\n") + f"    {what:<{width}}  {reason or 'yes'}")


@app.command()
def docs(
    directory: Annotated[Path, typer.Argument(help="Folder of the pages")],
    json: Json = False,
) -> None:
    """Write one page per component, with the curves of each loss, and remove stale pages."""
    from pybench.docs import write

    files = write(directory)
    if json:
        _emit(
            {"directory": str(directory), "files": [str(f.relative_to(directory)) for f in files]}
        )
    else:
        print(f"{directory / 'index.md'}: {len(files)} files")


# -- running ---------------------------------------------------------------------------------


@app.command()
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
        suite, chosen, paths, store, make=not dry_run, say=partial(_tell, quiet=json)
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
    board = _write_board(planned, opened, store / planned.name, _command(), paper_selection)
    if json:
        _emit(outcome.to_json())
    else:
        print(board)
    return NO if outcome.failed or outcome.todo else OK


def _dry_run(planned: Any, outcome: Any, json: bool) -> None:
    from pybench.progress import clock

    refused = [vars(refusal) for refusal in planned.plan.refused]
    if json:
        _emit({**outcome.to_json(), "refused": refused, "trials": [j.id for j in planned.jobs]})
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


@app.command()
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
        _emit(outcome.to_json())
        return
    print(
        f"{outcome.done} done, {outcome.failed} failed, {outcome.running} running, "
        f"{outcome.todo} to run"
    )


@app.command()
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
    board = _write_board(planned, opened, folder, _command(), paper_selection)
    if json:
        print((folder / "leaderboard.json").read_text(), end="")
    else:
        print(board)
    return OK


class MissingPartError(RuntimeError):
    """A part that is needed is not there, or nothing was measured."""


def _write_board(
    planned: Any, store: Any, folder: Path, command: str, paper_selection: bool
) -> str:
    from pybench.report import write

    text: str = write(planned, store, folder, command, paper_selection=paper_selection)
    return text


def _command() -> str:
    import shlex

    return shlex.join(["pybench", *sys.argv[1:]])


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


# -- data ------------------------------------------------------------------------------------


@data_app.command("make")
def data_make(
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
    from pybench.features import find
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
        built.make_videos(directory, scale, seed)
        count = len(find(directory))
        if json:
            _emit({"task": task, "directory": str(directory), "samples": count})
        else:
            print(f"{directory}: {count} videos; next: pybench features extract {directory}")
        return
    built.make(directory, scale, seed)
    found = check(built.meta.reader, directory)
    if json:
        _emit({"task": task, "directory": str(directory), **found})
    else:
        counts = ", ".join(f"{name} {n}" for name, n in found["counts"].items())
        print(f"{directory}: {found['samples']} samples: {counts}")


@data_app.command("check")
def data_check(
    reader: Annotated[str, typer.Argument(help="dacon or clips")],
    path: Annotated[Path, typer.Argument(help="Folder or file")],
    json: Json = False,
) -> int:
    """Read everything and name every damage; exit code 1 when there is any."""
    from pybench.data import check

    found = check(reader, path)
    if json:
        _emit(found)
    else:
        counts = ", ".join(f"{name} {n}" for name, n in found["counts"].items())
        print(f"{reader}: {found['samples']} samples read: {counts}")
        for problem in found["problems"]:
            print(f"{problem['file']}: {problem['what']}; {problem['action']}")
    return NO if found["problems"] else OK


@app.command()
def doctor(json: Json = False) -> int:
    """Check that everything pybench needs is here, and say what is missing."""
    from pybench.doctor import examine

    findings = examine()
    if json:
        _emit({"rows": findings})
    else:
        for row in findings:
            print(f"{row['verdict']:<8} {row['part']:<22} {row['what']}")
    return MISSING if any(row["verdict"] == "missing" for row in findings) else OK
