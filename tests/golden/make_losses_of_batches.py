"""Write losses_of_batches.json: losses that look at a whole batch, straight from their formulas.

Everything is computed with 50 digits and no care for speed or stability. Gradients are central
differences. Run ``python tests/golden/make_losses_of_batches.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

import mpmath as mp
from make_losses_bags_boxes import (
    ABNORMAL,
    FEATURE_LABELS,
    FEATURES,
    LONG,
    NORMAL,
    SHORT,
    case,
    dot,
    entropy,
    mean,
    mpf,
    norm,
    units,
)

LOGITS = [[0.5, -1.25, 2.0], [0.0625, 0.125, -0.25], [3.0, 2.5, -0.5], [1.5, 0.25, -0.75]]
LOGITS += [[-2.0, 1.0, 0.375], [0.625, 3.0, -1.0], [2.5, -0.5, 1.0], [-40.0, 30.0, 2.0]]
LABELS = [0, 1, 2, 0, 1, 0, 0, 1]
COUNTS = [30, 9, 1]
CENTRES = LOGITS[:6]
"""Logits beside the features."""
MEMORIES = [[[0.5, -0.25], [1.0, 0.75]], [[-0.5, 0.25], [0.1875, -1.0]]]


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def sides(logits):
    """Per sample and class: the probability of being right, and whether the class is the label."""
    return [
        [(sigmoid(v if j == y else -v), j == y) for j, v in enumerate(z)]
        for z, y in zip(logits, LABELS, strict=True)
    ]


def ghm(logits, bins):
    decisions = sides(logits)
    numbers = [0] * bins
    for row in decisions:
        for p, _ in row:
            numbers[int(mp.floor((1 - p) * bins))] += 1
    size = mp.mpf(sum(numbers))
    return [
        mp.fsum(-mp.log(p) * size / (bins * numbers[int(mp.floor((1 - p) * bins))]) for p, _ in row)
        for row in decisions
    ]


def ghm_calls(bins, momentum) -> dict:
    """Two batches, the second with the logits halved, and the shares of the bins after each."""
    shares, terms = None, []
    for scale in (1, mp.mpf(1) / 2):
        decisions = sides([[v * scale for v in row] for row in mpf(LOGITS)])
        found = [[int(mp.floor((1 - p) * bins)) for p, _ in row] for row in decisions]
        flat = [b for row in found for b in row]
        now = [mp.mpf(flat.count(b)) / len(flat) for b in range(bins)]
        if shares is not None:
            now = [momentum * a + (1 - momentum) * b for a, b in zip(shares, now, strict=True)]
        shares = now
        terms.append(
            [
                float(
                    mp.fsum(
                        -mp.log(p) / (bins * shares[b]) for (p, _), b in zip(row, at, strict=True)
                    )
                )
                for row, at in zip(decisions, found, strict=True)
            ]
        )
    return {"spec": f"ghm(bins={bins}, momentum={float(momentum):g})", "calls": terms}


def focal_term(x, gamma, weight):
    p = sigmoid(x)
    return -weight * mp.power(1 - p, gamma) * mp.log(p)


def equalized_focal(gamma, scale, alpha, calls=3) -> dict:
    """Terms of the same batch, given again and again, while the sums of gradients grow."""
    positive, negative = [mp.mpf(0)] * 3, [mp.mpf(0)] * 3
    terms = []
    for _ in range(calls):
        gammas = [
            gamma + mp.mpf(scale) * (1 - min(a / b, mp.mpf(1)) if b else 0)
            for a, b in zip(positive, negative, strict=True)
        ]
        rows = []
        for z, y in zip(mpf(LOGITS), LABELS, strict=True):
            total = mp.mpf(0)
            for j, v in enumerate(z):
                weight = gammas[j] / gamma
                if alpha >= 0:
                    weight *= mp.mpf(alpha) if j == y else 1 - mp.mpf(alpha)
                x = v if j == y else -v
                total += focal_term(x, gammas[j], weight)
                pull = abs(mp.diff(lambda u, g=gammas[j], w=weight: focal_term(u, g, w), x))
                (positive if j == y else negative)[j] += pull
            rows.append(float(total))
        terms.append(rows)
    return {
        "spec": f"equalized_focal(gamma={gamma:g}, scale={scale:g}, alpha={alpha:g})",
        "calls": terms,
        "positive": [float(v) for v in positive],
        "negative": [float(v) for v in negative],
    }


def auc_margin(logits, margin):
    values = []
    for c in range(3):
        scores = [mp.exp(z[c]) / mp.fsum(mp.exp(v) for v in z) for z in logits]
        own = [p for p, y in zip(scores, LABELS, strict=True) if y == c]
        rest = [p for p, y in zip(scores, LABELS, strict=True) if y != c]
        a, b = mean(own), mean(rest)
        spread = mean((p - a) ** 2 for p in own) + mean((p - b) ** 2 for p in rest)
        values.append(spread + max(mp.mpf(0), mp.mpf(margin) - a + b) ** 2)
    return mean(values)


def lade(logits, alpha, penalty):
    prior = [mp.mpf(n) / sum(COUNTS) for n in COUNTS]
    part = mp.mpf(0)
    for c in range(3):
        own = mean(z[c] for z, y in zip(logits, LABELS, strict=True) if y == c)
        ratio = mean(mp.exp(z[c]) / (3 * prior[y]) for z, y in zip(logits, LABELS, strict=True))
        part += prior[c] * (own - mp.log(ratio) - mp.mpf(penalty) * mp.log(ratio) ** 2)
    terms = []
    for z, y in zip(logits, LABELS, strict=True):
        seen = [p * mp.exp(v) for p, v in zip(prior, z, strict=True)]
        terms.append(-mp.log(seen[y] / mp.fsum(seen)) - mp.mpf(alpha) * part)
    return terms


def smooth_ap(features, tau):
    h, labels = units(features), FEATURE_LABELS
    terms = []
    for q in range(len(h)):
        others = [j for j in range(len(h)) if j != q]
        alike = [j for j in others if labels[j] == labels[q]]
        precisions = []
        for i in alike:

            def ahead(j, q=q, i=i):
                return sigmoid((dot(h[q], h[j]) - dot(h[q], h[i])) / mp.mpf(tau))

            hits = 1 + mp.fsum(ahead(j) for j in alike if j != i)
            precisions.append(hits / (1 + mp.fsum(ahead(j) for j in others if j != i)))
        terms.append(1 - mean(precisions) if alike else None)
    scale = mp.mpf(len(terms)) / sum(term is not None for term in terms)
    return [mp.mpf(0) if term is None else scale * term for term in terms]


def paco(logits, features, alpha, tau):
    h, labels = units(features), FEATURE_LABELS
    prior = [mp.mpf(n) / sum(COUNTS) for n in COUNTS]
    alpha, terms = mp.mpf(alpha), []
    for i, z in enumerate(logits):
        centres = [p * mp.exp(v) for p, v in zip(prior, z, strict=True)]
        keys = {j: mp.exp(dot(h[i], h[j]) / mp.mpf(tau)) for j in range(len(h)) if j != i}
        total = mp.fsum(centres) + mp.fsum(keys.values())
        alike = [j for j in keys if labels[j] == labels[i]]
        inside = mp.fsum(mp.log(keys[j] / total) for j in alike)
        own = mp.log(centres[labels[i]] / total)
        terms.append(-(own + alpha * inside) / (1 + alpha * len(alike)))
    return terms


# Bags: (kind, scores, features), abnormal ones first


def bags(features=None):
    """Scores and features of the three abnormal and the three normal bags."""
    long, short = (features[:3], features[3:]) if features else (mpf(LONG), mpf(SHORT))
    return [
        *((True, f, x) for f, x in zip(mpf(ABNORMAL), long, strict=True)),
        *((False, f, x) for f, x in zip(mpf(NORMAL), short, strict=True)),
    ]


def mgfn(features, k, margin, weight):
    spoken = []
    for kind, scores, snippets in bags(features):
        order = sorted(range(len(snippets)), key=lambda i: -norm(snippets[i]))[:k]
        lengths = [norm(snippets[i]) for i in order]
        spoken.append((kind, lengths, entropy(mean(scores[i] for i in order), kind)))
    terms = []
    for b, (kind, lengths, cost) in enumerate(spoken):
        near, far = [], []
        for a, (its_kind, its, _) in enumerate(spoken):
            gap = norm([x - y for x, y in zip(lengths, its, strict=True)])
            if a != b:
                if its_kind == kind:
                    near.append(gap**2)
                else:
                    far.append(max(mp.mpf(0), margin - gap) ** 2)
        terms.append(cost + mp.mpf(weight) * (mean(near) + mean(far)))
    return terms


def ur_dmu(features, k, memory, triplet, margin):
    abnormal, normal = mpf(MEMORIES)

    def known(x, units):
        return max(sigmoid(dot(x, r) / mp.sqrt(len(x))) for r in units)

    def middle(snippets, order):
        sums = [mean(snippets[i][d] for i in order) for d in range(2)]
        return [v / norm(sums) for v in sums]

    def best(snippets, units):
        return sorted(range(len(snippets)), key=lambda i: -known(snippets[i], units))[:k]

    every, terms = bags(features), []
    for (_, f, x), (_, g, y) in zip(every[:3], every[3:], strict=True):
        halves = [entropy(mean(sorted(f)[-k:]), True), entropy(mean(sorted(g)[-k:]), False)]
        found = [known(v, abnormal) for v in x]
        foreign = [1 - known(v, normal) for v in x]
        told = -mp.log(mean(sorted(found)[-k:])) - mp.log(mean(sorted(foreign)[-k:]))
        told -= mean(mp.log(known(v, normal)) for v in y)
        told -= mean(mp.log(1 - known(v, abnormal)) for v in y)
        u = middle(y, best(y, normal))
        v, w = middle(x, best(x, normal)), middle(x, best(x, abnormal))
        near = norm([a - b for a, b in zip(u, v, strict=True)])
        far = norm([a - b for a, b in zip(u, w, strict=True)])
        gap = max(mp.mpf(0), mp.mpf(margin) + near - far)
        terms.append(mean(halves) + mp.mpf(memory) * told + mp.mpf(triplet) * gap)
    return terms


def bag_case(spec, f) -> dict:
    """Terms, and their sum's gradient for the features."""
    flat = [v for bag in [*LONG, *SHORT] for v in bag]

    def of(rows):
        return f([rows[i : i + 3] for i in range(0, len(rows), 3)])

    return case(spec, of, flat)


def main() -> None:
    golden = {
        "inputs": {
            "logits": LOGITS,
            "labels": LABELS,
            "counts": COUNTS,
            "features": FEATURES,
            "feature_labels": FEATURE_LABELS,
            "scores": [*ABNORMAL, *NORMAL],
            "snippets": [*LONG, *SHORT],
            "memories": MEMORIES,
        },
        "classes": [
            *(
                case(f"ghm(bins={m}, momentum={w})", lambda z, m=m: ghm(z, m), LOGITS)
                for m, w in ((1, 0.0), (4, 0.0), (30, 0.75))
            ),
            *(
                case(f"auc_margin(margin={m})", lambda z, m=m: auc_margin(z, m), LOGITS)
                for m in (1.0, 0.25)
            ),
            *(
                case(f"lade(alpha={a}, penalty={w})", lambda z, a=a, w=w: lade(z, a, w), LOGITS)
                for a, w in ((0.0, 0.0), (0.1, 0.1), (1.0, 0.5))
            ),
        ],
        "contrast": [
            *(
                case(f"smooth_ap(temperature={t})", lambda h, t=t: smooth_ap(h, t), FEATURES)
                for t in (0.01, 0.5)
            ),
            *(
                case(
                    f"paco(alpha={a}, temperature={t})",
                    lambda h, a=a, t=t: paco(mpf(CENTRES), h, a, t),
                    FEATURES,
                )
                for a, t in ((0.05, 0.2), (1.0, 1.0), (0.0, 0.5))
            ),
        ],
        "centres": case(
            "paco(alpha=0.5, temperature=0.2)",
            lambda z: paco(z, mpf(FEATURES), 0.5, 0.2),
            CENTRES,
        ),
        "bags": [
            *(
                bag_case(
                    f"mgfn(k={k}, margin={m}, weight={w})",
                    lambda x, k=k, m=m, w=w: mgfn(x, k, m, w),
                )
                for k, m, w in ((1, 3.0, 0.5), (2, 2.0, 1.0), (3, 200.0, 0.001))
            ),
            *(
                bag_case(
                    f"ur_dmu(k={k}, size=2, memory={d}, triplet={t}, margin={m})",
                    lambda x, k=k, d=d, t=t, m=m: ur_dmu(x, k, d, t, m),
                )
                for k, d, t, m in ((1, 0.1, 0.1, 1.0), (2, 1.0, 0.5, 0.25))
            ),
        ],
        "ghm": [ghm_calls(4, mp.mpf(0)), ghm_calls(10, mp.mpf("0.75"))],
        "equalized_focal": [
            equalized_focal(2.0, 8.0, 0.25),
            equalized_focal(0.5, 1.0, -1.0),
            equalized_focal(1.0, 0.0, 0.75),
        ],
    }
    path = Path(__file__).with_name("losses_of_batches.json")
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
