import numpy as np
import pytest

from pybench.data.crash_audit import Views, markdown, table


@pytest.fixture(scope="module")
def leaky():
    """Clips of pure noise, except that file size gives the class away and so does brightness."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    frames = rng.integers(0, 200, (30, 50, 36, 64, 3), dtype=np.uint8)
    frames[:, 25:] += (20 * labels[:, None, None, None, None]).astype(np.uint8)
    rows = table(Views(labels, 1000 * (1 + labels) + rng.integers(0, 9, 30), frames), seed=0)
    return {row.view: row for row in rows}


def test_the_audit_finds_the_leaks_that_are_there(leaky):
    assert leaky["file size"].balanced_accuracy == 100
    assert leaky["brightness over time"].balanced_accuracy > 90


def test_the_intervals_of_the_audit_hold_the_score(leaky):
    for row in leaky.values():
        assert row.low <= row.balanced_accuracy <= row.high
    assert markdown(list(leaky.values())).count("\n") == 5
