"""Write losses_margins.json: the formulas of the re-weighting and margin losses, to 200 digits.

Complements such as 1 - p are sums of the other probabilities, so no digits are lost in them. What
a loss holds constant for its gradient is evaluated at the unmoved logits. Run
``python tests/golden/make_losses_margins.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mpmath as mp
from make_losses import COUNTS, ROWS, balanced, ce, effective, gradient, power, sigmoid, softmax

mp.mp.dps = 200
FEATURES = [
    [1.0, -0.5],
    [0.0, 0.0],
    [3.0, 0.25],
    [-2.0, 1.0],
    [0.5, 0.5],
    [8.0, 0.0],
    [1000.0, -1000.0],
    [-0.125, 4.0],
]
N = [mp.mpf(n) for n in COUNTS]


def binary(z, y, positive, negative, gamma=0.0):
    """One-vs-rest with weights of the two sides, per class."""
    total = mp.mpf(0)
    for j, v in enumerate(z):
        p, rest = sigmoid([v, -v])
        if j == y:
            total += positive[j] * power(rest, gamma) * -mp.log(p)
        else:
            total += negative[j] * power(p, gamma) * -mp.log(rest)
    return total


def focal_sigmoid(z, y, gamma, alpha):
    a = mp.mpf(alpha)
    sides = (mp.mpf(1), mp.mpf(1)) if alpha < 0 else (a, 1 - a)
    return binary(z, y, [sides[0]] * 3, [sides[1]] * 3, gamma)


def adjusted(z, y, tau):
    return ce([v + mp.mpf(tau) * mp.log(n / sum(N)) for v, n in zip(z, N, strict=True)], y)


def vector_scaling(z, y, gamma, tau):
    scaled = [v * power(n / max(N), gamma) for v, n in zip(z, N, strict=True)]
    return adjusted(scaled, y, tau)


def ldam(z, y, max_margin, scale):
    margins = [1 / mp.root(n, 4) for n in N]
    margin = mp.mpf(max_margin) * margins[y] / max(margins)
    return ce([mp.mpf(scale) * (v - margin * (j == y)) for j, v in enumerate(z)], y)


def equalization(z, y, lam, threshold):
    rare = [n < mp.mpf(threshold) * sum(N) / len(N) for n in N]
    return binary(z, y, [mp.mpf(1)] * 3, [1 - mp.mpf(lam) * r for r in rare])


def seesaw(z, y, here, p, q):
    prob = softmax(here)
    factors = [
        min(mp.mpf(1), power(N[j] / N[y], p)) * max(mp.mpf(1), power(prob[j] / prob[y], q))
        for j in range(len(z))
    ]
    total = mp.fsum(f * mp.exp(v) for f, v in zip(factors, z, strict=True))
    return -mp.log(mp.exp(z[y]) / total)


def influence_balanced(z, y, here, features, alpha):
    prob = softmax(here)
    distance = 2 * mp.fsum(p for j, p in enumerate(prob) if j != y)
    influence = distance * mp.fsum(abs(mp.mpf(h)) for h in features)
    weight = 1 / N[y] / mp.fsum(1 / n for n in N) * len(N)
    return mp.mpf(alpha) * weight * ce(z, y) / (influence + mp.mpf(1e-3))


def poly1(z, y, epsilon):
    wrong = mp.fsum(p for j, p in enumerate(softmax(z)) if j != y)
    return ce(z, y) + mp.mpf(epsilon) * wrong


def label_aware_smoothing(z, y, head, tail, shape):
    x = (N[y] - min(N)) / (max(N) - min(N))
    share = {
        "concave": mp.sin(mp.pi * x / 2),
        "linear": x,
        "convex": 1 + mp.sin(3 * mp.pi / 2 + mp.pi * x / 2),
    }[shape]
    e = mp.mpf(tail) + (mp.mpf(head) - mp.mpf(tail)) * share
    return mp.fsum(
        -(1 - e if j == y else e / (len(z) - 1)) * mp.log(p) for j, p in enumerate(softmax(z))
    )


def specs() -> dict[str, Callable]:
    """Each takes the logits, the label, the unmoved logits and the features of a sample."""
    ones, found = [mp.mpf(1)] * 3, {}
    found["bce_ovr"] = lambda z, y, *_: binary(z, y, balanced(), ones)
    found["balanced_softmax"] = lambda z, y, *_: adjusted(z, y, 1)
    found["drw(loss=poly1, at=0, beta=0.99)"] = lambda z, y, *_: (
        effective(0.99)[y] * poly1(z, y, 1.0)
    )
    for gamma in (0.0, 0.3, 1.0, 5.0):
        for alpha in (0.25, 0.3, -1.0):
            found[f"focal_sigmoid(gamma={gamma:g}, alpha={alpha:g})"] = (
                lambda z, y, *_, g=gamma, a=alpha: focal_sigmoid(z, y, g, a)
            )
        found[f"cdt(gamma={gamma:g})"] = lambda z, y, *_, g=gamma: vector_scaling(z, y, g, 0.0)
        found[f"vector_scaling(gamma={gamma:g}, tau=1.25)"] = lambda z, y, *_, g=gamma: (
            vector_scaling(z, y, g, 1.25)
        )
    for tau in (0.5, 1.0, 2.0):
        found[f"logit_adjustment(tau={tau:g})"] = lambda z, y, *_, t=tau: adjusted(z, y, t)
    for margin, scale in ((0.5, 30.0), (0.3, 4.0)):
        found[f"ldam(max_margin={margin:g}, scale={scale:g})"] = (
            lambda z, y, *_, m=margin, s=scale: ldam(z, y, m, s)
        )
    for scale in (30.0, 4.0):
        found[f"gcl(noise=0, scale={scale:g})"] = lambda z, y, *_, s=scale: ldam(z, y, 0.0, s)
    for lam, threshold in ((1.0, 1.0), (0.3, 0.5)):
        found[f"equalization(lam={lam:g}, threshold={threshold:g})"] = (
            lambda z, y, *_, a=lam, t=threshold: equalization(z, y, a, t)
        )
    for p, q in ((0.8, 2.0), (0.0, 0.5), (1.5, 0.0), (5.0, 5.0)):
        found[f"seesaw(p={p:g}, q={q:g})"] = lambda z, y, here, _, p=p, q=q: seesaw(
            z, y, here, p, q
        )
    found["influence_balanced(at=0)"] = lambda z, y, here, h: influence_balanced(
        z, y, here, h, 1000.0
    )
    for epsilon in (2.0, -0.5):
        found[f"poly1(epsilon={epsilon:g})"] = lambda z, y, *_, e=epsilon: poly1(z, y, e)
    for shape in ("concave", "linear", "convex"):
        found[f'label_aware_smoothing(shape="{shape}")'] = lambda z, y, *_, s=shape: (
            label_aware_smoothing(z, y, 0.4, 0.1, s)
        )
    return found


def classes() -> list[dict]:
    cases = []
    for spec, f in specs().items():
        values, grads = [], []
        for (row, y), h in zip(ROWS, FEATURES, strict=True):
            z = [mp.mpf(v) for v in row]
            values.append(float(f(z, y, z, h)))
            grads.append(
                [float(g) for g in gradient(lambda x, f=f, y=y, z=z, h=h: f(x, y, z, h), z)]
            )
        cases.append({"spec": spec, "terms": values, "gradients": grads})
    return cases


def equalization_v2(gamma, mu, alpha, calls=3) -> dict:
    """Terms of the same batch, given again and again, while the sums of gradients grow."""
    positive, negative = [mp.mpf(0)] * 3, [mp.mpf(0)] * 3
    terms = []
    for _ in range(calls):
        spared = [
            1 / (1 + mp.exp(-mp.mpf(gamma) * (a / b - mp.mpf(mu)))) if b else mp.mpf(1)
            for a, b in zip(positive, negative, strict=True)
        ]
        raised = [1 + mp.mpf(alpha) * (1 - r) for r in spared]
        terms.append([float(binary([mp.mpf(v) for v in z], y, raised, spared)) for z, y in ROWS])
        for z, y in ROWS:
            for j, v in enumerate(z):
                if j == y:
                    positive[j] += raised[j] * sigmoid([-mp.mpf(v)])[0]
                else:
                    negative[j] += spared[j] * sigmoid([mp.mpf(v)])[0]
    spec = f"equalization_v2(gamma={gamma:g}, mu={mu:g}, alpha={alpha:g})"
    return {
        "spec": spec,
        "calls": terms,
        "positive": [float(v) for v in positive],
        "negative": [float(v) for v in negative],
    }


def mean_false_error(squared) -> dict:
    labels = [y for _, y in ROWS]

    def value(flat):
        total = mp.mpf(0)
        for c in set(labels):
            errors = []
            for i, y in enumerate(labels):
                if y == c:
                    p = softmax(flat[3 * i : 3 * i + 3])
                    errors.append(mp.fsum((q - (j == y)) ** 2 for j, q in enumerate(p)) / 2)
            mean = mp.fsum(errors) / len(errors)
            total += mean**2 if squared else mean
        return total

    flat = [mp.mpf(v) for row, _ in ROWS for v in row]
    grads = [float(g) for g in gradient(value, flat)]
    return {
        "spec": f"mean_false_error(squared={squared})",
        "terms": float(value(flat)),
        "gradients": [grads[i : i + 3] for i in range(0, len(grads), 3)],
    }


def main() -> None:
    golden = {
        "counts": COUNTS,
        "logits": [row for row, _ in ROWS],
        "labels": [y for _, y in ROWS],
        "features": FEATURES,
        "classes": [*classes(), mean_false_error(False), mean_false_error(True)],
        "equalization_v2": [equalization_v2(12.0, 0.8, 4.0), equalization_v2(1.0, 0.5, 2.0)],
    }
    path = Path(__file__).with_name("losses_margins.json")
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
