"""Training of a small module on stored features, every class as often as any other."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pybench.samplers.class_balanced import ClassBalanced
from pybench.types import Labels, SampleContext

BATCH = 64


def train_balanced(
    module: nn.Module, inputs: Tensor, labels: Labels, *, epochs: int, lr: float, seed: int
) -> None:
    """Minimise the cross entropy of the module's logits with Adam; the rate falls as a cosine.

    Args:
        module: gives logits (B, C).
        inputs: (N, ...) what the module takes.
        labels: (N,) classes.
        epochs: epochs of N draws each.
        lr: rate at the first step.
        seed: of the draws.
    """
    sampler, context = ClassBalanced(), SampleContext(labels=labels)
    truth = torch.from_numpy(context.labels)
    steps = epochs * math.ceil(len(labels) / BATCH)
    optimiser = torch.optim.Adam(module.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(epochs):
        drawn = torch.from_numpy(sampler.plan(context, seed, epoch).indices)
        for begin in range(0, len(drawn), BATCH):
            rows = drawn[begin : begin + BATCH]
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(cross_entropy(module(inputs[rows]), truth[rows]))
            optimiser.step()
            schedule.step()
