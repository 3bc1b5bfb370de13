"""Write losses.json: the textbook formulas, evaluated to thousands of digits.

At that precision no formula needs care: exp(-1000) is not lost in 1 - exp(-1000). Gradients are
central differences with a step of 1e-60. Run ``python tests/golden/make_losses.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mpmath as mp

mp.mp.dps = 3500
STEP = mp.mpf(10) ** -60
COUNTS = [30, 9, 1]
ROWS = [
    ([0.5, -1.25, 2.0], 0),
    ([0.0, 0.0, 0.0], 1),
    ([3.0, 2.5, -0.5], 2),
    ([30.0, 0.0, -1.0], 0),
    ([0.0, -40.0, 1.0], 1),
    ([1000.0, -1000.0, 0.0], 0),
    ([1000.0, -1000.0, 0.0], 1),
    ([-1000.0, 999.0, 1000.0], 2),
]
GAMMAS = [0.0, 0.3, 0.5, 1.0, 2.0, 3.7, 5.0]


def softmax(z):
    total = mp.fsum(mp.exp(v) for v in z)
    return [mp.exp(v) / total for v in z]


def sigmoid(z):
    return [1 / (1 + mp.exp(-v)) for v in z]


def power(base, exponent):
    return mp.mpf(1) if exponent == 0 else mp.power(base, exponent)


def balanced():
    return [mp.mpf(sum(COUNTS)) / (len(COUNTS) * n) for n in COUNTS]


def effective(beta, normalise="sum_to_c"):
    beta = mp.mpf(beta)
    w = [1 / mp.mpf(n) if beta == 1 else (1 - beta) / (1 - beta**n) for n in COUNTS]
    if normalise == "sum_to_c":
        return [v * len(w) / mp.fsum(w) for v in w]
    if normalise == "mean_one":
        mean = mp.fsum(n * v for n, v in zip(COUNTS, w, strict=True)) / sum(COUNTS)
        return [v / mean for v in w]
    return w


def ce(z, y, smoothing=0.0):
    p, c = softmax(z), len(z)
    return -mp.fsum(
        ((1 - mp.mpf(smoothing)) * (j == y) + mp.mpf(smoothing) / c) * mp.log(p[j])
        for j in range(c)
    )


def focal(z, y, gamma):
    p = softmax(z)[y]
    return power(1 - p, gamma) * -mp.log(p)


def asl_softmax(z, y, pos, neg):
    p = softmax(z)
    others = (power(q, neg) * -mp.log(1 - q) for j, q in enumerate(p) if j != y)
    return power(1 - p[y], pos) * -mp.log(p[y]) + mp.fsum(others)


def asl_single(z, y, pos, neg, smoothing):
    p, c, e = softmax(z), len(z), mp.mpf(smoothing)
    total = -((1 - e) + e / c) * power(1 - p[y], pos) * mp.log(p[y])
    return total - mp.fsum(e / c * power(p[j], neg) * mp.log(p[j]) for j in range(c) if j != y)


def asl_sigmoid(z, y, pos, neg, clip):
    p = sigmoid(z)
    total = power(1 - p[y], pos) * -mp.log(p[y])
    for j, q in enumerate(p):
        shifted = max(q - mp.mpf(clip), mp.mpf(0))
        if j != y and shifted > 0:
            total += power(shifted, neg) * -mp.log(1 - shifted)
    return total


def binary(z, y, gamma=0.0):
    p = sigmoid(z)
    sides = [q if j == y else 1 - q for j, q in enumerate(p)]
    return mp.fsum(power(1 - s, gamma) * -mp.log(s) for s in sides)


def class_specs() -> dict[str, Callable]:
    specs: dict[str, Callable] = {
        "ce": ce,
        "ce(smoothing=0.1)": lambda z, y: ce(z, y, 0.1),
        "weighted_ce": lambda z, y: balanced()[y] * ce(z, y),
        'weighted_ce(weights="effective:0.99")': lambda z, y: effective(0.99)[y] * ce(z, y),
        'weighted_ce(weights="inverse")': lambda z, y: effective(1)[y] * ce(z, y),
        "focal(gamma=2, alpha=[0.25, 1, 3])": lambda z, y: [0.25, 1, 3][y] * focal(z, y, 2.0),
        "focal(gamma=2, alpha=0.25)": lambda z, y: focal(z, y, 2.0) / 4,
        "weighted_ce(weights=[0.5, 2, 8])": lambda z, y: [0.5, 2, 8][y] * ce(z, y),
        'focal(gamma=2, alpha="balanced")': lambda z, y: balanced()[y] * focal(z, y, 2.0),
        "asl_softmax_ovr": lambda z, y: asl_softmax(z, y, 0.0, 4.0),
        "asl_single_label": lambda z, y: asl_single(z, y, 0.0, 4.0, 0.1),
        "asl_single_label(gamma_pos=0.5, gamma_neg=0.5)": lambda z, y: asl_single(
            z, y, 0.5, 0.5, 0.1
        ),
    }
    for gamma in GAMMAS:
        specs[f"focal(gamma={gamma:g})"] = lambda z, y, g=gamma: focal(z, y, g)
        both = f"gamma_pos={gamma:g}, gamma_neg={gamma:g}"
        specs[f"asl_softmax_ovr({both})"] = lambda z, y, g=gamma: asl_softmax(z, y, g, g)
        for clip in (0.0, 0.05):
            specs[f"asl_sigmoid({both}, clip={clip:g})"] = lambda z, y, g=gamma, m=clip: (
                asl_sigmoid(z, y, g, g, m)
            )
        specs[f'class_balanced(base="focal", beta=0.9, gamma={gamma:g})'] = lambda z, y, g=gamma: (
            effective(0.9)[y] * binary(z, y, g)
        )
    for beta in (0.0, 0.5, 0.9999, 1.0):
        for how in ("sum_to_c", "none", "mean_one"):
            specs[f'class_balanced(beta={beta:g}, normalise="{how}")'] = (
                lambda z, y, b=beta, h=how: effective(b, h)[y] * ce(z, y)
            )
    specs['class_balanced(base="sigmoid", beta=0.9)'] = lambda z, y: (
        effective(0.9)[y] * binary(z, y)
    )
    return specs


def gradient(f: Callable, x: list) -> list:
    out = []
    for k in range(len(x)):
        up, down = list(x), list(x)
        up[k] += STEP
        down[k] -= STEP
        out.append((f(up) - f(down)) / (2 * STEP))
    return out


def classes() -> list[dict]:
    cases = []
    for spec, f in class_specs().items():
        values, grads = [], []
        for row, y in ROWS:
            z = [mp.mpf(v) for v in row]
            values.append(float(f(z, y)))
            grads.append([float(g) for g in gradient(lambda x, y=y, f=f: f(x, y), z)])
        cases.append({"spec": spec, "terms": values, "gradients": grads})
    return cases


def main() -> None:
    golden = {
        "counts": COUNTS,
        "logits": [row for row, _ in ROWS],
        "labels": [y for _, y in ROWS],
        "classes": classes(),
    }
    path = Path(__file__).with_name("losses.json")
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
