"""Which code a trial uses, as one id: an edit of anything else leaves its result valid."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pybench.losses import losses
from pybench.metrics import metrics
from pybench.models import models
from pybench.registry import Registry, Spec, SpecError, parse
from pybench.samplers import samplers
from pybench.steps import steps
from pybench.tasks import tasks
from pybench.transforms import transforms
from pybench.trial import Trial

_ROOT = "pybench.train"
_CORE = ("pybench.core", "pybench._core")
_VIDEO = "pybench.video"
_REGISTRIES: dict[str, Registry[Any]] = {
    registry.package: registry
    for registry in (losses, metrics, models, samplers, steps, tasks, transforms)
}


@dataclass(frozen=True)
class Source:
    """What one file contributes.

    Fields:
        digest: hash of its syntax tree without docstrings, comments, positions and types-only
            imports.
        modules: modules of pybench it imports when it runs, inside functions too.
        kernels: functions of the Rust core that it names, and ``"video"``.
        words: names in those of its strings that read as specs.
    """

    digest: str
    modules: frozenset[str]
    kernels: frozenset[str]
    words: frozenset[str]


def code_id(trial: Trial) -> str:
    """32 hexadecimal digits of the code behind a trial.

    Covered are the training loop, the components that the trial's specs name, whatever of
    pybench these import when they run, the metrics of the task, and the sources of the Rust kernels
    that all of these call. A component that another one names in a string (``base="focal"``) is
    covered too. Of a plug-in its own file is covered, not what it imports from outside pybench.

    Raises:
        SpecError: a component that does not exist.
    """
    specs: list[tuple[Registry[Any], str]] = [
        (tasks, trial.task),
        (models, trial.model),
        (samplers, trial.sampler),
        (transforms, trial.transform),
        (losses, trial.loss),
        *((steps, step) for step in trial.steps),
    ]
    named = (_components(registry.package, spec) for registry, spec in specs)
    return _code_id(_metrics(trial.task).union(*named))


# A grid of 10,000 trials has few specs and fewer sets of components: each is looked at once.
@functools.cache
def _components(package: str, spec: str) -> frozenset[str]:
    registry = _REGISTRIES[package]
    return frozenset(f"{package}.{registry.file(name).stem}" for name in _names(spec))


@functools.cache
def _metrics(task: str) -> frozenset[str]:
    meta = tasks.build(task).meta
    named = {name for spec in (meta.headline, *meta.metrics) for name in _names(spec)}
    return frozenset(f"{metrics.package}.{name}" for name in named)


@functools.cache
def _code_id(components: frozenset[str]) -> str:
    used: dict[str, Source] = {}
    pending = {_ROOT, *components}
    while pending:
        name = pending.pop()
        path = None if name in used else _file(name)
        if path is not None:
            used[name] = source = _source(path, name)
            package = name.rpartition(".")[0]
            if package in _REGISTRIES and package != tasks.package:
                pending |= {f"{package}.{w}" for w in source.words & set(_REGISTRIES[package])}
            pending |= source.modules
    parts = [f"{name} {source.digest}" for name, source in used.items()]
    kernels = {kernel for source in used.values() for kernel in source.kernels}
    return _digest("\n".join(sorted([*parts, *_kernel_parts(kernels)])))


def _names(spec: str | Spec) -> Iterator[str]:
    """Names of a spec's terms and of the specs inside it."""
    for term in (parse(spec) if isinstance(spec, str) else spec).terms:
        yield term.name
        for _, value in term.keywords:
            if isinstance(value, Spec):
                yield from _names(value)


def _kernel_parts(kernels: Collection[str]) -> Iterator[str]:
    if kernels:
        from pybench._core import kernel_sources

        digests = kernel_sources()
        whole = _digest(repr(sorted(digests.items())))
        # What is no kernel of its own (a constant, an exception) may be defined anywhere.
        yield from (f"kernel {name} {digests.get(name, whole)}" for name in kernels)


@functools.cache
def _file(name: str) -> Path | None:
    """File of a component or module; None for what is not Python of pybench."""
    package, _, last = name.rpartition(".")
    if package in _REGISTRIES and last in _REGISTRIES[package]:
        return _REGISTRIES[package].file(last)
    # The package itself only forwards names, and the core's front only passes kernels on.
    if not name.startswith("pybench.") or name in _CORE:
        return None
    base = Path(__file__).parent.joinpath(*name.split(".")[1:])
    return next((p for p in (base / "__init__.py", base.with_suffix(".py")) if p.is_file()), None)


@functools.cache
def _source(path: Path, name: str) -> Source:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return read_source(path.read_text(), package)


def read_source(text: str, package: str) -> Source:
    """Analyse the text of a module that lies in ``package``.

    Example:
        >>> noted = read_source("'Doc.'; x = 1  # note", "pybench")
        >>> noted.digest == read_source("x = 1", "pybench").digest
        True
    """
    tree = _Bare().visit(ast.parse(text))
    modules, kernels, words = {package}, set(), set()
    meaning: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
            meaning |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(relative, package)
            modules |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
            meaning |= {
                alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names
            }
            if module in _CORE:
                kernels |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            with contextlib.suppress(SpecError):
                words |= set(_names(node.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner, _, name = _dotted(node, meaning).rpartition(".")
            if owner in _CORE:
                kernels.add(name)
    modules = {
        ".".join(parts[:end])
        for parts in (module.split(".") for module in modules)
        for end in range(1, len(parts) + 1)
    }
    if _VIDEO in modules:
        # Whatever of the core the video module names is part of the one video kernel.
        kernels = {"video"} if package == _VIDEO else kernels | {"video"}
    return Source(_digest("".join(_dump(tree))), *map(frozenset, (modules, kernels, words)))


class _Bare(ast.NodeTransformer):
    """Takes out what does not run: docstrings and imports for the type checker."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        bare = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if bare else node

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test).endswith("TYPE_CHECKING") else node


def _dotted(node: ast.expr, meaning: Mapping[str, str]) -> str:
    """What ``a.b.c`` stands for, given what the imported names mean; empty for other code."""
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, meaning)
        return f"{owner}.{node.attr}" if owner else ""
    return meaning.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _dump(value: Any) -> Iterator[str]:
    """A syntax tree as text that is the same for all versions of Python."""
    if isinstance(value, ast.AST):
        yield f"({type(value).__name__}"
        for field, item in ast.iter_fields(value):
            if field not in ("ctx", "kind", "type_comment") and item not in (None, []):
                yield f" {field}="
                yield from _dump(item)
        yield ")"
    elif isinstance(value, list):
        yield "["
        for item in value:
            yield from _dump(item)
        yield "]"
    else:
        yield repr(value)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
