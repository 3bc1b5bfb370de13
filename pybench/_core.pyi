"""The compiled half of pybench: what each kernel takes, gives and refuses.

Arrays may be anything numpy makes an array of: numpy arrays and CPU tensors (read where they lie),
lists. Read-only arrays are fine; one that is not contiguous is copied once; one of foreign byte
order is refused with ``TypeError``. Kernels run on ``PYBENCH_THREADS`` threads (default: every
core), give the same result for any number of them, and stop within 0.2 s of Ctrl-C.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "VideoClip",
    "__version__",
    "average_precision",
    "box_iou",
    "class_balanced_weights",
    "class_counts",
    "confusion_f1",
    "effective_number",
    "hard_negatives",
    "kernel_sources",
    "nms",
    "philox",
    "pr_curve",
    "roc_auc",
    "shuffle",
    "stream_key",
    "video_libraries",
    "video_sample_clips",
    "video_write",
    "weighted_choice",
]

__version__: str

def class_counts(labels: ArrayLike, num_classes: int | None = None) -> NDArray[np.int64]:
    """Count how often each class occurs, in one pass.

    Args:
        labels: (N,) int8 to int64, uint8 to uint32 or bool; values in [0, num_classes).
        num_classes: C, in [1, 2**20]. None takes one more than the largest label.

    Returns:
        (C,) int64, number of samples of each class.

    Raises:
        ValueError: A label is out of range (the first such is named), or num_classes is.
        TypeError: The labels are not integers.
    """

def effective_number(counts: ArrayLike, beta: float) -> NDArray[np.float64]:
    r"""Effective number of samples of each class.

    .. math:: E(n) = (1 - \beta^n) / (1 - \beta), \quad E(0) = 0

    Args:
        counts: (C,) integers >= 0, number of samples of each class.
        beta: In [0, 1]. 0 gives 1 for every class present, 1 gives the limit n.

    Returns:
        (C,) float64, in samples, to the last digits (no cancellation near beta = 1).

    Raises:
        ValueError: A count is negative (it is named) or beta is out of range.

    Source: Cui et al., Class-balanced loss based on effective number of samples, CVPR 2019, eq. 3.
    """

def class_balanced_weights(
    counts: ArrayLike,
    beta: float,
    normalise: Literal["sum_to_c", "none", "mean_one"] = "sum_to_c",
) -> NDArray[np.float64]:
    r"""Class weights inversely proportional to the effective number of samples.

    .. math:: w_c = s / E(n_c)

    Args:
        counts: (C,) integers >= 0, at least one of them positive.
        beta: In [0, 1]. 0 weights all classes alike, 1 by inverse frequency.
        normalise: What sets the scale s. "sum_to_c": the weights of the classes present sum to
            their number. "mean_one": the mean weight of a training sample is 1. "none": s = 1.

    Returns:
        (C,) float64 without unit; 0 for a class without samples, which the scale leaves out.

    Raises:
        ValueError: As effective_number, or there is no sample, or normalise is unknown.

    Source: Cui et al., CVPR 2019, eq. 4 and section 4.
    """

class _ConfusionF1(TypedDict):
    confusion: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    macro_f1: float | None

def roc_auc(truth: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Any:
    r"""Area under the ROC curve: the chance that a positive outranks a negative, ties half.

    .. math:: P(s > s') + \tfrac12 P(s = s'), \quad y = 1, y' = 0

    Args:
        truth: (N,) integers or bool; 0 or 1, or for scores of C columns a class in [0, C).
        scores: (N,) finite real numbers; or (N, C), column c ranking for class c against the rest.
        weights: (N,) finite real numbers >= 0. None weighs every sample 1.

    Returns:
        The area as a fraction, or a list of C of them. None where a side has no sample.

    Raises:
        ValueError: Shapes differ, or a value is out of range or not finite (it is named).
        TypeError: The truth is not of integers or the scores not of real numbers.

    Source: Hanley, McNeil: The Meaning and Use of the Area under a ROC Curve, Radiology 1982.
    """

def average_precision(truth: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Any:
    r"""Average precision: the precision at each distinct score, weighted by the recall it adds.

    .. math:: \sum_i (R_i - R_{i-1}) P_i

    Args:
        truth: As roc_auc.
        scores: As roc_auc.
        weights: As roc_auc.

    Returns:
        A fraction, or a list of C of them. None where there is no positive sample.

    Raises:
        ValueError: As roc_auc.
        TypeError: As roc_auc.
    """

def pr_curve(
    truth: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Precision and recall when every sample of at least a threshold is called positive.

    Args:
        truth: (N,) integers or bool, 0 or 1.
        scores: (N,) finite real numbers.
        weights: (N,) finite real numbers >= 0. None weighs every sample 1.

    Returns:
        precision (K + 1,), ending with 1; recall (K + 1,), falling to 0; thresholds (K,), the
        distinct scores, rising. None without a positive sample.

    Raises:
        ValueError: As roc_auc.
        TypeError: As roc_auc.
    """

def confusion_f1(truth: ArrayLike, predicted: ArrayLike, num_classes: int) -> _ConfusionF1:
    r"""Confusion matrix, and precision, recall and F1 of each class.

    .. math:: F_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Args:
        truth: (N,) integers in [0, num_classes).
        predicted: (N,) integers in [0, num_classes).
        num_classes: C, in [1, 1024].

    Returns:
        confusion (C, C) int64, samples by true class (rows) and predicted class; precision, recall
        and f1 (C,) as fractions, NaN where there is nothing to divide by; macro_f1, the mean F1
        of the classes that are present or predicted, None without samples.

    Raises:
        ValueError: Lengths differ, or a class is out of range (the first such is named).
        TypeError: The classes are not integers.
    """

def hard_negatives(
    losses: ArrayLike,
    negative_mask: ArrayLike,
    k: int | None = None,
    *,
    ratio: float | None = None,
    per_row: bool = False,
    k_min: int = 0,
    k_max: int | None = None,
    nan: Literal["refuse", "first"] = "refuse",
) -> NDArray[np.int64]:
    r"""Negatives of the largest losses, in time linear in their number.

    .. math:: K = \min(\max(\lfloor r N_{pos} \rfloor, k_{min}), k_{max}, N_{neg})

    Args:
        losses: (N,) or (R, N) real numbers, finite where they are negatives.
        negative_mask: bool of the shape of losses; every other sample counts as a positive.
        k: Number of negatives wanted, >= 0; no more are given than there are. Or:
        ratio: r, negatives wanted for each positive, finite and >= 0.
        per_row: Whether each row of (R, N) has its own K, or all of them share one.
        k_min: Negatives wanted by ratio where positives are few or none.
        k_max: The most that are given. None sets no bound.
        nan: Whether losses that are not finite are refused, or NaN comes before all numbers.

    Returns:
        (K,) int64, places in the flattened losses: row by row if per_row, the largest loss first,
        equal losses by index.

    Raises:
        ValueError: Shapes differ, a number is out of range, a loss is not finite (it is named), or
            not one of k and ratio is given.
        TypeError: The losses are not real numbers or the mask is not bool.
    """

def box_iou(
    a: ArrayLike, b: ArrayLike, kind: Literal["iou", "giou", "diou", "ciou"] = "iou"
) -> NDArray[Any]:
    """Overlap of every box of one set with every box of another.

    Args:
        a: (N, 4) or (S, N, 4) finite corners x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.
        b: (M, 4) or (S, M, 4), as a.
        kind: "iou": intersection over union. "giou": minus the share of the enclosing box outside
            the union. "diou": IoU minus the squared distance of the centres over the squared
            enclosing diagonal. "ciou": that minus a penalty for different aspect ratios.

    Returns:
        (N, M) or (S, N, M) fractions, float32 when both are, else float64. "iou" is in [0, 1], the
        others reach below 0. Quotients of nothing by nothing are 0: so is the IoU of two boxes
        without area.

    Raises:
        ValueError: A shape is wrong, a box is broken (the first such is named), or kind is unknown.
        TypeError: The corners are not real numbers.

    Source: Rezatofighi et al., Generalized intersection over union, CVPR 2019 (giou); Zheng et al.,
    Distance-IoU loss, AAAI 2020 (diou, ciou).
    """

def nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    iou_threshold: float,
    labels: ArrayLike | None = None,
) -> NDArray[np.int64]:
    """Non-maximum suppression: drop what overlaps a better box of the same label.

    Args:
        boxes: (N, 4) finite corners x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.
        scores: (N,) finite real numbers; equal scores go by index.
        iou_threshold: In [0, 1]. A box goes when its IoU with a kept one is larger.
        labels: (N,) integers. None takes all boxes for one label.

    Returns:
        (K,) int64, the boxes kept, the largest score first.

    Raises:
        ValueError: A shape is wrong, or a value is out of range or not finite (it is named).
        TypeError: The boxes or scores are not real numbers or the labels no integers.
    """

def stream_key(seed: int, name: str) -> tuple[int, int]:
    """Philox key of the random stream ``name`` under ``seed``.

    It is BLAKE2b with a 16-byte digest over the seed's 8 little-endian bytes followed by the name
    in UTF-8, read as two little-endian words.

    Args:
        seed: In [0, 2**64).
        name: By habit a path from the general to the particular, as "sampler/epoch=3".

    Returns:
        Two words of 64 bits.

    Raises:
        ValueError: The seed is out of range.
    """

def philox(
    key: int | Sequence[int] | NDArray[np.uint64],
    counter: int | Sequence[int] | NDArray[np.uint64] = 0,
    *,
    size: int,
) -> NDArray[np.uint64]:
    """Raw words of Philox4x64-10, bit for bit numpy's.

    They are ``numpy.random.Philox(key=key, counter=counter).random_raw(size)``.

    Args:
        key: In [0, 2**128), or two words of 64 bits, least significant first.
        counter: In [0, 2**256), or four words. It is incremented before each block of four words.
        size: Number of words, >= 0.

    Returns:
        (size,) uint64.

    Raises:
        ValueError: A number is out of range.

    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011.
    """

def shuffle(n: int, seed: int = 0, stream: str = "shuffle") -> NDArray[np.int64]:
    """Permutation of 0..n-1, every one equally likely (Fisher and Yates).

    Args:
        n: Number of elements, >= 0.
        seed: In [0, 2**64).
        stream: Name of the random stream, see stream_key.

    Returns:
        (n,) int64.

    Raises:
        ValueError: A number is out of range.
    """

def weighted_choice(
    weights: ArrayLike, size: int, seed: int = 0, stream: str = "weighted_choice"
) -> NDArray[np.int64]:
    """Indices drawn with replacement, index i with probability weights[i] / sum(weights).

    Draw d is ``searchsorted(cumsum(weights), u * sum, side="right")``, u being double d of the
    stream, as numpy's ``Generator(Philox(key)).random`` gives it.

    Args:
        weights: (N,) real numbers, finite and >= 0, with a positive finite sum.
        size: Number of draws, >= 0.
        seed: In [0, 2**64).
        stream: Name of the random stream, see stream_key.

    Returns:
        (size,) int64 in [0, N).

    Raises:
        ValueError: A weight is negative or not finite (it is named), or so is the sum.
        TypeError: The weights are not real numbers.
    """

def kernel_sources() -> dict[str, str]:
    """Hash of the Rust sources that each kernel is made of, by the kernel's name.

    Comments, unit tests and error messages are left out: an edit that cannot change a result does
    not change the hash. "video" stands for the whole video crate and is there when it was built in.

    Returns:
        Kernel name to 32 hexadecimal digits.
    """

# Video: `pybench.video` is the public face. Missing when built without the feature `video`.

class _Probe(TypedDict):
    frames: int
    width: int
    height: int
    rotation: int
    fps: float
    duration_s: float
    codec: str
    container: str
    gops: int

# Indices (T,), seconds (T,), and (missing, concealed).
_Sampled: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64], tuple[list[int], list[int]]]

class _Choice(Protocol):
    """Which frames; see `pybench.video.sample_frames`. Only what the plan needs is looked at."""

    @property
    def plan(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def indices(self) -> Sequence[int]: ...
    @property
    def times_s(self) -> Sequence[float]: ...
    @property
    def words(self) -> Sequence[int]:
        """`count` random words for each clip, or none."""

@final
class VideoClip:
    """An indexed clip: no open file, no decoder."""

    def __new__(cls, path: str | PathLike[str]) -> VideoClip: ...
    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns after the rotation."""
    @property
    def warnings(self) -> list[str]:
        """What is odd about the file."""
    def probe(self) -> _Probe:
        """What the clip is, its warnings apart."""
    def sample(
        self,
        out: NDArray[np.uint8],
        choice: _Choice,
        *,
        threads: int,
        on_error: str,
    ) -> _Sampled:
        """Fill `out` (T, H, W, 3), C-contiguous."""

def video_sample_clips(
    paths: Sequence[str | PathLike[str]],
    out: NDArray[np.uint8],
    choice: _Choice,
    *,
    threads: int,
    on_error: str,
) -> list[_Sampled]:
    """Fill `out` (N, T, H, W, 3), C-contiguous, one clip per thread."""

def video_write(
    path: str | PathLike[str],
    frames: NDArray[np.uint8],
    *,
    fps: float,
    codec: str,
    gop: int,
    b_frames: int,
    quality: int,
) -> None:
    """Write `frames` (T, H, W, 3), C-contiguous."""

def video_libraries() -> dict[str, str]:
    """The linked libraries of FFmpeg and their versions."""
