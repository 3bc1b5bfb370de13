"""Sampled frames side by side in one picture, each with its index and time."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pybench.video import Frames

SHAPE = 16 / 10
"""Width by height that the sheet comes near to."""
GAP, CAPTION, TITLE = 6, 20, 28
LEAST_COLUMN = 150  # room for "frame 123456  1234.567 s"
PAPER, INK, ALARM = (24, 24, 27), (228, 228, 231), (248, 113, 113)


def write(frames: Frames, path: Path, *, title: str) -> None:
    """Draw a sheet into a file whose extension chooses the format.

    Args:
        frames: T pictures; missing and damaged ones are marked.
        path: Where to.
        title: One line above them.

    Raises:
        ValueError: The extension is not that of a format for pictures.
        OSError: The file cannot be written.
    """
    if path.suffix.lower() not in Image.registered_extensions():
        msg = f"out must end like a picture, got {path.name!r}; name it sheet.png"
        raise ValueError(msg)
    count, height, width, _ = frames.data.shape
    cell_width = max(width, LEAST_COLUMN) + GAP
    cell_height = height + CAPTION + GAP
    columns = min(count, max(1, round(math.sqrt(count * SHAPE * cell_height / cell_width))))
    rows = math.ceil(count / columns)
    sheet = Image.new("RGB", (GAP + columns * cell_width, TITLE + rows * cell_height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 6), title, INK, ImageFont.load_default(15))
    font = ImageFont.load_default(13)
    for number, (picture, index, second) in enumerate(
        zip(frames.data, frames.indices.tolist(), frames.pts_s.tolist(), strict=True)
    ):
        left = GAP + number % columns * cell_width
        top = TITLE + number // columns * cell_height
        sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (left, top))
        wrong = _what_is_wrong(frames, index)
        caption = f"{index}   {second:.3f} s   {wrong}".rstrip()
        pen.text((left, top + height + 2), caption, ALARM if wrong else INK, font)
        if wrong:
            box = (left, top, left + width - 1, top + height - 1)
            pen.rectangle(box, outline=ALARM, width=2)
    sheet.save(path)


def _what_is_wrong(frames: Frames, index: int) -> str:
    if index in frames.report.missing:
        return "missing"
    return "damaged" if index in frames.report.concealed else ""
