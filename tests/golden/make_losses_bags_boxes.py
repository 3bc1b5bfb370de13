"""Write losses_bags_boxes.json: losses of bags, boxes and pairs, straight from their formulas.

Everything is computed with 50 digits and no care for speed or stability. Gradients are central
differences with a step of 1e-15. Run ``python tests/golden/make_losses_bags_boxes.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mpmath as mp

mp.mp.dps = 50
STEP = mp.mpf(10) ** -15

ABNORMAL = [[0.125, 0.75, 0.5], [0.25, 0.0625, 0.875], [0.375, 0.25, 0.125]]
NORMAL = [[0.5, 0.25, 0.375], [0.0, 0.03125, 0.125], [0.625, 0.5, 0.25]]
BAG_CLASSES = [0, 1, 0]
BAG_COUNTS = [20, 3]
LONG = [[[3.0, 1.0], [-2.0, 0.5], [0.25, 0.5]], [[1.0, 0.0], [0.0, 2.0], [4.0, -3.0]]]
LONG += [[[0.5, 0.5], [1.5, -1.0], [0.25, 2.0]]]
SHORT = [[[0.25, 0.5], [0.5, 0.75], [1.0, 0.0]], [[0.0, 0.125], [0.25, 0.0], [0.5, 0.5]]]
SHORT += [[[1.0, 1.0], [0.0, -0.75], [0.5, 0.25]]]

CELLS = [[0.5, -1.0, 2.0], [1.5, 0.25, -0.5], [-2.0, 1.0, 0.0], [0.0, 3.0, -1.0]]
CELLS += [[2.5, -0.5, 1.0], [4.0, -3.0, -2.5], [-1.0, 0.5, 0.25], [0.75, 0.5, 1.25]]
CELL_LABELS = [2, 0, 1, 0, 0, 0, 0, 1]
PREDICTED = [[0.0, 0.0, 4.0, 3.0], [1.0, 1.0, 2.0, 2.0], [2.0, 1.0, 6.5, 4.0], [0.0] * 4]
PREDICTED += [
    [5.0, 1.0, 6.0, 9.0],
    [0.0, 1.0, 1.0, 2.0],
    [2.0, 2.0, 3.0, 4.0],
    [8.0, 1.0, 9.0, 4.0],
]
TRUE = [[1.0, 0.5, 5.0, 2.5], [0.0] * 4, [2.5, 0.5, 5.5, 5.0], [0.0] * 4]
TRUE += [[0.0] * 4, [0.0] * 4, [0.0] * 4, [2.0, 2.0, 5.0, 3.5]]

FEATURES = [[1.0, 0.5, -2.0], [0.25, 0.5, -1.0], [-3.0, 2.0, 0.5], [0.5, 1.0, 0.25]]
FEATURES += [[1.0, -1.0, 0.5], [0.0, 2.0, 1.0]]
FEATURE_LABELS = [0, 0, 1, 0, 2, 1]
PROTOTYPES = [[0.5, 1.0, -1.0], [-1.0, 0.25, 0.5], [2.0, -0.5, 1.0]]


def mpf(rows):
    return [mpf(row) for row in rows] if isinstance(rows, list) else mp.mpf(rows)


def flat(rows):
    return [value for row in rows for value in row]


def rows_of(values, like):
    found = iter(values)
    return [[next(found) for _ in row] for row in like]


def softmax(z):
    total = mp.fsum(mp.exp(v) for v in z)
    return [mp.exp(v) / total for v in z]


def norm(x):
    return mp.sqrt(mp.fsum(v * v for v in x))


def mean(values):
    values = list(values)
    return mp.fsum(values) / len(values)


# Bags


def weighted_mil(abnormal, normal, beta, normalise):
    w = [(1 - mp.mpf(beta)) / (1 - mp.mpf(beta) ** n) for n in BAG_COUNTS]
    scale = {"none": 1, "sum_to_c": len(w) / mp.fsum(w)}[normalise]
    terms = []
    for a, n, y in zip(abnormal, normal, BAG_CLASSES, strict=True):
        jumps = mp.fsum((a[i] - a[i + 1]) ** 2 for i in range(len(a) - 1))
        hinge = max(mp.mpf(0), 1 - max(a) + max(n))
        terms.append(scale * w[y] * hinge + jumps / 2 + mp.fsum(v * v for v in a) / 4)
    return terms


def mil(abnormal, normal, pairing, sparsity):
    terms = []
    for i, a in enumerate(abnormal):
        rivals = [normal[i]] if pairing == "paired" else normal
        hinge = mean(max(mp.mpf(0), 1 - max(a) + max(n)) for n in rivals)
        jumps = mp.fsum((a[k] - a[k + 1]) ** 2 for k in range(len(a) - 1))
        size = mp.fsum(v * v if sparsity == "l2" else v for v in a)
        terms.append(hinge + jumps / 2 + size / 4)
    return terms


def entropy(score, abnormal):
    return -mp.log(score if abnormal else 1 - score)


def topk(abnormal, normal, k):
    bags = [(bag, True) for bag in abnormal] + [(bag, False) for bag in normal]
    return [entropy(mean(sorted(bag)[-k:]), kind) for bag, kind in bags]


def rtfm(abnormal, normal, k, margin, alpha):
    def speaking(scores, features):
        order = sorted(range(len(features)), key=lambda i: -norm(features[i]))[:k]
        middle = [mean(features[i][d] for i in order) for d in range(len(features[0]))]
        return mean(scores[i] for i in order), norm(middle)

    terms = []
    for a, n, x, y in zip(abnormal, normal, mpf(LONG), mpf(SHORT), strict=True):
        (high, far), (low, near) = speaking(a, x), speaking(n, y)
        both = (entropy(high, True) + entropy(low, False)) / 2
        terms.append(both + mp.mpf(alpha) * (abs(margin - far) + near) ** 2)
    return terms


# Boxes


def area(b):
    return (b[2] - b[0]) * (b[3] - b[1])


def iou_union(p, t):
    width = max(mp.mpf(0), min(p[2], t[2]) - max(p[0], t[0]))
    height = max(mp.mpf(0), min(p[3], t[3]) - max(p[1], t[1]))
    union = area(p) + area(t) - width * height
    return width * height / union, union


def hull(p, t):
    return [min(p[0], t[0]), min(p[1], t[1]), max(p[2], t[2]), max(p[3], t[3])]


def giou(p, t):
    iou, union = iou_union(p, t)
    return 1 - iou + (area(hull(p, t)) - union) / area(hull(p, t))


def diou(p, t):
    h = hull(p, t)
    apart = mp.fsum(((p[i] + p[i + 2] - t[i] - t[i + 2]) / 2) ** 2 for i in (0, 1))
    return 1 - iou_union(p, t)[0] + apart / ((h[2] - h[0]) ** 2 + (h[3] - h[1]) ** 2)


def angle(b):
    return mp.atan((b[2] - b[0]) / (b[3] - b[1]))


def ciou(p, t):
    v = 4 / mp.pi**2 * (angle(t) - angle(p)) ** 2
    return diou(p, t) + v / (1 - iou_union(p, t)[0] + v) * v


def balanced_l1(p, t, alpha, gamma, beta):
    alpha, gamma, beta = mp.mpf(alpha), mp.mpf(gamma), mp.mpf(beta)
    b, total = mp.exp(gamma / alpha) - 1, mp.mpf(0)
    for u, v in zip(p, t, strict=True):
        x = abs(u - v) / beta
        near = alpha / b * (b * x + 1) * mp.log(b * x + 1) - alpha * x
        total += beta * (near if x < 1 else gamma * x + gamma / b - alpha)
    return total


def smooth_l1(p, t, delta=1, form="repaired"):
    delta, total = mp.mpf(delta), mp.mpf(0)
    for u, v in zip(p, t, strict=True):
        x = abs(u - v)
        near, far = x * x / 2, x - delta / 2
        total += {
            "repaired": near / delta if x < delta else far,
            "huber": near if x < delta else delta * far,
            "literal": near if x <= delta else far,
        }[form]
    return total


def on_cells(of_box):
    return lambda boxes: [
        of_box(p, mpf(t)) if y else mp.mpf(0)
        for p, t, y in zip(boxes, TRUE, CELL_LABELS, strict=True)
    ]


def qualities(cell):
    y = CELL_LABELS[cell]
    iou = iou_union(mpf(PREDICTED[cell]), mpf(TRUE[cell]))[0] if y else mp.mpf(0)
    return [iou if c == y else mp.mpf(0) for c in (1, 2)]


def quality_loss(of_score):
    def terms(logits):
        return [
            mp.fsum(
                of_score(1 / (1 + mp.exp(z[0] - z[c])), q)
                for c, q in zip((1, 2), qualities(i), strict=True)
            )
            for i, z in enumerate(logits)
        ]

    return terms


def varifocal(alpha, gamma):
    def score(p, q):
        if q > 0:
            return -q * (q * mp.log(p) + (1 - q) * mp.log(1 - p))
        return -mp.mpf(alpha) * p ** mp.mpf(gamma) * mp.log(1 - p)

    return quality_loss(score)


def quality_focal(beta):
    return quality_loss(
        lambda p, q: -(abs(q - p) ** beta) * (q * mp.log(p) + (1 - q) * mp.log(1 - p))
    )


# F1


def f1_loss(pairs, epsilon):
    hits = mp.fsum(p for p, y in pairs if y)
    false = mp.fsum(p for p, y in pairs if not y)
    missed = mp.fsum(1 - p for p, y in pairs if y)
    precision, recall = hits / (hits + false + epsilon), hits / (hits + missed + epsilon)
    return 1 - 2 * precision * recall / (precision + recall + epsilon)


def soft_f1(logits):
    p, epsilon = [softmax(z) for z in logits], mp.mpf("1e-6")
    classes = sorted(set(CELL_LABELS))
    return mean(
        f1_loss([(q[c], y == c) for q, y in zip(p, CELL_LABELS, strict=True)], epsilon)
        for c in classes
    )


def tversky(logits, alpha, beta, gamma=1):
    p = [softmax(z) for z in logits]

    def index(c):
        pairs = [(q[c], y == c) for q, y in zip(p, CELL_LABELS, strict=True)]
        hits = mp.fsum(q for q, y in pairs if y)
        false = mp.fsum(q for q, y in pairs if not y)
        missed = mp.fsum(1 - q for q, y in pairs if y)
        return hits / (hits + mp.mpf(alpha) * false + mp.mpf(beta) * missed)

    exponent = 1 / mp.mpf(gamma)
    return mean((1 - index(c)) ** exponent for c in sorted(set(CELL_LABELS)))


def composite(logits, scope, combine, ratio, k_max, labels=None, alpha=0.25, gamma=2.0):
    labels, epsilon = CELL_LABELS if labels is None else labels, mp.mpf("1e-6")
    alpha, gamma, p, focal = mp.mpf(alpha), mp.mpf(gamma), [], []
    for z, y in zip(logits, labels, strict=True):
        q = softmax(z)
        p.append(q[y] if y else 1 - q[0])
        focal.append((alpha if y else 1 - alpha) * (1 - q[y]) ** gamma * -mp.log(q[y]))
    positive = [i for i, y in enumerate(labels) if y]
    negative = sorted((i for i, y in enumerate(labels) if not y), key=lambda i: (-focal[i], i))
    if not positive:
        return mean(focal[i] for i in negative[:8])
    k = min(int(ratio * len(positive)), len(negative), k_max)
    hard = negative[:k]
    cls = [mean(focal[i] for i in side) for side in (positive, hard)]
    sides = [positive, hard] if scope == "separate" else [positive + hard]
    f1 = [f1_loss([(p[i], labels[i] > 0) for i in side], epsilon) for side in sides]
    box = mean(smooth_l1(mpf(PREDICTED[i]), mpf(TRUE[i])) for i in positive)
    if combine == "sum":
        return mp.fsum(cls) + mp.fsum(f1) + box
    root_cls = mp.sqrt(max(cls[0] * cls[1], epsilon))
    root_f1 = f1[0] if len(f1) == 1 else mp.sqrt(max(f1[0] * f1[1], epsilon))
    return mp.sqrt(max(root_cls * root_f1, epsilon)) + box


# Contrast


def units(rows):
    return [[v / norm(row) for v in row] for row in rows]


def dot(a, b):
    return mp.fsum(x * y for x, y in zip(a, b, strict=True))


def similarity(features, exclude_diagonal, pair_balance):
    h, errors = units(features), {True: [], False: []}
    for i, a in enumerate(h):
        for j, b in enumerate(h):
            if i != j or not exclude_diagonal:
                same = FEATURE_LABELS[i] == FEATURE_LABELS[j]
                errors[same].append((dot(a, b) - same) ** 2)
    if pair_balance:
        return (mean(errors[True]) + mean(errors[False])) / 2
    return mean(errors[True] + errors[False])


def supcon(features, tau):
    h, labels = units(features), FEATURE_LABELS
    terms = []
    for i in range(len(h)):
        others = [j for j in range(len(h)) if j != i]
        total = mp.fsum(mp.exp(dot(h[i], h[a]) / tau) for a in others)
        alike = [p for p in others if labels[p] == labels[i]]
        if alike:
            terms.append(-mean(mp.log(mp.exp(dot(h[i], h[p]) / tau) / total) for p in alike))
        else:
            terms.append(None)
    scale = mp.mpf(len(terms)) / sum(term is not None for term in terms)
    return [mp.mpf(0) if term is None else scale * term for term in terms]


def balanced_contrastive(features, tau):
    keys, labels = units(features + mpf(PROTOTYPES)), [*FEATURE_LABELS, 0, 1, 2]
    terms = []
    for i in range(len(features)):
        total = mp.mpf(0)
        for c in range(3):
            members = [a for a in range(len(keys)) if labels[a] == c and a != i]
            total += mean(mp.exp(dot(keys[i], keys[a]) / tau) for a in members)
        alike = [p for p in range(len(keys)) if p != i and labels[p] == labels[i]]
        terms.append(-mean(mp.log(mp.exp(dot(keys[i], keys[p]) / tau) / total) for p in alike))
    return terms


# The file


def case(spec: str, f: Callable, inputs: list, *, gradient: bool = True) -> dict:
    """Values of ``f``, a list or one number, and the gradient of their sum."""

    def total(values):
        result = f(rows_of(values, inputs))
        return mp.fsum(result) if isinstance(result, list) else result

    result = f(mpf(inputs))
    found = {
        "spec": spec,
        "terms": [float(v) for v in result] if isinstance(result, list) else float(result),
    }
    if gradient:
        start, grads = flat(mpf(inputs)), []
        for k in range(len(start)):
            up, down = list(start), list(start)
            up[k] += STEP
            down[k] -= STEP
            grads.append(float((total(up) - total(down)) / (2 * STEP)))
        found["gradients"] = rows_of(grads, inputs)
    return found


def bags(f, *arguments):
    return lambda rows: f(rows[: len(ABNORMAL)], rows[len(ABNORMAL) :], *arguments)


def main() -> None:
    scores, half = ABNORMAL + NORMAL, "lambda_smooth=0.5, lambda_sparse=0.25"
    tau = mp.mpf("0.1")
    golden = {
        "inputs": {
            "abnormal": ABNORMAL,
            "normal": NORMAL,
            "bag_classes": BAG_CLASSES,
            "bag_counts": BAG_COUNTS,
            "long": LONG,
            "short": SHORT,
            "cells": CELLS,
            "cell_labels": CELL_LABELS,
            "predicted": PREDICTED,
            "true": TRUE,
            "features": FEATURES,
            "feature_labels": FEATURE_LABELS,
            "prototypes": PROTOTYPES,
        },
        "bags": [
            *(
                case(f"mil(pairing='{p}', sparsity='{s}', {half})", bags(mil, p, s), scores)
                for p in ("paired", "all_pairs")
                for s in ("l2", "l1")
            ),
            *(
                case(
                    f"class_balanced_mil(beta={b}, normalise='{how}', {half})",
                    bags(weighted_mil, b, how),
                    scores,
                )
                for b in (0.9, 0.9999)
                for how in ("none", "sum_to_c")
            ),
            *(case(f"topk_mil(k={k})", bags(topk, k), scores) for k in (1, 2, 3)),
            case("rtfm(k=2, margin=3, alpha=0.5)", bags(rtfm, 2, 3, 0.5), scores),
            case("rtfm(k=1)", bags(rtfm, 1, 100, 1e-4), scores),
        ],
        "boxes": [
            *(
                case(
                    f"smooth_l1(delta={d}, form='{form}')",
                    on_cells(lambda p, t, d=d, form=form: smooth_l1(p, t, d, form)),
                    PREDICTED,
                )
                for d in (0.3, 1.0, 2.0)
                for form in ("repaired", "huber", "literal")
            ),
            case("giou", on_cells(giou), PREDICTED),
            case("diou", on_cells(diou), PREDICTED),
            case("ciou", on_cells(ciou), PREDICTED, gradient=False),
            *(
                case(
                    f"balanced_l1(alpha={a}, gamma={g}, beta={b})",
                    on_cells(lambda p, t, a=a, g=g, b=b: balanced_l1(p, t, a, g, b)),
                    PREDICTED,
                )
                for a, g, b in ((0.5, 1.5, 1.0), (1.0, 2.0, 2.25))
            ),
        ],
        "cells": [
            *(
                case(f"varifocal(alpha={a}, gamma={g})", varifocal(a, g), CELLS)
                for a, g in ((0.75, 2.0), (0.5, 0.5))
            ),
            *(case(f"quality_focal(beta={b})", quality_focal(b), CELLS) for b in (0, 1, 2)),
            *(
                case(
                    f"f1_composite(f1_scope='{scope}', combine='{how}', ratio={r}, k_max={most})",
                    lambda z, s=scope, h=how, r=r, m=most: composite(z, s, h, r, m),
                    CELLS,
                )
                for scope in ("separate", "joint")
                for how in ("geometric", "sum")
                for r, most in ((1, 99), (3, 99), (1, 2))
            ),
            case(
                "f1_composite(alpha=0.6, gamma=0.5)",
                lambda z: composite(z, "separate", "geometric", 3, 99, alpha=0.6, gamma=0.5),
                CELLS,
            ),
        ],
        "background": case(
            "f1_composite",
            lambda z: composite(z, "separate", "geometric", 3, 99, [0] * len(CELLS)),
            CELLS,
        ),
        "classes": [
            case("soft_f1", soft_f1, CELLS),
            case("tversky", lambda z: tversky(z, 0.3, 0.7), CELLS),
            case("tversky(alpha=0.5, beta=0.5)", lambda z: tversky(z, 0.5, 0.5), CELLS),
            case("tversky(gamma=1.25)", lambda z: tversky(z, 0.3, 0.7, 1.25), CELLS),
        ],
        "contrast": [
            *(
                case(
                    f"feature_similarity(exclude_diagonal={e}, pair_balance={b})",
                    lambda h, e=e, b=b: similarity(h, e, b),
                    FEATURES,
                )
                for e in (False, True)
                for b in (False, True)
            ),
            case("supcon", lambda h: supcon(h, tau), FEATURES),
            case("balanced_contrastive", lambda h: balanced_contrastive(h, tau), FEATURES),
        ],
    }
    path = Path(__file__).with_name("losses_bags_boxes.json")
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
