"""The Rust kernels against oracles that are obvious, and the way into them."""

import contextlib
import copy
import hashlib
import inspect
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pybench import _core, core

LABEL_DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
WORD = st.integers(0, 2**64 - 1)
# Longer than any block that a kernel works on without the thread pool.
LONG = 200_003


def run_python(script: str, **environment: str) -> str:
    """What a script prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr.rpartition("\n")[0].rpartition("\n")[2]


# Random numbers


@given(key=st.integers(0, 2**128 - 1), counter=st.integers(0, 2**256 - 1), size=st.integers(0, 50))
def test_philox_is_numpys_philox(key: int, counter: int, size: int) -> None:
    expected = np.random.Philox(key=key, counter=counter).random_raw(size)
    np.testing.assert_array_equal(core.philox(key, counter, size=size), expected)


@pytest.mark.parametrize("counter", [2**64 - 2, 2**128 - 2, 2**192 - 2, 2**256 - 2])
def test_the_counter_carries_as_numpys_does(counter: int) -> None:
    expected = np.random.Philox(key=7, counter=counter).random_raw(20)
    np.testing.assert_array_equal(core.philox(7, counter, size=20), expected)


@given(key=st.tuples(WORD, WORD), counter=st.tuples(WORD, WORD, WORD, WORD))
def test_words_and_one_int_say_the_same(
    key: tuple[int, int], counter: tuple[int, int, int, int]
) -> None:
    whole_key = sum(word << 64 * place for place, word in enumerate(key))
    whole_counter = sum(word << 64 * place for place, word in enumerate(counter))
    expected = core.philox(whole_key, whole_counter, size=5)
    np.testing.assert_array_equal(core.philox(key, counter, size=5), expected)
    as_arrays = np.array(key, dtype=np.uint64), np.array(counter, dtype=np.uint64)
    np.testing.assert_array_equal(core.philox(*as_arrays, size=5), expected)


def test_a_long_raw_stream_is_numpys() -> None:
    expected = np.random.Philox(key=3, counter=2**64 - 9).random_raw(LONG)
    np.testing.assert_array_equal(core.philox(3, 2**64 - 9, size=LONG), expected)


@given(seed=WORD, name=st.text())
def test_a_stream_key_is_a_blake2b_digest(seed: int, name: str) -> None:
    message = seed.to_bytes(8, "little") + name.encode()
    digest = hashlib.blake2b(message, digest_size=16).digest()
    words = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
    assert core.stream_key(seed, name) == words


@pytest.mark.parametrize("n", [0, 1, 2, 1000, LONG])
def test_a_shuffle_holds_every_index_once(n: int) -> None:
    np.testing.assert_array_equal(np.sort(core.shuffle(n)), np.arange(n))


def test_all_orders_are_equally_likely() -> None:
    draws = 24_000
    orders = Counter(tuple(core.shuffle(4, seed)) for seed in range(draws))
    assert set(orders) == set(itertools.permutations(range(4)))
    expected = draws / 24
    chi_square = sum((count - expected) ** 2 / expected for count in orders.values())
    assert chi_square < 49.7  # the 0.999 quantile for 23 degrees of freedom


def test_a_long_shuffle_moves_every_index_anywhere() -> None:
    n, parts, shuffles = 160_000, 16, 4
    table = np.zeros((parts, parts))
    for seed in range(shuffles):
        order = core.shuffle(n, seed)
        cells = np.arange(n) // (n // parts) * parts + order // (n // parts)
        table += np.bincount(cells, minlength=parts**2).reshape(parts, parts)
        neighbours = int((np.abs(np.diff(order)) == 1).sum())
        assert neighbours < 15  # 2 in the mean
    expected = shuffles * n / parts**2
    chi_square = ((table - expected) ** 2 / expected).sum()
    assert chi_square < 296.3  # the 0.999 quantile for 15 * 15 degrees of freedom


def test_shuffles_differ_by_seed_and_by_stream() -> None:
    orders = [core.shuffle(50), core.shuffle(50, 1), core.shuffle(50, 0, "sampler")]
    assert len({tuple(order) for order in orders}) == 3
    np.testing.assert_array_equal(core.shuffle(50), core.shuffle(50, seed=0, stream="shuffle"))


def choice_oracle(weights: NDArray[np.float64], size: int, seed: int) -> NDArray[np.int64]:
    key = np.array(core.stream_key(seed, "weighted_choice"), dtype=np.uint64)
    uniform = np.random.Generator(np.random.Philox(key=key)).random(size)
    sums = np.cumsum(weights)
    found: NDArray[np.int64] = np.searchsorted(sums, uniform * sums[-1], side="right")
    return found


@given(
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=40).filter(lambda w: sum(w) > 1e-300),
    size=st.integers(0, 200),
    seed=WORD,
)
def test_weighted_choice_inverts_the_running_sum(
    weights: list[float], size: int, seed: int
) -> None:
    drawn = core.weighted_choice(weights, size, seed)
    np.testing.assert_array_equal(drawn, choice_oracle(np.array(weights), size, seed))


@pytest.mark.parametrize("shape", ["even", "one heavy", "ends in zeros", "geometric"])
def test_many_weights_and_many_draws_agree_with_the_oracle(shape: str) -> None:
    rng = np.random.default_rng(0)
    weights = rng.random(LONG)
    match shape:
        case "one heavy":
            weights[LONG // 3] = 1e9
        case "ends in zeros":
            weights[1000:] = 0
        case "geometric":
            weights[:] = 0.999 ** np.arange(LONG)
    drawn = core.weighted_choice(weights, LONG, seed=5)
    np.testing.assert_array_equal(drawn, choice_oracle(weights, LONG, 5))
    assert weights[drawn].min() > 0


# Class weights


@given(labels=st.lists(st.integers(0, 30), max_size=100), spare=st.integers(0, 3))
def test_class_counts_count(labels: list[int], spare: int) -> None:
    classes = max(labels, default=-1) + 1
    expected = [labels.count(c) for c in range(classes)]
    assert core.class_counts(np.array(labels, dtype=np.int64)).tolist() == expected
    with_spare = core.class_counts(np.array(labels, dtype=np.int64), classes + spare + 1)
    assert with_spare.tolist() == expected + [0] * (spare + 1)


@pytest.mark.parametrize("dtype", LABEL_DTYPES)
@pytest.mark.parametrize("size", [0, 1, 2047, 2048, LONG])
def test_labels_of_every_integer_type_are_counted(dtype: str, size: int) -> None:
    labels = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, size).astype(dtype)
    counts = core.class_counts(labels, 120)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, np.bincount(labels, minlength=120))


@pytest.mark.parametrize("classes", [1, 2, 1023, 1024, 1025, 50_000])
@pytest.mark.parametrize("known", [True, False])
def test_few_and_many_classes_are_counted(classes: int, known: bool) -> None:
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, classes, LONG))
    counts = core.class_counts(labels, classes if known else None)
    np.testing.assert_array_equal(counts, np.bincount(labels))


@pytest.mark.parametrize("place", [0, 5_000, LONG - 1])
@pytest.mark.parametrize("label", [-1, 8, 1023, 2**40])
def test_the_first_bad_label_is_named_wherever_it_stands(place: int, label: int) -> None:
    labels = np.zeros(LONG, dtype=np.int64)
    labels[[place, LONG - 1]] = label
    with pytest.raises(
        ValueError, match=rf"^labels must be in 0..=7, got {label} at index {place};"
    ):
        core.class_counts(labels, 8)


def effective_oracle(n: int, beta: float) -> mpmath.mpf:
    exact = mpmath.mpf(beta)
    return mpmath.mpf(n) if beta == 1 else (1 - exact**n) / (1 - exact)


BETAS = [0.0, 1e-9, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 1 - 1e-9, 1 - 2**-53, 1.0]
COUNTS = [0, 1, 2, 3, 7, 10, 100, 999, 12_292, 10**6, 10**9, 2**53]


@pytest.mark.parametrize("beta", BETAS)
def test_effective_numbers_are_right_to_the_last_digits(beta: float) -> None:
    with mpmath.workdps(50):
        expected = [float(effective_oracle(n, beta)) for n in COUNTS]
    np.testing.assert_allclose(core.effective_number(COUNTS, beta), expected, rtol=5e-16, atol=0)


COUNT_LISTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any)


@given(counts=COUNT_LISTS, beta=st.floats(0, 1))
def test_normalised_weights_keep_what_they_promise(counts: list[int], beta: float) -> None:
    n = np.array(counts)
    raw = core.class_balanced_weights(n, beta, "none")
    np.testing.assert_array_equal(raw == 0, n == 0)
    np.testing.assert_allclose((raw * core.effective_number(n, beta))[n > 0], 1, rtol=1e-14)

    by_classes = core.class_balanced_weights(n, beta)
    assert by_classes.sum() == pytest.approx((n > 0).sum(), rel=1e-12)
    by_samples = core.class_balanced_weights(n, beta, "mean_one")
    assert (by_samples * n).sum() / n.sum() == pytest.approx(1, rel=1e-12)
    for scaled in (by_classes, by_samples):
        ratio = scaled[n > 0] / raw[n > 0]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-14)


def test_beta_zero_weights_every_class_alike() -> None:
    for normalise in ("sum_to_c", "none", "mean_one"):
        assert core.class_balanced_weights([1, 50, 0, 7], 0, normalise).tolist() == [1, 1, 0, 1]


# The way in


@pytest.mark.parametrize("dtype", LABEL_DTYPES)
def test_arrays_with_gaps_backwards_and_read_only_are_read(dtype: str) -> None:
    labels = np.random.default_rng(0).integers(0, 2, 1000).astype(dtype)
    labels.flags.writeable = False
    for view in (labels, labels[::3], labels[::-1], labels.reshape(100, 10)[:, 3]):
        np.testing.assert_array_equal(core.class_counts(view, 2), np.bincount(view, minlength=2))


def test_a_field_of_a_packed_record_is_read() -> None:
    records = np.zeros(10, dtype=[("flag", "u1"), ("label", "i8")])
    records["label"] = np.arange(10) % 3
    assert core.class_counts(records["label"]).tolist() == [4, 3, 3]


def test_a_bool_that_is_no_bool_is_read_as_its_byte() -> None:
    broken = np.array([0, 1, 7], dtype=np.uint8).view(bool)
    with pytest.raises(ValueError, match=r"got 7 at index 2"):
        core.class_counts(broken, 2)


def test_tensors_and_lists_are_read() -> None:
    labels = [0, 2, 2, 1]
    assert core.class_counts(torch.tensor(labels)).tolist() == [1, 1, 2]
    assert core.class_counts(torch.tensor(labels, dtype=torch.int8)[::2]).tolist() == [1, 0, 1]
    assert core.class_counts(labels).tolist() == [1, 1, 2]
    drawn = core.weighted_choice(torch.tensor([0.0, 1.0]), 3)
    assert drawn.tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "uint8", "bool"])
def test_weights_of_every_real_type_are_read(dtype: str) -> None:
    weights = np.array([0, 1, 1, 0, 1], dtype=dtype)
    expected = core.weighted_choice(weights.astype(np.float64), 50)
    np.testing.assert_array_equal(core.weighted_choice(weights, 50), expected)


NEWBYTE = "convert it with .astype(dtype.newbyteorder('='))"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: core.class_counts([0, 9], 8),
            ValueError,
            "labels must be in 0..=7, got 9 at index 1; "
            "number the classes from 0 and check num_classes",
        ),
        (
            lambda: core.class_counts([0, 2**50]),
            ValueError,
            f"labels must be in 0..=1048575, got {2**50} at index 1; "
            "number the classes from 0 and check num_classes",
        ),
        (
            lambda: core.class_counts([0], 0),
            ValueError,
            "num_classes must be in 1..=1048576, got 0; leave it out to use the largest label",
        ),
        (
            lambda: core.class_counts([0], -1),
            ValueError,
            "num_classes must be a whole number >= 0, got -1; pass an int",
        ),
        (
            lambda: core.class_counts([0.5]),
            TypeError,
            "labels must be of an integer dtype up to int64 or bool, got float64; "
            "convert it with .astype('int64')",
        ),
        (
            lambda: core.class_counts(np.array([1], dtype=np.uint64)),
            TypeError,
            "labels must be of an integer dtype up to int64 or bool, got uint64; "
            "convert it with .astype('int64')",
        ),
        (
            lambda: core.class_counts(np.array([1], dtype=">i8")),
            TypeError,
            f"labels must be in native byte order, got >i8; {NEWBYTE}",
        ),
        (
            lambda: core.class_counts([[1, 2]]),
            ValueError,
            "labels must be of shape (N,), got (1, 2); flatten it first",
        ),
        (
            lambda: core.effective_number([3, -1], 0.5),
            ValueError,
            "counts must be >= 0, got -1 at index 1; give the number of samples of each class",
        ),
        (
            lambda: core.effective_number([3.0], 0.5),
            TypeError,
            "counts must be of an integer dtype, got float64; convert it with .astype('int64')",
        ),
        (
            lambda: core.effective_number([3], 1.5),
            ValueError,
            "beta must be in [0, 1], got 1.5; "
            "0 leaves the classes alone and 1 weights them by inverse frequency",
        ),
        (
            lambda: core.class_balanced_weights([0, 0], 0.5),
            ValueError,
            "counts must have a positive entry, got no sample in 2 classes; "
            "count the training labels first",
        ),
        (
            lambda: core.class_balanced_weights([1], 0.5, "sum"),  # type: ignore[arg-type]
            ValueError,
            "normalise must be 'sum_to_c', 'none' or 'mean_one', got 'sum'; "
            "'sum_to_c' is the usual choice",
        ),
        (
            lambda: core.weighted_choice([1, np.nan], 1),
            ValueError,
            "weights must be finite and >= 0, got NaN at index 1; "
            "give 0 to an item that is never drawn",
        ),
        (
            lambda: core.weighted_choice(np.zeros(2), 1),
            ValueError,
            "weights must have a positive finite sum, got 0; "
            "give at least one item a positive weight and scale huge ones down",
        ),
        (
            lambda: core.weighted_choice(np.array([1j]), 1),
            TypeError,
            "weights must be of a real dtype, got complex128; convert it with .astype('float64')",
        ),
        (
            lambda: core.weighted_choice(np.array([1.0], dtype=">f8"), 1),
            TypeError,
            f"weights must be in native byte order, got >f8; {NEWBYTE}",
        ),
        (
            lambda: core.shuffle(-1),
            ValueError,
            "n must be a whole number >= 0, got -1; pass an int",
        ),
        (
            lambda: core.shuffle(1.5),  # type: ignore[arg-type]
            TypeError,
            "n must be a whole number >= 0, got 1.5; pass an int",
        ),
        (
            lambda: core.shuffle(3, seed=2**64),
            ValueError,
            f"seed must be a whole number in 0..2**64, got {2**64}; pass an int",
        ),
        (
            lambda: core.philox(-1, size=1),
            ValueError,
            "key must be an int in 0..2**128 or 2 words of 64 bits, got -1; keep its low bits",
        ),
        (
            lambda: core.philox(0, [1, 2], size=1),
            ValueError,
            "counter must be an int in 0..2**256 or 4 words of 64 bits, got [1, 2]; "
            "keep its low bits",
        ),
        (
            lambda: core.philox("a", size=1),  # type: ignore[arg-type]
            ValueError,
            "key must be an int in 0..2**128 or 2 words of 64 bits, got 'a'; keep its low bits",
        ),
    ],
)
def test_what_is_refused_is_named_with_its_rule(call, error, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_more_than_memory_holds_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        core.shuffle(2**55)


EVERY_KERNEL = f"""
import hashlib
import numpy as np
from pybench import core
labels = core.philox(1, size={LONG}).astype(np.int64) % 1500
truth = labels % 2
scores = core.philox(3, size={LONG}).astype(np.float64) / 2**64
corners = np.floor(scores[:40_000].reshape(2000, 5, 4) * 20)
corners[..., 2:] += corners[..., :2] + 1
objects = list(zip(corners, labels[:10_000].reshape(2000, 5) % 3))
found = [(boxes, of, scores[:5] * 0.5 + i / 4000) for i, (boxes, of) in enumerate(objects[1:] * 1)]
plan = core.plan_cutmix(list(corners), (50, 50), max_objects=9, placement="pack")
images = (scores[:1] * np.arange(2000 * 2500) % 251).astype(np.uint8).reshape(2000, 50, 50)
core.apply_cutmix(images, plan, match_background=True)
detected = core.mean_average_precision(objects[1:], found)
again = [
    core.bootstrap(name, truth, scores, labels, resamples=40, method="bca")["values"]
    for name in ("roc_auc", "average_precision")
] + [
    core.bootstrap("macro_f1", truth, truth[::-1].copy(), labels, resamples=40)["values"],
    core.bootstrap("mean_average_precision", objects[1:], found, resamples=20)["values"],
]
results = [
    *plan.values(),
    images,
    detected["ap"],
    detected["curves"],
    *again,
    np.array([core.roc_auc(truth, scores), core.average_precision(truth, scores)]),
    np.array([core.roc_auc(truth, scores, scores), core.average_precision(truth, scores, scores)]),
    np.array(core.roc_auc(np.resize(truth, 600_000), core.philox(4, size=600_000))),
    np.concatenate(core.pr_curve(truth, scores)),
    np.concatenate(core.pr_curve(truth, scores.astype(np.float32), scores)),
    core.confusion_f1(truth, truth[::-1].copy(), 2)["confusion"],
    core.confusion_f1(truth, truth[::-1].copy(), 2, scores)["confusion"],
    core.hard_negatives(scores, truth == 0, 30_000),
    core.hard_negatives(corners[:, :, 0], corners[:, :, 1] > 3, ratio=0.3, per_row=True),
    core.box_iou(corners[:300, 0], corners[:, 1]),
    core.box_iou(corners[:300, 0], corners[:300, 1], "ciou"),
    core.nms(corners[:, 0], scores[:2000], 0.3),
    *core.soft_nms(corners[:500, 0], scores[:500]),
    core.philox(2, size={LONG}),
    core.shuffle({LONG}),
    core.weighted_choice(labels, {LONG}),
    core.class_counts(labels),
    core.effective_number(labels, 0.99),
    core.class_balanced_weights(labels, 0.99),
]
print(hashlib.sha256(b"".join(result.tobytes() for result in results)).hexdigest())
"""


def test_results_are_the_same_for_any_number_of_threads() -> None:
    digests = {run_python(EVERY_KERNEL, PYBENCH_THREADS=threads) for threads in "127"}
    assert len(digests) == 1
    assert re.fullmatch(r"[0-9a-f]{64}\n", digests.pop())


@pytest.mark.parametrize("threads", ["0", "-2", "many", ""])
def test_a_number_of_threads_that_is_none_is_refused(threads: str) -> None:
    script = f"from pybench import core; core.shuffle({LONG})"
    assert run_python(script, PYBENCH_THREADS=threads) == (
        f"ValueError: PYBENCH_THREADS must be a whole number >= 1, got '{threads}'; "
        "unset it to use every core"
    )


def test_a_forked_child_works_with_threads_of_its_own() -> None:
    script = f"""
import os
import warnings
from pybench import core
expected = core.philox(1, size={LONG})
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads at every fork
child = os.fork()
if child == 0:
    same = (core.philox(1, size={LONG}) == expected).all()
    os._exit(0 if same else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print((core.philox(1, size={LONG}) == expected).all())
"""
    assert run_python(script, PYBENCH_THREADS="2") == "0\nTrue\n"


def test_signals_are_handled_while_a_kernel_runs_and_can_stop_it() -> None:
    # Signals that nobody handles in time melt into one: three can only be told apart on the way.
    handled = 0

    def handle(*_: object) -> None:
        nonlocal handled
        handled += 1
        if handled == 3:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.06)
        with pytest.raises(KeyboardInterrupt):
            core.shuffle(30_000_000)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert handled == 3


# Nonsense

ODD = [
    None,
    True,
    0,
    -1,
    3,
    2**63,
    2**70,
    0.5,
    float("nan"),
    float("inf"),
    1j,
    "iou",
    "accuracy",
    b"x",
    (),
    [],
    [[]],
    [[0, 0, 1, 1]],
    [[0, 0, 1]],
    [1, 0, 1],
    [0.5, np.nan],
    [1, [2]],
    {"image": [1]},
    object(),
    len,
    np.zeros(3),
    np.zeros((2, 4)),
    np.zeros((0, 4)),
    np.ones((2, 3, 4), np.float32),
    np.array(5),
    np.arange(3),
    np.arange(3, dtype=">i4"),
    np.zeros(3, bool),
    np.full(2, np.inf),
    np.array(["a", "b"]),
    np.array([None, 1], dtype=object),
    np.zeros(2, "datetime64[s]"),
    np.zeros((2, 2, 2), np.uint8),
    torch.zeros(3),
    torch.ones((2, 4), dtype=torch.bfloat16),
    [([[0, 0, 1, 1]], [0], [0.5])],
    [([[0, 0, 1, 1]], [0])],
    [([[1, 0, 0, 1]], [2**62])],
]
KERNELS = sorted({*core.__all__} - {"kernel_sources"})


@settings(max_examples=400)
@given(
    st.sampled_from(KERNELS),
    st.lists(st.sampled_from(range(len(ODD))), max_size=6),
    st.lists(st.sampled_from(range(len(ODD))), max_size=3),
    st.data(),
)
def test_nonsense_is_refused_without_a_panic(
    kernel: str, places: list[int], more: list[int], data: st.DataObject
) -> None:
    call = getattr(core, kernel)
    known = list(inspect.signature(call).parameters)
    names = data.draw(st.lists(st.sampled_from(known), max_size=len(more), unique=True))
    options = {name: ODD[place] for name, place in zip(names, more, strict=False)}
    # An array may be written to by apply_cutmix, so that each call gets its own.
    arguments = [copy.copy(ODD[place]) for place in places]
    # A panic would be a RuntimeError or its own kind of BaseException: neither is let through.
    with contextlib.suppress(TypeError, ValueError, OverflowError, MemoryError):
        call(*arguments, **options)


# What the extension says of itself


def test_the_extension_and_the_package_are_of_one_version() -> None:
    assert _core.__version__ == version("pybench")


@pytest.mark.parametrize("module", ["core", "video"])
def test_without_the_extension_an_import_says_what_to_do(module: str, tmp_path: Path) -> None:
    package = Path(core.__file__).parent
    (tmp_path / "pybench").mkdir()
    for name in ("__init__.py", "missing.py", f"{module}.py"):
        shutil.copy(package / name, tmp_path / "pybench")
    script = (
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        f"try:\n import pybench.{module}\nexcept ImportError as error:\n print(error)"
    )
    said = run_python(script)
    assert said.startswith("pybench._core must be loadable, got ")
    assert said.rstrip().endswith("; run: make build")


@pytest.mark.parametrize(
    ("kernels", "files"),
    [
        (
            ["philox", "shuffle", "stream_key", "weighted_choice"],
            ["core/src/deal.rs", "core/src/rng.rs", "core/src/work.rs", "py/src/rng.rs"],
        ),
        (
            ["class_balanced_weights", "class_counts", "effective_number"],
            ["core/src/weights.rs", "core/src/work.rs", "py/src/weights.rs"],
        ),
    ],
)
def test_a_kernel_is_identified_by_the_code_of_its_own_files(
    kernels: list[str], files: list[str]
) -> None:
    root = Path(__file__).parent.parent / "rust"
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        code, _, _ = (root / file).read_text().partition("\n#[cfg(test)]\n")
        lines = [line.strip() for line in code.splitlines()]
        digest.update("".join(f"{x}\n" for x in lines if x and not x.startswith("//")).encode())
    sources = core.kernel_sources()
    assert {kernel: sources[kernel] for kernel in kernels} == dict.fromkeys(
        kernels, digest.hexdigest()
    ), "the extension must be built from these sources; run maturin develop --release"


def test_every_kernel_has_its_sources() -> None:
    kernels = {name for name in core.__all__ if name != "kernel_sources"}
    assert kernels <= set(core.kernel_sources())
