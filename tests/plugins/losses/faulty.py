"""Cross entropy that goes wrong in the way asked for."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pybench.types import ClassOutput, ClassTarget, Kind, LossContext, LossFn, Need


@dataclass(frozen=True)
class Faulty:
    """Cross entropy, and a fault when it is prepared.

    Fields:
        how: the fault.
        unless: path of a file; while it exists there is no fault, and the fault makes it.

    Example:
        >>> Faulty()
        Faulty(how='none', unless='')
    """

    how: Literal["none", "raise", "memory", "kill", "exit", "hang", "grow"] = "none"
    unless: str = ""

    reads: ClassVar[Kind] = "classes"
    needs: ClassVar[frozenset[Need]] = frozenset()
    source: ClassVar[str] = "made for the tests"

    def prepare(self, context: LossContext) -> LossFn:
        if not self.unless:
            self._fault()
        elif not Path(self.unless).exists():
            Path(self.unless).touch()
            self._fault()
        return terms

    def _fault(self) -> None:
        if self.how == "raise":
            msg = "the loss is faulty, as asked"
            raise ValueError(msg)
        if self.how == "memory":
            torch.empty(2**60)
        if self.how == "kill":
            sys.stdout.write("last words\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "exit":
            os._exit(3)
        if self.how == "hang":
            time.sleep(600)
        if self.how == "grow":
            held = []
            while True:
                held.append(torch.ones(2**20))


def terms(output: ClassOutput, target: ClassTarget, *, progress: float = 0.0) -> Tensor:
    return cross_entropy(output.logits, target.labels, reduction="none")
