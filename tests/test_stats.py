import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from pybench.stats import TieGroups, holm, mean_interval, paired_t, tie_groups

NUMBERS = st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 6))


def samples(size: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, size, elements=NUMBERS)


@given(st.lists(NUMBERS, min_size=2, max_size=12), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_scipys(values: list[float], level: float) -> None:
    found = mean_interval(values, level)
    spread = np.std(values, ddof=1)
    assert found.mean == pytest.approx(np.mean(values))
    if spread > 0:
        low, high = scipy_stats.t.interval(
            level, len(values) - 1, np.mean(values), spread / np.sqrt(len(values))
        )
        assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    else:
        assert found.low == found.high == found.mean


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert mean_interval([0.5]) == (0.5, None, None, 1)
    assert mean_interval([float("nan")]) == (None, None, None, 0)
    assert mean_interval([]) == (None, None, None, 0)


@given(samples(6), samples(6))
def test_the_paired_test_is_scipys(a: np.ndarray, b: np.ndarray) -> None:
    found = paired_t(a, b)
    if np.std(a - b) > 1e-9:
        witness = scipy_stats.ttest_rel(a, b)
        limits = witness.confidence_interval()
        assert found.p == pytest.approx(witness.pvalue, rel=1e-6)
        assert (found.low, found.high) == (pytest.approx(limits.low), pytest.approx(limits.high))


def test_a_pair_with_a_failure_leaves_the_paired_test() -> None:
    nan = float("nan")
    assert paired_t([1, 2, 4, nan], [0, 1, 1, 5]) == paired_t([1, 2, 4], [0, 1, 1])
    assert paired_t([1, nan], [0, 1]) == (1.0, None, None, None, 1)


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (0.5, 0.0)])
def test_a_difference_without_spread_is_certain(shift: float, p: float) -> None:
    assert paired_t([1 + shift, 2 + shift], [1, 2]).p == p


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_stepping_down_by_hand_rejects(p: list[float]) -> None:
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.2):
        rejected, left = set(), sorted(range(len(p)), key=p.__getitem__)
        while left and p[left[0]] * len(left) <= alpha:
            rejected.add(left.pop(0))
        ties = {i for i in range(len(p)) if any(p[i] == p[k] for k in rejected)}
        assert set(np.flatnonzero(adjusted <= alpha)) == rejected | ties or any(
            abs(value - alpha) < 1e-12 for value in adjusted
        )


def test_holm_leaves_out_what_was_not_asked() -> None:
    np.testing.assert_array_equal(holm([0.01, np.nan, 0.02]), [0.02, np.nan, 0.02])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([1.0], 1.0), "level"),
        (lambda: mean_interval([[1.0]]), "vector"),
        (lambda: mean_interval([float("inf")]), "finite"),
        (lambda: paired_t([1.0], [1.0, 2.0]), "as long as a"),
        (lambda: holm([1.5]), r"in \[0, 1\]"),
        (lambda: tie_groups([1.0]), r"\(rows, seeds\)"),
        (lambda: tie_groups([[1.0, float("inf")]]), "row 0, seed 1"),
        (lambda: tie_groups([[1.0, 2.0]], alpha=0), "alpha"),
    ],
)
def test_wrong_values_are_refused_by_name(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()


# --- tie groups -----------------------------------------------------------------------------


def layout(rows: int, seeds: int, rng: np.random.Generator, spread: float = 0.0) -> np.ndarray:
    """Rows without any difference; a shared seed effect; row sd .02 * exp(spread * N(0, 1))."""
    sd = 0.02 * np.exp(spread * rng.standard_normal(rows))
    noise = sd[:, None] * rng.standard_normal((rows, seeds))
    return 0.6 + rng.normal(0, 0.02, seeds) + noise


def separated(groups: TieGroups) -> np.ndarray:
    return groups.better | groups.better.T


def test_two_rows_are_compared_as_the_paired_t_test_does() -> None:
    rng = np.random.default_rng(3)
    verdicts = set()
    for shift in np.linspace(0, 0.08, 40):
        a, b = layout(2, 5, rng)
        groups = tie_groups([a + shift, b])
        witness = scipy_stats.ttest_rel(a + shift, b)
        expected = witness.pvalue < groups.level
        verdicts.add(bool(expected))
        assert bool(separated(groups).any()) == expected
    assert verdicts == {True, False}


def test_equal_spread_gives_nearly_tukeys_limits() -> None:
    rng = np.random.default_rng(0)
    values = layout(12, 40, rng)
    residual = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    pooled = (residual**2).sum() / (11 * 39)
    groups = tie_groups(values)
    q = scipy_stats.studentized_range.ppf(1 - groups.level, 12, 11 * 39)
    assert groups.floor == pytest.approx(q * np.sqrt(pooled / 40), rel=0.06)


@settings(max_examples=60)
@given(st.integers(2, 9), st.integers(2, 6), st.integers(0, 10_000), st.floats(0, 0.1))
def test_letters_are_shared_exactly_by_rows_that_are_not_separated(
    rows: int, seeds: int, key: int, effect: float
) -> None:
    rng = np.random.default_rng(key)
    values = layout(rows, seeds, rng, 0.5) + effect * rng.standard_normal((rows, 1))
    groups = tie_groups(values)
    for i, j in itertools.combinations(range(rows), 2):
        a, b = groups.letters[i], groups.letters[j]
        assert a is not None
        assert b is not None
        assert bool(set(a) & set(b)) != bool(separated(groups)[i, j])
    assert "a" in (groups.letters[int(groups.estimate.argmax())] or "")


@settings(max_examples=60)
@given(st.integers(2, 8), st.integers(2, 6), st.integers(0, 10_000))
def test_ranks_count_the_rows_that_are_proved_better_and_worse(
    rows: int, seeds: int, key: int
) -> None:
    rng = np.random.default_rng(key)
    values = layout(rows, seeds, rng) + 0.05 * rng.standard_normal((rows, 1))
    groups = tie_groups(values)
    for i in range(rows):
        assert groups.rank_low[i] == 1 + sum(groups.better[j, i] for j in range(rows))
        assert groups.rank_high[i] == rows - sum(groups.better[i, j] for j in range(rows))
    order = np.argsort(-values.mean(axis=1))
    for place, i in enumerate(order, start=1):
        assert (groups.rank_low[i] or 0) <= place <= (groups.rank_high[i] or 0)


@settings(max_examples=40)
@given(st.integers(3, 8), st.integers(2, 6), st.integers(0, 10_000))
def test_shift_scale_direction_and_seed_effects_do_not_matter(
    rows: int, seeds: int, key: int
) -> None:
    rng = np.random.default_rng(key)
    values = layout(rows, seeds, rng) + 0.05 * rng.standard_normal((rows, 1))
    groups = tie_groups(values)
    for other in (
        tie_groups(values * 100 - 7),
        tie_groups(-values, higher_is_better=False),
        tie_groups(values + rng.normal(0, 1, seeds)),
    ):
        assert other.letters == groups.letters
        assert other.rank_low == groups.rank_low


def test_a_row_without_some_seeds_is_adjusted_for_how_hard_they_were() -> None:
    rng = np.random.default_rng(5)
    seed_effect = np.array([0.1, 0.0, -0.1, 0.05, -0.2])
    values = np.array([[0.6], [0.65], [0.6]]) + seed_effect + rng.normal(0, 0.002, (3, 5))
    full = tie_groups(values)
    values[0, [0, 3]] = np.nan  # the two easy seeds failed
    missing = tie_groups(values)
    assert np.nanmean(values[0]) < 0.52
    assert missing.estimate[0] == pytest.approx(full.estimate[0], abs=0.003)
    assert missing.letters == full.letters == ("b", "a", "b")


def test_rows_that_share_no_seed_are_never_separated() -> None:
    nan = np.nan
    groups = tie_groups([[0.9, 0.91, nan, nan], [nan, nan, 0.1, 0.11]])
    assert not groups.better.any()
    assert groups.floor is None
    np.testing.assert_allclose(groups.estimate, [0.905, 0.105])


def test_one_seed_gives_ranks_of_ignorance_and_no_letters() -> None:
    groups = tie_groups([[0.9], [0.1], [0.5]])
    assert groups.letters == (None, None, None)
    assert (groups.rank_low, groups.rank_high) == ((1, 1, 1), (3, 3, 3))
    assert groups.floor is None


def test_a_row_of_failures_has_no_rank_and_takes_none() -> None:
    nan = np.nan
    groups = tie_groups([[0.9, 0.91, 0.9], [nan, nan, nan], [0.1, 0.12, 0.1], [0.5, nan, nan]])
    assert groups.rank_low[1] is None
    assert groups.letters[1] is None
    assert (groups.rank_low[3], groups.rank_high[3]) == (1, 3)
    assert (groups.rank_low[2], groups.rank_high[2]) == (2, 3)


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_have_nothing_to_be_told_from(rows: int) -> None:
    groups = tie_groups(np.full((rows, 3), 0.5))
    assert groups.letters == (None,) * rows
    assert groups.rank_high == (1,) * rows


def test_rows_without_any_spread_differ_when_they_differ() -> None:
    groups = tie_groups([[0.1 + 0.2] * 4, [0.3] * 4, [0.4] * 4])
    assert groups.letters == ("b", "b", "a")


def test_one_row_without_spread_does_not_rule_the_seed_effects() -> None:
    rng = np.random.default_rng(2)
    values = layout(6, 5, rng)
    values[2] = 1 / 3
    assert set(tie_groups(values).letters) == {"a", "b"}


def test_more_groups_than_letters_stay_distinct() -> None:
    values = np.arange(30)[:, None] + np.random.default_rng(0).normal(0, 1e-3, (30, 4))
    letters = tie_groups(values).letters
    assert letters[29] == "a"
    assert letters[0] == "d2"
    assert len(set(letters)) == 30


def false_alarms(rows: int, seeds: int, spread: float, repetitions: int, key: int = 0) -> float:
    rng = np.random.default_rng([key, rows, seeds, int(10 * spread)])
    found = [tie_groups(layout(rows, seeds, rng, spread)) for _ in range(repetitions)]
    return float(np.mean([groups.better.any() for groups in found]))


@pytest.mark.parametrize(("rows", "seeds"), [(8, 5), (16, 5)])
@pytest.mark.parametrize("spread", [0.0, 0.6])
def test_false_alarms_stay_rare_in_a_short_simulation(rows: int, seeds: int, spread: float) -> None:
    # 300 repetitions of a true 6 % exceed 10 % less than once in 200 times.
    assert false_alarms(rows, seeds, spread, 300) <= 0.1


def test_a_difference_of_twice_the_floor_is_found() -> None:
    rng = np.random.default_rng(9)
    hits = 0
    for _ in range(100):
        values = layout(8, 5, rng)
        floor = tie_groups(values).floor
        assert floor is not None
        values[3] += 2 * floor
        hits += tie_groups(values).rank_high[3] == 1
    assert hits >= 80


@pytest.mark.soak
@pytest.mark.parametrize("rows", [8, 16, 40])
@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("spread", [0.0, 0.3, 0.6])
def test_false_alarms_are_at_most_six_percent(rows: int, seeds: int, spread: float) -> None:
    rate = false_alarms(rows, seeds, spread, 4000, key=1)
    # Three standard errors of the simulation itself.
    assert rate <= 0.06 + 3 * np.sqrt(0.06 * 0.94 / 4000)


@pytest.mark.soak
@pytest.mark.parametrize(("rows", "seeds"), [(8, 5), (40, 5), (16, 10)])
def test_false_alarms_are_rare_with_heavy_tails_and_failures(rows: int, seeds: int) -> None:
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(2000):
        values = layout(rows, seeds, rng, 0.3)
        values += 0.02 * (rng.standard_t(4, values.shape) / np.sqrt(2))
        values[rng.random(values.shape) < 0.1] = np.nan
        alarms += bool(tie_groups(values).better.any())
    assert alarms / 2000 <= 0.06 + 3 * np.sqrt(0.06 * 0.94 / 2000)


@pytest.mark.parametrize(
    "values",
    [[[0.5, 0.5]] * 3, [[0.0] * 3] * 2, [[1e-300, 2e-300]] * 2, [[float("nan")] * 3] * 2],
)
def test_degenerate_layouts_separate_nothing(values: list[list[float]]) -> None:
    assert not tie_groups(values).better.any()
