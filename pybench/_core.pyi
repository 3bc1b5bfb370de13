"""The compiled half of pybench: what each kernel takes, gives and refuses.

Arrays may be anything numpy makes an array of: numpy arrays and CPU tensors (read where they lie),
lists. Read-only arrays are fine; one that is not contiguous is copied once; one of foreign byte
order is refused with ``TypeError``. Kernels run on ``PYBENCH_THREADS`` threads (default: every
core), give the same result for any number of them, and stop within 0.2 s of Ctrl-C.
"""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias, TypedDict, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "VideoClip",
    "__version__",
    "apply_cutmix",
    "average_precision",
    "bootstrap",
    "box_iou",
    "class_balanced_weights",
    "class_counts",
    "confusion_f1",
    "effective_number",
    "hard_negatives",
    "kernel_sources",
    "mean_average_precision",
    "nms",
    "philox",
    "plan_cutmix",
    "pr_curve",
    "read_images",
    "roc_auc",
    "shuffle",
    "soft_nms",
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
    confusion: NDArray[Any]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    macro_f1: float | None
    absent: int

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

def pr_curve(truth: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Any:
    """Precision and recall when every sample of at least a threshold is called positive.

    Args:
        truth: As roc_auc.
        scores: As roc_auc.
        weights: As roc_auc.

    Returns:
        precision (K + 1,), ending with 1; recall (K + 1,), falling to 0; thresholds (K,), the
        distinct scores, rising. A list of C such triples for scores (N, C). None without a positive
        sample.

    Raises:
        ValueError: As roc_auc.
        TypeError: As roc_auc.
    """

def confusion_f1(
    truth: ArrayLike, predicted: ArrayLike, num_classes: int, weights: ArrayLike | None = None
) -> _ConfusionF1:
    r"""Confusion matrix, and precision, recall and F1 of each class.

    .. math:: F_c = 2 TP_c / (2 TP_c + FP_c + FN_c)

    Args:
        truth: (N,) integers in [0, num_classes).
        predicted: (N,) integers in [0, num_classes).
        num_classes: C, in [1, 1024].
        weights: (N,) finite real numbers >= 0. None weighs every sample 1.

    Returns:
        confusion (C, C), samples by true class (rows) and predicted class, int64; sums of weights,
        float64, if there are any. precision, recall and f1 (C,) as fractions, NaN where there is
        nothing to divide by; macro_f1, the mean F1 of the classes that are present or predicted,
        None without samples; absent, the number of classes that are neither.

    Raises:
        ValueError: Lengths differ, or a class or weight is out of range (the first is named).
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

def soft_nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    decay: Literal["gaussian", "linear"] = "gaussian",
    sigma: float = 0.5,
    iou_threshold: float = 0.3,
    min_score: float = 0.001,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    r"""Soft suppression: lower the scores of boxes that overlap a better one of their label.

    .. math:: s_i \leftarrow s_i e^{-\mathrm{IoU}^2 / \sigma} \quad \text{or} \quad
        s_i \leftarrow s_i (1 - \mathrm{IoU}) \text{ where } \mathrm{IoU} > \tau

    Args:
        boxes: (N, 4) finite corners x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.
        scores: (N,) finite real numbers; equal scores go by index.
        labels: (N,) integers. None takes all boxes for one label.
        decay: "gaussian" lowers every score, "linear" those above the threshold.
        sigma: Width of the Gaussian, finite and > 0.
        iou_threshold: tau of the linear decay, in [0, 1].
        min_score: Boxes whose score falls below are dropped.

    Returns:
        (K,) int64, the boxes kept in the order they were taken, and (K,) float64, their scores.

    Raises:
        ValueError: A shape is wrong, or a value is out of range or not finite (it is named).
        TypeError: The boxes or scores are not real numbers or the labels no integers.

    Source: Bodla et al., Soft-NMS: Improving object detection with one line of code, ICCV 2017.
    """

class _CutmixPlan(TypedDict):
    image: NDArray[np.int64]
    donor: NDArray[np.int64]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    origin: NDArray[np.int64]
    paste: NDArray[np.int64]
    offsets: NDArray[np.int64]

def plan_cutmix(
    boxes: Iterable[ArrayLike],
    size: tuple[int, int],
    labels: Iterable[ArrayLike] | None = None,
    *,
    max_objects: int = 4,
    iou_threshold: float = 0.1,
    max_cover: float = 0.3,
    max_tries: int = 10,
    placement: Literal["donor", "pack"] = "donor",
    others: Literal["copy", "reject"] = "copy",
    seed: int = 0,
    stream: str = "plan_cutmix",
) -> _CutmixPlan:
    """Plan who goes where: fill images up with objects of other images.

    A donor image and one of its objects are drawn until the image has ``max_objects`` or
    ``max_tries`` are used up. The object is pasted when it overlaps every other object of the image
    by less than ``iou_threshold`` and covers none by more than ``max_cover``, earlier pastes
    included. A donor is never the image itself, and an image without objects is filled too. Image i
    has its own random numbers: what happens to others, and the threads, do not matter.

    Args:
        boxes: For each image (M, 4) finite corners x1, y1, x2, y2 in pixels, or nothing.
        size: Rows and columns, the same for all images. Boxes are cut at the border when pasted.
        labels: For each image (M,) integers. None calls every object 0.
        max_objects: M of Algorithm 1, objects that an image is filled up to.
        iou_threshold: tau, in [0, 1]; every overlap of a pasted object is below it.
        max_cover: Largest share of an object that pasted regions may cover in sum, in [0, 1].
        max_tries: Donors tried for one image.
        placement: "donor": where the object is in its own image. "pack": there, or else at a free
            place, which is found whenever there is one.
        others: What else of the donor's objects is in the region. "copy": it comes along, cut at
            the region's border, if at least 1 - max_cover of it is there; a piece of at most
            max_cover goes without a label; regions with larger pieces are not pasted. "reject":
            only regions where no other object shows more than max_cover are.
        seed: In [0, 2**64).
        stream: Name of the random stream, see stream_key.

    Returns:
        P pastes, to be done in this order: image, donor (P,); source, target (P, 4), regions of
        whole pixels x1, y1, x2, y2, ends excluded. All K objects afterwards, image by image, those
        that were there first: boxes (K, 4), labels (K,); origin (K,), which of the given objects,
        counted through, it is or was copied from; paste (K,), the paste that brought it or -1;
        offsets (N + 1,), objects offsets[i] to offsets[i + 1] are of image i.

    Raises:
        ValueError: A shape is wrong, a box is broken (the first such is named), or a number is out
            of range.
        TypeError: The boxes are not real numbers or the labels no integers.

    Source: Yun et al., CutMix, ICCV 2019, for the name; Ghiasi et al., Simple copy-paste, CVPR
    2021, for the method.
    **Deviations** from Algorithm 1 as drafted: every overlap must be small, not only some; tries
    are bounded; covered objects are guarded; the donor is another image.
    """

def apply_cutmix(
    images: ArrayLike, plan: Mapping[str, Any], *, match_background: bool = False
) -> None:
    """Do what a plan says, in place. Every region is read as it was before the first paste.

    Args:
        images: (N, H, W) or (N, H, W, C) uint8 or float32; writable and without gaps.
        plan: What plan_cutmix gave for these images.
        match_background: Shift each patch, channel by channel, by the difference of the means of
            the two images outside their objects, so that no seam shows a difference of exposure or
            temperature.

    Raises:
        ValueError: The images are read-only, have gaps, or are not those of the plan.
        TypeError: The images are no array, or neither uint8 nor float32.
    """

class _DetectionScores(TypedDict):
    map: float | None
    mar: float | None
    absent: int
    ap: NDArray[np.float64]
    recall: NDArray[np.float64]
    curves: NDArray[np.float64]

class _MeanAveragePrecision(_DetectionScores):
    areas: dict[str, _DetectionScores]

def mean_average_precision(
    truth: Iterable[Iterable[ArrayLike]],
    scores: Iterable[Iterable[ArrayLike]],
    *,
    num_classes: int | None = None,
    iou_thresholds: Sequence[float] | None = None,
    areas: Sequence[tuple[str, tuple[float, float]]] | None = None,
    image_sizes: Sequence[tuple[float, float]] | None = None,
    max_dets: int | None = 100,
    interpolation: Literal["coco", "all"] = "coco",
) -> _MeanAveragePrecision:
    r"""Average precision of detections, by class and threshold of overlap.

    .. math:: \frac{1}{101} \sum_{r \in \{0, .01, \dots, 1\}} \max_{k : R_k \ge r} P_k

    In every image the surest detection of a class chooses first: the object of its class that it
    overlaps most, among those still free whose IoU reaches the threshold.

    Args:
        truth: For each image (boxes (G, 4), classes (G,)), and if any, ignore flags (G,): such an
            object is a crowd, which is neither found nor missed. It may take many detections, whose
            overlap with it is the share of the detection inside.
        scores: For each image (boxes (P, 4), classes (P,), confidences (P,)).
        num_classes: C; classes are in [0, C). None takes one more than the largest.
        iou_thresholds: T numbers in (0, 1]. None takes COCO's ten, .5 to .95.
        areas: Bands (name, (low, high)) of the area of objects that count, ends included; a
            detection outside the band that finds nothing does not count either. In square pixels,
            or with image_sizes as a fraction of the image.
        image_sizes: Rows and columns of each image.
        max_dets: Detections of one class in one image that count, the surest. None takes all.
        interpolation: "coco" as above, "all" the area under the same envelope at every point.

    Returns:
        map and mar, means over thresholds and classes of average precision and of recall, None
        without any; absent, the number of classes without objects; ap and recall (T, C), curves
        (T, C, 101), the largest precision at recalls 0, .01, ... 1 or beyond; NaN for an absent
        class. areas: the same for each band.

    Raises:
        ValueError: A shape is wrong, or a value is out of range or not finite (it is named).
        TypeError: The boxes are not real numbers or the classes no integers.

    Source: Lin et al., Microsoft COCO: Common objects in context, ECCV 2014, and its evaluation.
    **Deviations**: 1e-16 is not added to denominators; bands may be relative to the image.
    """

def read_images(paths: Iterable[str | PathLike[str]], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Decode JPEG and PNG files and resize them, in parallel.

    Resizing is bilinear with antialiasing, as torchvision's and Pillow's: PNG differs from these by
    at most 1 level, JPEG by some for how the decoder interpolates chroma. Pictures come as they are
    stored: the orientation in EXIF is not applied. Transparency is dropped, grey becomes RGB, 16
    bits become 8.

    Args:
        paths: N files.
        size: Rows and columns of all pictures that come out.

    Returns:
        (N, H, W, 3) uint8, RGB.

    Raises:
        ValueError: A file cannot be read, is damaged, in CMYK or of more than 2**28 pixels (the
            first such is named), or size is no pair of positive numbers.
        TypeError: A path is none, or paths is a single one.
    """

class _Bootstrap(TypedDict):
    estimate: float | None
    low: float | None
    high: float | None
    undefined: int
    values: NDArray[np.float64]

def bootstrap(
    metric: Literal[
        "roc_auc",
        "average_precision",
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "mean_average_precision",
    ],
    truth: Any,
    scores: Any,
    groups: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
    *,
    strata: ArrayLike | None = None,
    method: Literal["percentile", "basic", "bca"] = "percentile",
    level: float = 0.95,
    stream: str = "bootstrap",
) -> _Bootstrap:
    """Interval of a metric by resampling whole groups with replacement.

    Resample r draws as many groups as there are, from each stratum its own, by random numbers of
    its own: ``below(G)`` of ``Philox(stream_key(seed, stream), counter=[0, r, 0, 0])``.

    Args:
        metric: Its name. Of several columns the ranking metrics are the mean over the classes that
            have one. "mean_average_precision" is COCO's, over ten thresholds.
        truth: (N,) as roc_auc or confusion_f1; for detections as mean_average_precision.
        scores: (N,) or (N, C) as roc_auc. For accuracies and F1 (N,) predicted classes, or (N, C)
            scores of which the first of the largest is predicted. For detections as there.
        groups: (N,) integers, which samples or images are drawn together: those of one video, say.
            None draws each by itself.
        resamples: How many, >= 0.
        seed: In [0, 2**64).
        strata: (N,) integers, the same within a group; every resample has as many groups of each as
            there are. None is one stratum.
        method: "percentile", "basic" (mirrored at the estimate) or "bca" (corrected for bias and
            acceleration; evaluates the metric once more without each group).
        level: Coverage that is aimed at, in (0, 1).
        stream: Name of the random stream, see stream_key.

    Returns:
        estimate, the metric on all samples; low and high; all None where undefined. values
        (resamples,), NaN where a resample has no value; their number in undefined. The limits are
        quantiles of the others.

    Raises:
        ValueError: An unknown word, shapes that differ, a value that is out of range or not finite
            (it is named), or a group in two strata.
        TypeError: As the metrics.

    Source: Efron, Tibshirani: An introduction to the bootstrap, 1993, chapters 13 and 14.
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
