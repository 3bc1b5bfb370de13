"""Components by name: a folder scan and one grammar for configuring what it finds.

One file in a plug-in folder is one component, and the file name is its name. A spec string
configures it, names it in tables and keys its results::

    spec := term ("+" term)*
    term := [number "*"] name ["(" keyword=literal|spec, ... ")"]

Specs are parsed with :mod:`ast` and never evaluated.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib
import importlib.util
import json
import math
import os
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")
MAX_SPEC_LENGTH = 2000
PLUGINS = "PYBENCH_PLUGINS"
"""Environment variable: directories with further ``losses/``, ``samplers/``, ... folders."""


class SpecError(ValueError):
    """A spec string that cannot be read, or names something that does not exist."""


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of a spec: ``weight * name(keywords)``."""

    name: str
    keywords: tuple[tuple[str, Any], ...] = ()
    weight: float = 1.0

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f"{_literal(self.weight)}*"
        if not self.keywords:
            return f"{weight}{self.name}"
        inside = ", ".join(f"{key}={_literal(value)}" for key, value in self.keywords)
        return f"{weight}{self.name}({inside})"


@dataclasses.dataclass(frozen=True)
class Spec:
    """A parsed spec: one or more terms. ``str(spec)`` is its canonical form."""

    terms: tuple[Term, ...]

    def split(self) -> list[Spec]:
        """One spec per term."""
        return [Spec((term,)) for term in self.terms]

    def __str__(self) -> str:
        return " + ".join(map(str, self.terms))


def parse(text: str) -> Spec:
    """Read a spec string.

    Raises:
        SpecError: for anything outside the grammar.

    Example:
        >>> str(parse("ce+0.50*focal( gamma = 2.0,alpha='balanced' )"))
        'ce + 0.5*focal(gamma=2, alpha="balanced")'
    """
    if len(text) > MAX_SPEC_LENGTH:
        msg = f"spec must be at most {MAX_SPEC_LENGTH} characters, got {len(text)}"
        raise SpecError(msg)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return Spec(tuple(_terms(tree, text)))
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise _grammar(text) from None


def _grammar(text: str) -> SpecError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return SpecError(
        f"spec must be like 'focal(gamma=2)' or 'ce + 0.5*feature_similarity', got {shown!r}"
    )


def _terms(node: ast.expr, text: str) -> Iterator[Term]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _terms(node.left, text)
        yield from _terms(node.right, text)
        return
    weight = 1.0
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        number = _value(node.left, text)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise _grammar(text)
        weight, node = float(number), node.right
        if not math.isfinite(weight):
            raise _grammar(text)
    if isinstance(node, ast.Name):
        yield Term(node.id, (), weight)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.args:
            msg = (
                f"parameters of {node.func.id} must be given by keyword, "
                f"got {ast.unparse(node.args[0])!r}; write {node.func.id}(name=value)"
            )
            raise SpecError(msg)
        pairs = [(key.arg, _value(key.value, text)) for key in node.keywords]
        named = [(key, value) for key, value in pairs if key is not None]
        if len(named) != len(pairs):
            raise _grammar(text)
        yield Term(node.func.id, tuple(named), weight)
    else:
        raise _grammar(text)


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name | ast.Call | ast.BinOp):
        return Spec(tuple(_terms(node, text)))
    try:
        value = ast.literal_eval(node)
    except ValueError:
        raise _grammar(text) from None
    return _hashable(value, text)


def _hashable(value: Any, text: str) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_hashable(item, text) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise _grammar(text)


def _literal(value: Any) -> str:
    if isinstance(value, Spec):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # its escapes are Python's too
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def written(value: Any) -> Any:
    """A parameter's value as a spec writes it: a component by its name and what is not default.

    Example:
        >>> from pybench.losses import loss
        >>> written(loss("drw(loss=ldam(scale=10), at=0.5)").terms[0][1])
        'drw(loss=ldam(scale=10), at=0.5)'
    """
    spec = _as_spec(value)
    return str(spec) if isinstance(spec, Spec) else value


def _as_spec(value: Any) -> Any:
    if isinstance(value, tuple) and value and all(map(dataclasses.is_dataclass, value)):
        return Spec(tuple(term for part in value for term in _as_spec(part).terms))
    if not dataclasses.is_dataclass(value):
        return value
    inside = tuple(
        (field.name, _as_spec(now))
        for field in dataclasses.fields(value)
        if field.init and (now := getattr(value, field.name)) != _default(field)
    )
    return Spec((Term(type(value).__module__.rpartition(".")[2], inside),))


def parameters(component: type) -> dict[str, Any]:
    """The default of each parameter as a spec writes it; ``MISSING`` where there is none."""
    return {f.name: written(_default(f)) for f in dataclasses.fields(component) if f.init}


def _default(field: dataclasses.Field[Any]) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


class Registry(Mapping[str, type[T]], Generic[T]):
    """The components of one folder, by file name; a module is imported when it is first asked for.

    Args:
        package: dotted name of the plug-in package, such as ``"pybench.losses"``.
        method: the method that marks the component class of a module, such as ``"prepare"``.
    """

    def __init__(self, package: str, method: str) -> None:
        self.package = package
        self.method = method
        self.folder = Path(__file__).parent / package.rpartition(".")[2]
        self._classes: dict[str, type[T]] = {}

    @property
    def folders(self) -> list[Path]:
        """The package's own folder, then the same folder of each plug-in directory."""
        extra = os.environ.get(PLUGINS, "").split(os.pathsep)
        return [self.folder, *(Path(directory) / self.what for directory in extra if directory)]

    @property
    def what(self) -> str:
        """Name of the folder, for messages."""
        return self.folder.name

    def names(self) -> list[str]:
        """Sorted names, found without importing anything."""
        return sorted({p.stem for folder in self.folders for p in folder.glob("[a-z]*.py")})

    def own_names(self) -> list[str]:
        """Names of the components that come with pybench, plug-ins aside."""
        return [name for name in self.names() if self.file(name).parent == self.folder]

    def file(self, name: str) -> Path:
        """The file that defines a component."""
        for folder in self.folders:
            if name.isidentifier() and (path := folder / f"{name}.py").is_file():
                return path
        kind = "loss" if self.what == "losses" else self.what.removesuffix("s")
        raise _unknown(name, self.names(), f"unknown {kind}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __getitem__(self, name: str) -> type[T]:
        if name not in self._classes:
            path = self.file(name)
            if path.parent == self.folder:
                module = importlib.import_module(f"{self.package}.{name}")
            else:
                module = _import_file(path, f"pybench_plugins.{self.what}.{name}")
            self._classes[name] = self._component(module)
        return self._classes[name]

    def _component(self, module: types.ModuleType) -> type[T]:
        found = [
            value
            for key, value in vars(module).items()
            if isinstance(value, type)
            and value.__module__ == module.__name__
            and not key.startswith("_")
            and any(self.method in vars(base) for base in value.__mro__)
            and dataclasses.is_dataclass(value)
        ]
        if len(found) != 1:
            msg = (
                f"{module.__name__} must define exactly one public frozen dataclass with a "
                f"{self.method}() method, got {len(found)}"
            )
            raise TypeError(msg)
        return typing.cast("type[T]", found[0])

    def build(self, spec: str | Spec | Term) -> T:
        """Build the one component a spec names.

        Raises:
            SpecError: unknown name or parameter, wrong type, or more than one term.
            ValueError: a parameter out of its range, as the component says.
        """
        if isinstance(spec, str):
            spec = parse(spec)
        if isinstance(spec, Spec):
            if len(spec.terms) != 1 or spec.terms[0].weight != 1:
                msg = f"{self.what} must be named one at a time, got '{spec}'"
                raise SpecError(msg)
            spec = spec.terms[0]
        cls = self[spec.name]
        hints = typing.get_type_hints(cls)
        known = {f.name: hints[f.name] for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
        arguments: dict[str, Any] = {}
        for key, value in spec.keywords:
            if key not in known:
                raise _unknown(key, list(known), f"{spec.name} has no parameter")
            if key in arguments:
                msg = f"{key} of {spec.name} must be given once, got it twice"
                raise SpecError(msg)
            wanted, several = _nested(known[key])
            if isinstance(value, Spec) and wanted:
                value = tuple(map(self.build, value.split())) if several else self.build(value)
            elif not _fits(value, known[key]):
                name = getattr(known[key], "__name__", None) or str(known[key])
                got = f"{str(value)!r} without quotes" if isinstance(value, Spec) else repr(value)
                msg = f"{key} of {spec.name} must be {_plain(name, known[key])}, got {got}"
                raise SpecError(msg)
            arguments[key] = value
        missing = [
            f.name
            for f in dataclasses.fields(cls)  # type: ignore[arg-type]
            if f.init
            and f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
            and f.name not in arguments
        ]
        if missing:
            msg = f"{missing[0]} of {spec.name} must be given, got '{spec}'"
            raise SpecError(msg)
        try:
            return cls(**arguments)
        except ValueError as error:
            raise SpecError(str(error)) from error

    def summary(self, name: str) -> str:
        """First line of the component's docstring."""
        return (self[name].__doc__ or "").strip().partition("\n")[0]


def _import_file(path: Path, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"plug-in must be a Python file, got {path}"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _plain(wanted: str, hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " or ".join(
            _plain(getattr(part, "__name__", str(part)), part) for part in typing.get_args(hint)
        )
    names = {
        "float": "a number",
        "int": "an integer",
        "str": "text in quotes",
        "bool": "a truth value",
    }
    if typing.get_origin(hint) is tuple:
        return "a list"
    return names.get(wanted, wanted)


def _nested(hint: Any) -> tuple[bool, bool]:
    """Whether a parameter is a component, or several of them joined by ``+``."""
    several = typing.get_origin(hint) is tuple
    inner = typing.get_args(hint)[0] if several else hint
    return isinstance(inner, type) and inner not in (bool, int, float, str), several


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if origin is Literal:
        return any(value == x and type(value) is type(x) for x in typing.get_args(hint))
    if origin is tuple:
        inner = typing.get_args(hint)[:1]
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if hint is float:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str):
        return isinstance(value, hint)
    if hint is type(None):
        return value is None
    return False


def _unknown(name: str, known: list[str], what: str) -> SpecError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return SpecError(f"{what} {name!r}; {hint}")
