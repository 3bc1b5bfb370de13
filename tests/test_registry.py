"""The spec grammar: what it reads, what it refuses, and that it evaluates nothing."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybench.losses import loss, losses
from pybench.metrics import metrics
from pybench.registry import (
    MAX_SPEC_LENGTH,
    PLUGINS,
    Registry,
    Spec,
    SpecError,
    Term,
    parameters,
    parse,
    written,
)
from pybench.samplers import samplers
from pybench.steps import steps
from pybench.transforms import transforms

names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda s: (
        s
        not in {
            "and",
            "as",
            "assert",
            "async",
            "await",
            "break",
            "class",
            "continue",
            "def",
            "del",
            "elif",
            "else",
            "except",
            "finally",
            "for",
            "from",
            "global",
            "if",
            "import",
            "in",
            "is",
            "lambda",
            "nonlocal",
            "not",
            "or",
            "pass",
            "raise",
            "return",
            "try",
            "while",
            "with",
            "yield",
        }
    )
)
values = st.recursive(
    st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)
terms = st.builds(
    Term,
    names,
    st.dictionaries(names, values, max_size=3).map(lambda d: tuple(d.items())),
    st.floats(0.001, 1000),
)


@given(st.lists(terms, min_size=1, max_size=3))
def test_a_canonical_spec_reads_back_as_itself(parts):
    text = str(Spec(tuple(parts)))
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("focal", "focal"),
        (" focal( gamma = 2.0 ) ", "focal(gamma=2)"),
        ("1*ce+.5*focal", "ce + 0.5*focal"),
        ("weighted_ce(weights=(1, 2.50))", "weighted_ce(weights=[1, 2.5])"),
        ("drw(loss=ldam(scale=30), at=0.8)", "drw(loss=ldam(scale=30), at=0.8)"),
        ("f(x=-1, y='a\"b')", 'f(x=-1, y="a\\"b")'),
    ],
)
def test_one_configuration_has_one_canonical_spec(written, canonical):
    assert str(parse(written)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "ce +",
        "ce - focal",
        "ce * focal",
        "2",
        "2*3",
        "True*ce",
        "1e999*ce",
        "'ce'",
        "ce.focal",
        "ce[0]",
        "ce()()",
        "focal(**{'gamma': 2})",
        "focal(gamma=open)(x=1)",
        "focal(gamma={1: 2})",
        "focal(gamma=lambda: 1)",
        "focal(gamma=[x for x in y])",
        "__import__('os').system('true')",
        "focal(gamma=__import__('os').getpid())",
        "(yield)",
        "ce\nfocal",
        "ce; focal",
        "ce\x00",
        "(" * 500 + "ce" + ")" * 500,
        "-" * 1500 + "1",
    ],
)
def test_what_is_outside_the_grammar_is_refused_with_an_example(text):
    with pytest.raises(SpecError, match=r"^spec must be like .*, got "):
        parse(text)


def test_a_call_is_never_evaluated(tmp_path):
    witness = tmp_path / "touched"
    for text in (f"open('{witness}', 'w')", f"focal(gamma=open('{witness}', 'w'))"):
        with pytest.raises(SpecError):
            loss(text)
    with pytest.raises(SpecError, match="__import__"):
        loss("__import__('os')")
    assert not witness.exists()


def test_a_deep_or_long_spec_is_refused_without_a_crash():
    deep = "f(x=" * 300 + "1" + ")" * 300
    with pytest.raises(SpecError):
        loss(deep)
    with pytest.raises(SpecError, match=f"at most {MAX_SPEC_LENGTH} characters, got 1000000"):
        parse("c" * 1_000_000)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("focl", "unknown loss 'focl'; did you mean 'focal'?"),
        ("focal(gama=2)", "focal has no parameter 'gama'; did you mean 'gamma'?"),
        ("focal(2)", "parameters of focal must be given by keyword, got '2'"),
        ("focal(gamma='2')", "gamma of focal must be a number, got '2'"),
        ("focal(gamma=True)", "gamma of focal must be a number, got True"),
        ("mil(pairing='some')", "pairing of mil must be one of 'paired', 'all_pairs', got 'some'"),
        ("focal(alpha=balanced)", "'balanced', got 'balanced' without quotes"),
        ("weighted_ce(weights=ce)", "weights of weighted_ce must be text in quotes or a list, got"),
        ("ce(smoothing=0.1, reads='bags')", "ce has no parameter 'reads'"),
    ],
)
def test_a_spec_that_names_nothing_says_what_was_meant(spec, message):
    with pytest.raises(SpecError) as error:
        loss(spec)
    assert message in str(error.value)


def test_a_value_out_of_range_is_refused_by_the_component():
    with pytest.raises(ValueError, match=r"^gamma must be finite and >= 0, got -1$"):
        loss("focal(gamma=-1)")


@pytest.mark.parametrize("registry", [losses, samplers, transforms, metrics, steps])
def test_every_component_survives_its_own_spec_and_json(registry):
    for name in registry.own_names():
        cls = registry[name]
        if dataclasses.MISSING in parameters(cls).values():
            continue
        built = registry.build(name)
        assert written(built) == name
        for field in dataclasses.fields(cls):
            if isinstance(field.default, float):
                other = dataclasses.replace(built, **{field.name: field.default / 2 or 1.0})
                text = json.loads(json.dumps(written(other)))
                assert registry.build(text) == other, text
                assert str(parse(text)) == text


def test_only_losses_are_summed():
    with pytest.raises(SpecError, match="samplers must be named one at a time"):
        samplers.build("natural + random_over")


def test_several_components_may_be_a_parameter():
    made = transforms.build("one_of(of=crop(share=0.5) + flip, compose=2)")
    assert [type(part).__name__ for part in made.of] == ["Crop", "Flip"]
    assert made.of[0].share == 0.5
    assert len(transforms.build("one_of(of=crop)").of) == 1
    with pytest.raises(SpecError, match="transforms must be named one at a time, got '2\\*crop'"):
        transforms.build("one_of(of=2*crop + flip)")
    with pytest.raises(SpecError, match="of must be transforms that change each picture on its"):
        transforms.build("one_of(of=crop + mixup)")


def test_bags_and_boxes_do_not_mix():
    with pytest.raises(SpecError, match="must not mix bags and boxes"):
        _ = loss("mil + smooth_l1").reads
    assert loss("ce + smooth_l1").reads == "boxes"
    assert loss("ce + feature_similarity").needs == {"features"}


def test_the_file_name_is_the_name_and_nothing_is_imported_to_know_it():
    assert "focal" in losses
    assert list(losses) == sorted(losses)
    assert losses.file("focal").name == "focal.py"
    assert losses.summary("focal").endswith(".")
    assert "__init__" not in losses and "nothing" not in losses


PLUGIN = '''
from dataclasses import dataclass


@dataclass(frozen=True)
class Twice:
    """Every sample twice."""

    times: int = 2

    def plan(self, context, seed, epoch):
        return self.times
'''


def test_a_file_in_a_plugin_folder_is_a_component(tmp_path, monkeypatch):
    (tmp_path / "samplers").mkdir()
    (tmp_path / "samplers" / "twice.py").write_text(PLUGIN)
    monkeypatch.setenv(PLUGINS, str(tmp_path))
    registry = Registry("pybench.samplers", "plan")
    assert "twice" in registry and "natural" in registry
    assert registry.build("twice(times=3)").plan(None, 0, 0) == 3


def test_a_file_with_two_components_is_refused(tmp_path, monkeypatch):
    (tmp_path / "samplers").mkdir()
    both = PLUGIN + PLUGIN.replace("Twice", "Thrice")
    (tmp_path / "samplers" / "both.py").write_text(both)
    monkeypatch.setenv(PLUGINS, str(tmp_path))
    with pytest.raises(TypeError, match="must define exactly one public frozen dataclass"):
        Registry("pybench.samplers", "plan")["both"]
