"""A small painter: a textured road plane and filled polygons, for a whole clip at once.

Pixels are only ever made by additions, products, quotients and table look-ups, which are exact in
IEEE arithmetic, so that a frame does not depend on the processor it was painted on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAR = 0.3
"""Nothing nearer to the camera than this is painted, m."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Lens:
    """A pinhole camera over time: T positions (x, height, z) and T bases (right, up, forward)."""

    height: int
    width: int
    focal: float
    position: Array
    basis: Array

    @classmethod
    def looking(cls, height: int, width: int, focal: float, position: Array, angles: Array) -> Lens:
        """The camera at `position` (T, 3) with `angles` (T, 3): roll, pitch, yaw."""
        (sr, sp, sy), (cr, cp, cy) = np.sin(angles).T, np.cos(angles).T
        zero = np.zeros_like(sr)
        right = np.stack([cy, zero, -sy], axis=-1)
        up = np.stack([-sy * sp, cp, -cy * sp], axis=-1)
        forward = np.stack([sy * cp, sp, cy * cp], axis=-1)
        tilt, level = sr[:, None], cr[:, None]
        basis = np.stack([level * right + tilt * up, level * up - tilt * right, forward], axis=1)
        return cls(height, width, focal, position, basis)

    def see(self, points: Array) -> Array:
        """World points (T, ..., 3) in camera axes: right, up, depth."""
        shape = (len(points), *(1,) * (points.ndim - 2), 3)
        away = points - self.position.reshape(shape)
        axes = [(away * self.basis[:, k].reshape(shape)) for k in range(3)]
        return np.stack([a[..., 0] + a[..., 1] + a[..., 2] for a in axes], axis=-1)


@dataclass(frozen=True)
class Polygons:
    """P convex polygons of five edges on the picture plane, in pixels; NaN edges are absent."""

    frame: NDArray[np.int64]
    order: Array
    """Painted in this order within a frame."""
    edges: Array
    """(P, 5, 4): x, y of both ends."""
    colour: NDArray[np.uint32]


def pack(rgb: Array) -> NDArray[np.uint32]:
    """Colours (..., 3) in 0..255 as one number per pixel, red lowest."""
    c = np.clip(rgb, 0, 255).astype(np.uint32)
    eight, sixteen = np.uint32(8), np.uint32(16)
    packed: NDArray[np.uint32] = c[..., 0] | (c[..., 1] << eight) | (c[..., 2] << sixteen)
    return packed


def project(
    lens: Lens, frame: NDArray[np.int64], order: Array, quads: Array, rgb: Array
) -> Polygons:
    """Quads (P, 4, 3) in camera axes, cut at the near plane, as polygons on the picture."""
    depth = quads[..., 2]
    seen = (depth > NEAR).any(axis=1)
    frame, order, quads, rgb, depth = frame[seen], order[seen], quads[seen], rgb[seen], depth[seen]
    a, b = quads, np.roll(quads, -1, axis=1)
    in_a, in_b = depth > NEAR, np.roll(depth, -1, axis=1) > NEAR
    span = b[..., 2] - a[..., 2]
    cut = np.where(in_a == in_b, 0.0, (NEAR - a[..., 2]) / np.where(span == 0, 1.0, span))
    cross = a + (b - a) * cut[..., None]
    start = np.where(in_a[..., None], a, cross)
    stop = np.where(in_b[..., None], b, cross)
    rows = np.arange(len(quads))
    leaves, enters = in_a & ~in_b, ~in_a & in_b
    whole = ~leaves.any(axis=1)
    lid_a = cross[rows, leaves.argmax(axis=1)]
    lid_b = cross[rows, enters.argmax(axis=1)]
    start = np.concatenate([start, lid_a[:, None]], axis=1)
    stop = np.concatenate([stop, lid_b[:, None]], axis=1)
    z_start, z_stop = np.maximum(start[..., 2], NEAR), np.maximum(stop[..., 2], NEAR)
    edges = np.stack(
        [
            lens.width / 2 + lens.focal * start[..., 0] / z_start,
            lens.height / 2 - lens.focal * start[..., 1] / z_start,
            lens.width / 2 + lens.focal * stop[..., 0] / z_stop,
            lens.height / 2 - lens.focal * stop[..., 1] / z_stop,
        ],
        axis=-1,
    )
    edges[:, :4][~in_a & ~in_b] = np.nan
    edges[whole, 4] = np.nan
    return Polygons(frame, order, edges, pack(rgb))


def on_picture(frame: NDArray[np.int64], order: Array, quads: Array, rgb: Array) -> Polygons:
    """Quads (P, 4, 2) already in pixels."""
    edges = np.full((len(quads), 5, 4), np.nan)
    edges[:, :4, :2], edges[:, :4, 2:] = quads, np.roll(quads, -1, axis=1)
    return Polygons(frame, order, edges, pack(rgb))


def fill(canvas: NDArray[np.uint32], groups: list[Polygons]) -> None:
    """Paint the polygons of all frames over the canvas (T, H, W), back to front."""
    _, height, width = canvas.shape
    frame = np.concatenate([g.frame for g in groups])
    order = np.lexsort((np.concatenate([g.order for g in groups]), frame))
    frame = frame[order]
    edges = np.concatenate([g.edges for g in groups])[order].astype(np.float32)
    colour = np.concatenate([g.colour for g in groups])[order]

    tops = np.fmin(edges[..., 1], edges[..., 3])
    bottoms = np.fmax(edges[..., 1], edges[..., 3])
    first = np.ceil(np.fmin.reduce(tops, axis=1) - 0.5).clip(0, height).astype(np.int32)
    last = np.ceil(np.fmax.reduce(bottoms, axis=1) - 0.5).clip(0, height).astype(np.int32)
    count = np.maximum(last - first, 0)
    who = np.repeat(np.arange(len(frame), dtype=np.int32), count)
    row = np.arange(len(who), dtype=np.int32) + np.repeat(first - (np.cumsum(count) - count), count)
    y = row.astype(np.float32) + np.float32(0.5)

    left = np.full(len(who), np.inf, np.float32)
    right = np.full(len(who), -np.inf, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (edges[..., 2] - edges[..., 0]) / (edges[..., 3] - edges[..., 1])
    for e in range(5):
        ax, ay = edges[who, e, 0], edges[who, e, 1]
        crosses = (y >= tops[who, e]) & (y < bottoms[who, e])
        with np.errstate(invalid="ignore"):
            x = ax + (y - ay) * slope[who, e]
        left = np.where(crosses & (x < left), x, left)
        right = np.where(crosses & (x > right), x, right)
    x0 = np.ceil(left - np.float32(0.5)).clip(0, width).astype(np.int32)
    x1 = np.ceil(right - np.float32(0.5)).clip(0, width).astype(np.int32)
    length = x1 - x0
    keep = length > 0
    who, row, x0, length = who[keep], row[keep], x0[keep], length[keep]
    start = (frame[who].astype(np.int32) * height + row) * width + x0
    skip = np.cumsum(length, dtype=np.int32) - length
    where = np.repeat(start - skip, length) + np.arange(int(length.sum()), dtype=np.int32)
    # The last of repeated places wins, so the order of the polygons is the order of painting.
    canvas.reshape(-1)[where] = np.repeat(colour[who], length)


@dataclass(frozen=True)
class Ground:
    """The road's texture: levels[i] for distances beyond reach[i], and the sky above."""

    levels: NDArray[np.uint32]
    """(L, ALONG, ACROSS)"""
    reach: tuple[float, ...]
    """L - 1 distances, m."""
    sky: NDArray[np.uint32]
    """(64,) from the horizon upwards."""
    curvature: float

    ACROSS = 512
    ALONG = 256
    PER_M_ACROSS = 10.0
    PER_M_ALONG = 5.0

    def paint(self, canvas: NDArray[np.uint32], lens: Lens) -> None:
        """Fill every frame with ground and sky by inverse perspective."""
        table = np.concatenate([self.levels.reshape(-1), self.sky])
        sky_at = np.int32(self.levels.size)
        a = ((np.arange(lens.width) + 0.5 - lens.width / 2) / lens.focal).astype(np.float32)
        b = (-(np.arange(lens.height) + 0.5 - lens.height / 2) / lens.focal).astype(np.float32)
        size = np.int32(self.ACROSS * self.ALONG)
        for t in range(len(canvas)):
            (r, u, f), (x, h, z) = lens.basis[t].astype(np.float32), lens.position[t]
            ray_x, ray_y, ray_z = ((f[k] + b * u[k])[:, None] + (a * r[k])[None] for k in range(3))
            down = -ray_y
            below = down > 0.004
            scale = np.float32(h) / np.where(below, down, np.float32(1))
            gx = ray_x * scale + np.float32(x)
            gz = ray_z * scale + np.float32(z)
            gx -= np.float32(0.5 * self.curvature) * gz * gz
            column = (gx * np.float32(self.PER_M_ACROSS)).astype(np.int32)
            column = np.clip(column + self.ACROSS // 2, 0, self.ACROSS - 1)
            line = (gz * np.float32(self.PER_M_ALONG)).astype(np.int32) & (self.ALONG - 1)
            index = line * np.int32(self.ACROSS) + column
            for reach in self.reach:
                index += (scale > np.float32(reach)) * size
            up = np.minimum((ray_y * np.float32(96)).astype(np.int32), 63)
            np.copyto(index, sky_at + np.maximum(up, 0), where=~below)
            canvas[t] = table[index]
