"""Rigid bodies on a plane: cars that follow their tracks until they touch, then slide and spin.

Axes: x to the right, z along the road, both in metres; yaw turns from z towards x; time in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FPS = 10
FRAMES = 50
STEPS_PER_FRAME = 5
DT = 1.0 / (FPS * STEPS_PER_FRAME)
STEPS = FRAMES * STEPS_PER_FRAME
FRICTION = 6.0
"""Deceleration of a car that slides or brakes fully, m/s2."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Body:
    """A vehicle: its box in metres and how it is painted."""

    length: float
    width: float
    height: float
    boxy: bool
    colour: tuple[int, int, int]
    brake_lights: bool


@dataclass(frozen=True)
class Contact:
    """The first touch of two bodies; `closing` is their speed towards each other, m/s."""

    time_s: float
    bodies: tuple[int, int]
    closing: float
    x: float
    z: float


@dataclass
class Track:
    """Where a body would go if nothing touched it."""

    body: Body
    x: Array
    z: Array
    yaw: float
    speed: Array
    """Along the yaw, m/s."""
    grip: float = FRICTION
    """Deceleration once it slides, m/s2."""
    mass: float = field(init=False)

    def __post_init__(self) -> None:
        self.mass = 130.0 * self.body.length * self.body.width * self.body.height


def _corners(x: float, z: float, yaw: float, body: Body) -> list[tuple[float, float]]:
    s, c = math.sin(yaw), math.cos(yaw)
    half_l, half_w = body.length / 2, body.width / 2
    return [
        (x + s * dl * half_l + c * dw * half_w, z + c * dl * half_l - s * dw * half_w)
        for dl, dw in ((1, 1), (1, -1), (-1, -1), (-1, 1))
    ]


def _overlap(
    a: tuple[float, float, float], body_a: Body, b: tuple[float, float, float], body_b: Body
) -> tuple[float, float, float, float, float] | None:
    """Separating axes of two boxes: (depth, normal x, normal z from a to b, contact x, z)."""
    corners_a, corners_b = _corners(*a, body_a), _corners(*b, body_b)
    best: tuple[float, float, float] | None = None
    for yaw in (a[2], a[2] + math.pi / 2, b[2], b[2] + math.pi / 2):
        nx, nz = math.sin(yaw), math.cos(yaw)
        if (b[0] - a[0]) * nx + (b[1] - a[1]) * nz < 0:
            nx, nz = -nx, -nz
        depth = max(x * nx + z * nz for x, z in corners_a) - min(
            x * nx + z * nz for x, z in corners_b
        )
        if depth <= 0:
            return None
        if best is None or depth < best[0]:
            best = (depth, nx, nz)
    if best is None:
        return None
    depth, nx, nz = best
    # The touching part: the corners of either box that lie deepest in the other.
    reach_a = max(x * nx + z * nz for x, z in corners_a)
    reach_b = min(x * nx + z * nz for x, z in corners_b)
    touching = [p for p in corners_a if p[0] * nx + p[1] * nz > reach_a - depth - 0.05]
    touching_b = [p for p in corners_b if p[0] * nx + p[1] * nz < reach_b + depth + 0.05]
    chosen = min((touching, touching_b), key=len)
    cx = sum(p[0] for p in chosen) / len(chosen)
    cz = sum(p[1] for p in chosen) / len(chosen)
    return depth, nx, nz, cx, cz


def follow(tracks: list[Track], restitution: float = 0.25) -> tuple[Array, list[Contact]]:
    """Follow the tracks; from its first contact on, a body slides, spins and rubs to a stop."""
    n = len(tracks)
    pose = np.empty((STEPS, n, 3))
    for i, track in enumerate(tracks):
        pose[:, i, 0], pose[:, i, 1], pose[:, i, 2] = track.x, track.z, track.yaw
    radius = np.array([math.hypot(t.body.length, t.body.width) / 2 for t in tracks])
    reach2 = (radius[:, None] + radius[None]) ** 2
    upper = np.triu(np.ones((n, n), bool), 1)
    gap = pose[:, :, None, :2] - pose[:, None, :, :2]
    near = ((gap**2).sum(-1) < reach2) & upper
    contacts: list[Contact] = []
    touched: set[tuple[int, int]] = set()
    loose: dict[int, list[float]] = {}  # body -> [vx, vz, spin]
    start = next(
        (
            step
            for step in np.flatnonzero(near.any(axis=(1, 2))).tolist()
            if any(
                _overlap(_at(pose, step, i), tracks[i].body, _at(pose, step, j), tracks[j].body)
                for i, j in np.argwhere(near[step])
            )
        ),
        None,
    )
    if start is None:
        return pose, contacts
    for step in range(start, STEPS):
        for i, (vx, vz, spin) in loose.items():
            pose[step, i] = pose[step - 1, i] + (vx * DT, vz * DT, spin * DT)
            speed = math.hypot(vx, vz)
            slow = max(0.0, 1.0 - tracks[i].grip * DT / speed) if speed > 0 else 0.0
            calm = max(0.0, 1.0 - 3.5 * DT / abs(spin)) if spin else 0.0
            loose[i] = [vx * slow, vz * slow, spin * calm]
        delta = pose[step, :, None, :2] - pose[step, None, :, :2]
        for i, j in np.argwhere(((delta**2).sum(-1) < reach2) & upper):
            i, j = int(i), int(j)
            hit = _overlap(_at(pose, step, i), tracks[i].body, _at(pose, step, j), tracks[j].body)
            if hit is None:
                continue
            for k in (i, j):
                if k not in loose:
                    v = float(tracks[k].speed[step])
                    loose[k] = [v * math.sin(tracks[k].yaw), v * math.cos(tracks[k].yaw), 0.0]
            closing = _impulse(pose[step], loose, tracks, i, j, hit, restitution)
            if (i, j) not in touched:
                touched.add((i, j))
                contacts.append(Contact(step * DT, (i, j), closing, hit[3], hit[4]))
    return pose, contacts


def _at(pose: Array, step: int, i: int) -> tuple[float, float, float]:
    x, z, yaw = pose[step, i]
    return float(x), float(z), float(yaw)


def _impulse(
    pose: Array,
    loose: dict[int, list[float]],
    tracks: list[Track],
    i: int,
    j: int,
    hit: tuple[float, float, float, float, float],
    restitution: float,
) -> float:
    """Exchange momentum at the contact, push the boxes apart; gives the closing speed."""
    depth, nx, nz, cx, cz = hit
    a, b = loose[i], loose[j]
    mass = [tracks[k].mass for k in (i, j)]
    inertia = [
        m * (tracks[k].body.length ** 2 + tracks[k].body.width ** 2) / 12
        for m, k in zip(mass, (i, j), strict=True)
    ]
    arm = [(cx - pose[k, 0], cz - pose[k, 1]) for k in (i, j)]
    share = mass[1] / (mass[0] + mass[1])
    pose[i, :2] -= (nx * depth * share, nz * depth * share)
    pose[j, :2] += (nx * depth * (1 - share), nz * depth * (1 - share))
    rel_x = a[0] + a[2] * arm[0][1] - b[0] - b[2] * arm[1][1]
    rel_z = a[1] - a[2] * arm[0][0] - b[1] + b[2] * arm[1][0]
    closing = float(rel_x * nx + rel_z * nz)
    if closing <= 0:
        return closing
    tx, tz = -nz, nx
    slip = rel_x * tx + rel_z * tz

    def stiffness(ux: float, uz: float) -> float:
        return float(
            sum(
                1 / m + (ux * r[1] - uz * r[0]) ** 2 / moment
                for m, moment, r in zip(mass, inertia, arm, strict=True)
            )
        )

    normal = (1 + restitution) * closing / stiffness(nx, nz)
    rub = min(0.4 * normal, abs(slip) / stiffness(tx, tz)) * (1 if slip > 0 else -1)
    fx, fz = normal * nx + rub * tx, normal * nz + rub * tz
    for state, sign, m, moment, r in ((a, -1, mass[0], inertia[0], arm[0]),
                                      (b, 1, mass[1], inertia[1], arm[1])):  # fmt: skip
        state[0] += sign * fx / m
        state[1] += sign * fz / m
        state[2] += sign * (fx * r[1] - fz * r[0]) / moment
    return closing
