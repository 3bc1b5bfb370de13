"""`pybench list`, `show` and `docs`: what there is, and what each component is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pybench.commands.console import Json, UsageError, emit

FOLDERS = ("losses", "samplers", "transforms", "models", "metrics", "steps", "tasks")


def list_components(
    what: Annotated[str, typer.Argument(help="losses, samplers, ..., suites, readers")] = "all",
    json: Json = False,
) -> None:
    """List components: what each is, where it comes from, and on which tasks it cannot be used."""
    rows = _listing(what)
    if json:
        emit({"rows": rows})
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

    from pybench import suite as suites
    from pybench.data import READERS
    from pybench.performance import kernels as kernels_module

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
        emit({**about, "uses": places})
        return
    inside = ", ".join(f"{key}={value!r}" for key, value in defaults.items())
    print(f"{name}({inside})\n\n{text}")
    if source and "Source:" not in text:
        print(f"\nSource: {source}")
    width = max(map(len, places), default=0)
    for number, (what, reason) in enumerate(places.items()):
        print(("" if number else "\nOn tasks of\n") + f"    {what:<{width}}  {reason or 'yes'}")


def docs(
    directory: Annotated[Path, typer.Argument(help="Folder of the pages")],
    json: Json = False,
) -> None:
    """Write one page per component, with the curves of each loss, and remove stale pages."""
    from pybench.docs import write

    files = write(directory)
    if json:
        emit({"directory": str(directory), "files": [str(f.relative_to(directory)) for f in files]})
    else:
        print(f"{directory / 'index.md'}: {len(files)} files")
