"""Copy-paste of objects between detection images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pybench import core
from pybench.checks import require
from pybench.transforms._pictures import On, chosen
from pybench.types import Batch, BoxTarget, Donors, Inputs


@dataclass(frozen=True)
class CopyPaste:
    """Fill images up with objects of other training images, where they overlap little.

    Fields:
        max_objects: objects that an image is filled up to, >= 1.
        iou_threshold: every overlap of a pasted object with another is below it, in [0, 1].
        max_cover: largest share of an object that pastes may cover, in [0, 1].
        max_tries: donors that are tried for one image, >= 1.
        placement: ``"donor"`` pastes at the object's own place, ``"pack"`` there or at a free one.
        match_background: whether a paste is shifted by the difference of the two backgrounds, so
            that no seam tells it.
        on: which images are changed: ``"copies"``, the extra ones a sampler drew, or ``"all"``.

    Inputs: images (B, H, W) or (B, H, W, C), uint8 or float32, whose cells are a grid of squares
        over the image, row by row.
    Returns: the same shape; a pasted object belongs to the cell of its centre, and is not pasted
        where that cell has an object already.
    Raises: ValueError for a field out of range or cells that are no such grid.
    Source: Anonymous draft: Use of a composite loss function for the detection of overlapping
        objects in low-resolution thermal images, algorithm 1.
    Deviations: every overlap must be small, where the draft asks for one that is; tries are
        bounded, covered objects are guarded, and images without objects are filled too. The donors
        are the batch and as many training images with objects.

    Example:
        >>> images = torch.zeros(2, 4, 8, dtype=torch.uint8)
        >>> images[1, 1:3, 5:7] = 9  # an object in the second of two cells, none in the first image
        >>> boxes = torch.tensor([[[0.0] * 4] * 2, [[0.0] * 4, [5.0, 1.0, 7.0, 3.0]]])
        >>> batch = Batch(images, BoxTarget(torch.tensor([[0, 0], [0, 1]]), boxes))
        >>> donors = Donors(lambda indices: batch, np.array([[0, 0], [0, 1]]), np.array([3, 1]))
        >>> made = CopyPaste(max_objects=1)(batch, np.ones(2), donors, np.random.default_rng(0))
        >>> made.target.labels.tolist(), int(made.inputs[0].sum())
        ([[0, 1], [0, 1]], 36)
    """

    max_objects: int = 4
    iou_threshold: float = 0.1
    max_cover: float = 0.3
    max_tries: int = 10
    placement: Literal["donor", "pack"] = "donor"
    match_background: bool = False
    on: On = "all"

    takes: ClassVar[frozenset[Inputs]] = frozenset({"cells"})
    source: ClassVar[str] = (
        "Anonymous draft: Use of a composite loss function for the detection of overlapping "
        "objects in low-resolution thermal images, algorithm 1"
    )

    def __post_init__(self) -> None:
        for name in ("max_objects", "max_tries"):
            require(getattr(self, name) >= 1, name, ">= 1", getattr(self, name))
        for name in ("iou_threshold", "max_cover"):
            require(0 <= getattr(self, name) <= 1, name, "in [0, 1]", getattr(self, name))

    def __call__(
        self, batch: Batch, copy: NDArray[np.uint8], donors: Donors, rng: np.random.Generator
    ) -> Batch:
        """Return the batch with its chosen images filled up."""
        truth, side = _objects(batch), _cell_side(batch)
        sources = np.flatnonzero((donors.labels > 0).any(1))
        if not len(sources):
            return batch
        others = donors(rng.choice(sources, len(batch.inputs)))
        theirs = _objects(others)
        labels = torch.cat([truth.labels, theirs.labels]).numpy()
        boxes = torch.cat([truth.boxes, theirs.boxes]).numpy()
        height, width = batch.inputs.shape[1:3]
        plan = core.plan_cutmix(
            [b[k > 0] for b, k in zip(boxes, labels, strict=True)],
            (height, width),
            [k[k > 0] for k in labels],
            max_objects=self.max_objects,
            iou_threshold=self.iou_threshold,
            max_cover=self.max_cover,
            max_tries=self.max_tries,
            placement=self.placement,
            seed=int(rng.integers(2**63)),
        )
        which = np.append(chosen(self.on, copy), np.zeros(len(batch.inputs), dtype=bool))
        kept = np.zeros(len(plan["image"]), dtype=bool)
        for paste in np.flatnonzero(which[plan["image"]]).tolist():
            image, new = plan["image"][paste], plan["paste"] == paste
            x, y = ((plan["boxes"][new, :2] + plan["boxes"][new, 2:]) / 2 // side).astype(int).T
            cells = y * (width // side) + x
            # An object without a cell of its own would be seen and called background.
            if not labels[image, cells].any() and len(set(cells.tolist())) == len(cells):
                labels[image, cells], boxes[image, cells] = plan["labels"][new], plan["boxes"][new]
                kept[paste] = True
        done = {name: plan[name][kept] for name in ("image", "donor", "source", "target")}
        images = torch.cat([batch.inputs, others.inputs])
        core.apply_cutmix(images.numpy(), {**plan, **done}, match_background=self.match_background)
        size = len(batch.inputs)
        target = BoxTarget(torch.from_numpy(labels[:size]), torch.from_numpy(boxes[:size]))
        return Batch(images[:size], target)


def _objects(batch: Batch) -> BoxTarget:
    if not isinstance(batch.target, BoxTarget):
        msg = f"target must have boxes, got {type(batch.target).__name__}"
        raise TypeError(msg)
    return batch.target


def _cell_side(batch: Batch) -> int:
    """Side of a cell in pixels, of A square cells that tile images (B, H, W, ...) row by row."""
    shape, cells = batch.inputs.shape, _objects(batch).labels.shape[1]
    pictures = len(shape) in (3, 4)
    side = max(1, round((shape[1] * shape[2] / cells) ** 0.5)) if pictures else 1
    tiles = pictures and not (shape[1] % side or shape[2] % side)
    require(
        tiles and cells * side**2 == shape[1] * shape[2],
        "cells of images",
        "squares that tile them",
        f"{cells} cells on {tuple(shape[1:])}",
    )
    return side
