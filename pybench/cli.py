"""The command line. Nothing heavy is imported at the top: ``pybench --help`` stays quick."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from pybench.commands import components, data, features, performance, suites, video
from pybench.commands.console import INTERRUPTED, MISSING, NO, OK, USAGE, Json, emit
from pybench.missing import MissingPartError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which loss, which sampler, on which imbalanced visual task, by how much, is it real?",
)
app.command("list")(components.list_components)
app.command()(components.show)
app.command()(components.docs)
app.command()(suites.run)
app.command()(suites.status)
app.command()(suites.report)
app.add_typer(data.app, name="data")
app.add_typer(features.app, name="features")
app.add_typer(video.app, name="video")
app.command()(performance.kernels)
app.command()(performance.gate)
app.command("asv-page")(performance.asv_page)


def main() -> None:
    """Run the command line; an error is one sentence on stderr and an exit code."""
    try:
        code = app(standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        if os.environ.get("PYBENCH_DEBUG") == "1":
            raise
        _leave(*_explain(error))
    if code == INTERRUPTED:  # which the parser may make of Ctrl-C by itself
        print("pybench: interrupted; run the same command again to go on", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        # At once: the engine has stopped its workers, and a server of workers that is still
        # loading torch ends by itself when this process is gone.
        os._exit(INTERRUPTED)
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
    if isinstance(error, MissingPartError | ImportError):
        return text, MISSING
    if isinstance(error, ValueError | OSError):
        return text, NO
    return f"{type(error).__name__}: {text} (PYBENCH_DEBUG=1 shows where)", NO


def _leave(text: str, code: int) -> NoReturn:
    print(f"pybench: {text}", file=sys.stderr)
    sys.exit(code)


@app.command()
def doctor(json: Json = False) -> int:
    """Check that everything pybench needs is here, and say what is missing."""
    from pybench.doctor import examine

    findings = examine()
    if json:
        emit({"rows": findings})
    else:
        for row in findings:
            print(f"{row['verdict']:<8} {row['part']:<22} {row['what']}")
    return MISSING if any(row["verdict"] == "missing" for row in findings) else OK
