"""Bags in pairs: what a bag loss compares is an abnormal bag with a normal one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pybench.seeds import generator
from pybench.types import Draw, SampleContext, Sampler


def paired_plan(sampler: Sampler, context: SampleContext, seed: int, epoch: int) -> Draw:
    """Let a sampler draw abnormal bags, and set a normal bag behind each.

    Normal bags come in random order, each as often as any other give or take one, so that
    every even batch holds as many normal bags as abnormal ones, whatever the sampler does.

    Args:
        sampler: draws among the abnormal bags, by their class.
        context: labels of all training bags and the normal class.
        seed: training seed.
        epoch: number of the epoch.

    Raises:
        ValueError: no normal or no abnormal bag.
    """
    labels = context.labels
    if labels is None or context.normal is None:
        msg = "context of paired bags must have labels and a normal class, got none"
        raise ValueError(msg)
    abnormal = np.flatnonzero(labels != context.normal)
    normal = np.flatnonzero(labels == context.normal)
    if not len(abnormal) or not len(normal):
        msg = (
            f"training bags must be abnormal and normal ones, got {len(abnormal)} and {len(normal)}"
        )
        raise ValueError(msg)
    alone = replace(
        context,
        labels=labels[abnormal],
        normal=None,
        batch_size=max(context.batch_size // 2, 1),
    )
    drawn = sampler.plan(alone, seed, epoch)
    rng = generator(seed, "sampler", "normal bags", epoch)
    rounds = -(-len(drawn) // len(normal))
    partners = np.concatenate([rng.permutation(normal) for _ in range(rounds)])[: len(drawn)]
    indices = np.stack([abnormal[drawn.indices], partners], axis=1).reshape(-1)
    copy = np.stack([drawn.copy, np.zeros_like(drawn.copy)], axis=1).reshape(-1)
    return Draw(indices, copy)
