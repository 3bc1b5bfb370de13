"""Suites expand to trials, and nothing is dropped without a sentence."""

from pathlib import Path

import pytest

from pybench import suite as suites
from pybench.registry import SpecError
from pybench.suite import Grid, Selection, Suite, SuiteError
from pybench.trial import Budget, Trial, trial_id

DATA = {"toy_clips": "clips-id", "toy_bags": "bags-id", "toy_boxes": "boxes-id"}


def expand(suite: Suite, **chosen: object) -> suites.Plan:
    return suites.plan(suite, Selection(**chosen), DATA)


def names(plan: suites.Plan) -> list[str]:
    return list(dict.fromkeys(trial.name for trial in plan.trials))


SMALL = Suite(
    "small",
    Grid(tasks=["toy_clips"], losses=["ce", "focal(gamma=2)", "focal(gamma=3)"]),
    Grid(tasks=["toy_clips"], losses=["ce"], samplers=["class_balanced"]),
    seeds=2,
)


def test_a_suite_is_the_union_of_its_grids_times_its_seeds() -> None:
    plan = expand(SMALL)
    assert names(plan) == ["ce", "focal(gamma=2)", "focal(gamma=3)", "ce @ class_balanced"]
    assert len(plan.trials) == 8
    assert {trial.data for trial in plan.trials} == {"clips-id"}


def test_a_row_named_by_two_grids_runs_once() -> None:
    grid = Grid(tasks=["toy_clips"], losses=["ce"])
    assert len(expand(Suite("twice", grid, grid, seeds=3)).trials) == 3


def test_a_step_brings_its_parent() -> None:
    suite = Suite("s", Grid(["toy_clips"], ["ce"], steps=[("logit_adjustment",)]), seeds=1)
    parent, child = expand(suite).trials
    assert child.parent == parent
    assert child.name == "ce -> logit_adjustment"


def test_an_impossible_pair_is_refused_and_listed() -> None:
    suite = Suite("s", Grid(["toy_clips", "toy_bags"], ["mil"]), seeds=1)
    plan = expand(suite)
    assert [trial.task for trial in plan.trials] == ["toy_bags"]
    assert [(r.task, r.row) for r in plan.refused] == [("toy_clips", "mil")]
    assert plan.refused[0].reason.startswith("n/a: ")


def test_correcting_twice_warns_and_sampled_counts_do_not() -> None:
    row = {"tasks": ["toy_clips"], "losses": ["weighted_ce"], "samplers": ["class_balanced"]}
    assert "corrects twice" in expand(Suite("s", Grid(**row), seeds=1)).warnings[0]
    assert not expand(Suite("s", Grid(**row, counts=["sampled"]), seeds=1)).warnings
    assert not expand(Suite("s", Grid(["toy_clips"], ["weighted_ce"]), seeds=1)).warnings


def test_a_bare_name_selects_all_entries_of_that_name() -> None:
    assert names(expand(SMALL, losses=("focal",))) == ["focal(gamma=2)", "focal(gamma=3)"]


def test_a_full_spec_selects_its_row_or_runs_in_its_own_right() -> None:
    assert names(expand(SMALL, losses=("focal( gamma = 3 )",))) == ["focal(gamma=3)"]
    assert names(expand(SMALL, losses=("focal(gamma=5)",))) == ["focal(gamma=5)"]


def test_losses_and_samplers_together_select_their_product() -> None:
    chosen = expand(SMALL, losses=("ce", "focal(gamma=5)"), samplers=("random_over",))
    assert names(chosen) == ["ce @ random_over", "focal(gamma=5) @ random_over"]


def test_seeds_are_selected() -> None:
    assert sorted({t.seed for t in expand(SMALL, seeds=4).trials}) == [0, 1, 2, 3]


def test_a_star_stands_for_every_loss() -> None:
    plan = expand(Suite("all", Grid(["toy_clips"], "*"), seeds=1))
    seen = {t.loss for t in plan.trials} | {r.row for r in plan.refused}
    assert {"ce", "focal", "mil", "smooth_l1"} <= seen


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"tasks": ("toy_clip",)}, "did you mean 'toy_clips'"),
        ({"tasks": ("anomaly",)}, "tasks must be in the suite"),
    ],
)
def test_an_unknown_task_suggests_the_near_one(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        suites.selected_tasks(SMALL, Selection(**chosen))


def test_an_unknown_loss_suggests_the_near_one() -> None:
    with pytest.raises(SpecError, match="did you mean 'focal'"):
        expand(SMALL, losses=("focol",))


def test_an_unknown_suite_suggests_the_near_one() -> None:
    with pytest.raises(SuiteError, match="did you mean 'quick'"):
        suites.find("quik")


def test_every_suite_that_ships_can_be_found() -> None:
    assert {"quick", "collision", "clips"} <= set(suites.names())
    for name in suites.names():
        assert suites.find(name)[1].grids


def test_a_suite_file_of_the_user_is_found(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from pybench.suite import Grid, Suite\n"
        "suite = Suite('mine', Grid(['toy_clips'], ['ce']), seeds=1)\n"
    )
    assert suites.find(str(file)) == ("mine", suites.find(str(file))[1])
    file.write_text("suite = 3\n")
    with pytest.raises(SuiteError, match=r"must define suite = Suite\(\.\.\.\), got int"):
        suites.find(str(file))


def test_the_id_of_a_trial_depends_on_every_field_and_nothing_else() -> None:
    trial = Trial("t", "d", "m", "ce")
    base = trial_id(trial, "code")
    assert base == trial_id(Trial.from_json(trial.to_json()), "code")
    others = {
        trial_id(Trial("u", "d", "m", "ce"), "code"),
        trial_id(Trial("t", "e", "m", "ce"), "code"),
        trial_id(Trial("t", "d", "m", "ce", seed=1), "code"),
        trial_id(Trial("t", "d", "m", "ce", budget=Budget(lr=1e-4)), "code"),
        trial_id(Trial("t", "d", "m", "ce", steps=("x",)), "code"),
        trial_id(trial, "other code"),
    }
    assert len(others) == 6
    assert base not in others


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"epochs": None}, "budget must have epochs or steps"),
        ({"lr": 0}, "lr must be > 0, got 0"),
        ({"weight_decay": -1.0}, "weight_decay must be finite and >= 0, got -1"),
        ({"optimiser": "lbfgs"}, "optimiser must be one of adam, adamw, adagrad, sgd, got 'lbfgs'"),
        ({"amp": True}, "amp must be off on the CPU"),
    ],
)
def test_a_budget_refuses_what_makes_no_sense(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Budget(**arguments)


def test_every_loss_that_only_compares_samples_stands_beside_cross_entropy() -> None:
    every = expand(Suite("all", Grid(tasks=["toy_bags"], losses="*"), seeds=1))
    found = set(names(every))
    assert {"ce + supcon", "ce + balanced_contrastive", "ce + feature_similarity"} < found
    assert not {"supcon", "balanced_contrastive", "feature_similarity"} & found
    assert "paco" in found and "ce + paco" not in found
