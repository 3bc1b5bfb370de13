"""``pybench kernels``, ``gate``, ``asv-page``: how fast the core is, and whether it got slower."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pybench.commands.console import NO, OK, UNTOLD, Json, UsageError, emit, tell


def kernels(
    names: Annotated[list[str] | None, typer.Argument(help="Kernels; default all")] = None,
    peers: Annotated[bool, typer.Option("--peers", help="Time what others use, too.")] = False,
    rounds: Annotated[int, typer.Option(min=7, help="Timings of each call.")] = 7,
    scale: Annotated[
        float, typer.Option(min=1e-9, max=1.0, help="Factor on the sizes, for slow machines.")
    ] = 1.0,
    against: Annotated[
        str | None, typer.Option("--against", help="Beside another revision: slower or not.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 for a regression, 4 for a row untold.")
    ] = False,
    json: Json = False,
) -> int:
    """Time the Rust kernels on fixed workloads: alone, beside their peers or another revision."""
    if against is not None:
        if peers or scale < 1:
            msg = "--against must stand without --peers and --scale, got both; leave one out"
            raise UsageError(msg)
        return _against(against, names or (), rounds, strict, json)
    from pybench.performance.kernels import measure

    rows = []
    for row in measure(names or (), peers=peers, rounds=rounds, scale=scale):
        rows.append(row)
        if json:
            continue
        workload = row["workload"] + (f" (at {row['size']})" if scale < 1 else "")
        line = f"{row['kernel']:<22} {workload:<45} {_time(row, 'ours')}"
        if peers:
            line += (
                f" {_time(row, 'peer')}  x{row['ratio']:<8.3g} "
                f"[{row['ratio_low']:.3g}, {row['ratio_high']:.3g}] target {row['target']:g}"
                f"  {row['peer']} {row['peer_version']}"
            )
        print(line, flush=True)
    if json:
        emit({"rows": rows})
    return OK


def _against(revision: str, names: Sequence[str], rounds: int, strict: bool, json: bool) -> int:
    from pybench.performance.against import compare

    found = compare(revision, names, rounds=rounds, say=partial(tell, quiet=json))
    if json:
        emit(found.to_json())
    for row in () if json else found.rows:
        line = f"{row.kernel:<22} {row.workload:<45} {row.here_ms:>10.4g} ms"
        if row.there_ms is not None:
            line += (
                f" {row.there_ms:>10.4g} ms  x{row.ratio:<7.3f} "
                f"[{row.ratio_low:.3f}, {row.ratio_high:.3f}]"
            )
        print(f"{line}  {row.verdict}")
    verdicts = {row.verdict for row in found.rows} if strict else set()
    return NO if "regression" in verdicts else UNTOLD if "cannot tell" in verdicts else OK


def _time(row: dict[str, Any], side: str) -> str:
    return f"{row[f'{side}_ms']:>10.4g} ms \N{PLUS-MINUS SIGN}{row[f'{side}_spread']:<5.1%}"


def gate(
    names: Annotated[list[str] | None, typer.Argument(help="Kernels; default all")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Make what is counted the baseline.")
    ] = False,
    baseline: Annotated[Path | None, typer.Option(help="File; default: that of pybench.")] = None,
    json: Json = False,
) -> int:
    """Count the instructions of the Rust kernels; exit code 1 when one has grown by over 3 %."""
    from pybench.performance import gate as gate_module

    outcome = gate_module.run(names or (), update=update, file=baseline)
    if json:
        emit(outcome.to_json())
        return OK if outcome.passed else NO
    for row in outcome.rows:
        count = "-" if row.instructions is None else f"{row.instructions:,}"
        line = f"{row.kernel:<22} {row.workload:<45} {count:>14}"
        if row.instructions and row.baseline:
            line += f" {row.instructions / row.baseline - 1:>+9.3%}"
        print(f"{line}  {row.verdict}")
    for notice in outcome.notices:
        print(notice)
    return OK if outcome.passed else NO


def asv_page(
    results: Annotated[Path, typer.Argument(help="asv's results_dir")] = Path(
        "results/asv/results"
    ),
    out: Annotated[Path, typer.Option(help="The page")] = Path("results/asv/index.html"),
    json: Json = False,
) -> None:
    """Draw the history that asv has stored as one page that opens without a network."""
    from pybench.report import history

    found = history.read(results)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(history.page(found), encoding="utf-8")
    for problem in found.problems:
        tell(problem, quiet=json)
    summary = {"page": str(out), "series": len(found.series), "commits": len(found.commits)}
    if json:
        emit({**summary, "problems": list(found.problems)})
    else:
        print(f"{out}: {len(found.series)} benchmarks over {len(found.commits)} commits")
