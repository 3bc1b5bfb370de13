"""Two-dimensional traffic with rigid-body crashes: what happens, before anything is painted.

Every scene has the same two *slots*, whatever its class, and the class only says how they end:

- the **ego slot**: one car gets in front of the camera car. `ego` scenes end it with a contact,
  the others with a smooth stop at the same distance, a queue, a near miss or plain following;
- the **pair slot**: two cars ahead share one place. `other` scenes end it with a contact, the
  others with a close pass, a yield, or a wreck that was already there.

So every picture of an aftermath (a car filling the view, turned cars in contact, debris, a tilted
camera) occurs in every class about equally often, and only the motion tells the classes apart.

Axes: x to the right, z along the road, both in metres; yaw turns from z towards x; time in seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pybench.data.rigid_bodies import (
    DT,
    STEPS,
    STEPS_PER_FRAME,
    Array,
    Body,
    Contact,
    Track,
    follow,
)

CLASSES = ("none", "ego", "other")
WEATHER = ("normal", "snow", "rain")
"""In the order of the 13 labels."""
EGO, TARGET, FIRST, SECOND = range(4)
"""The roles of the first four bodies; the rest are bystanders."""
BUMPER = 1.85
"""From the camera to the front bumper, m."""

EgoPlan = Literal["crash", "stop", "queue", "leave", "miss", "follow"]
PairPlan = Literal["crash", "pass", "yield", "wreck", "apart"]


@dataclass(frozen=True)
class Difficulty:
    """How hard the scenes are; the default is the frozen main set.

    Fields:
        impact_s: (low, high), when contacts happen, s.
        closing: (low, high), closing speed of the camera car's contacts, m/s.
        pair_closing: (low, high), closing speed of the pair's contacts, m/s.
        pair_distance: (low, high), from the camera to the pair when it meets, m.
        pair_side: (low, high), sideways distance of the pair, m.
        near_miss: share of negatives that end in a near miss or close pass, 0..1.
        bump: chance that a scene has a bump that shakes the camera, 0..1.
        bystanders: the most cars beside the four with a role.
        mount: spread of the camera's roll, degrees; pitch and yaw follow it.
        noise: (low, high), sensor noise, grey levels.
        night: chance of night, or None for the frequencies of the real set.
        label_noise: share of labels drawn anew, 0..1.
    """

    impact_s: tuple[float, float] = (1.0, 4.0)
    closing: tuple[float, float] = (4.0, 9.0)
    pair_closing: tuple[float, float] = (12.0, 19.0)
    pair_distance: tuple[float, float] = (6.0, 9.5)
    pair_side: tuple[float, float] = (2.2, 4.6)
    near_miss: float = 0.1
    bump: float = 0.6
    bystanders: int = 3
    mount: float = 3.0
    noise: tuple[float, float] = (2.0, 8.0)
    night: float | None = None
    label_noise: float = 0.0


@dataclass(frozen=True)
class Scene:
    """One simulated clip: T frames of N bodies, body 0 is the camera car."""

    kind: str
    weather: str
    night: bool
    ego_plan: EgoPlan
    pair_plan: PairPlan
    bodies: tuple[Body, ...]
    pose: Array
    """(T, N, 3): x, z, yaw."""
    braking: NDArray[np.bool_]
    """(T, N)"""
    camera: Array
    """(T, 4): roll, pitch, yaw in radians, height in metres; yaw is relative to the car."""
    debris: Array
    """(T, D, 4): x, z, height, size; NaN before it broke off."""
    litter: Array
    """(L, 3): x, z, size."""
    curvature: float
    bumps: tuple[float, ...]
    contacts: tuple[Contact, ...]

    @property
    def label13(self) -> int:
        """The label of the Dacon table: crash x ego x weather x time of day."""
        if self.kind == "none":
            return 0
        first = 1 if self.kind == "ego" else 7
        return first + 2 * WEATHER.index(self.weather) + int(self.night)


# --- what the drivers do ----------------------------------------------------------------------

_TIME = np.arange(STEPS) * DT


def _track(
    body: Body, x: float, z: float, yaw: float, speed: Array, when: float, side: float = 0.0
) -> Track:
    """The straight track that is at (x, z) at the time `when`."""
    gone = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * DT)])
    gone -= np.interp(when, _TIME, gone)
    return Track(body, x + side + gone * math.sin(yaw), z + gone * math.cos(yaw), yaw, speed)


def _constant(speed: float) -> Array:
    return np.full(STEPS, speed)


def _stopping(speed: float, stop: float, seconds: float) -> Array:
    """Brake evenly from `speed` over `seconds`, at rest from `stop` on."""
    share: Array = np.clip((stop - _TIME) / seconds, 0.0, 1.0)
    return share * speed


def _leaving(start: float, acceleration: float) -> Array:
    after: Array = np.clip(_TIME - start, 0.0, None)
    return after * acceleration


def _half_depth(body: Body, yaw: float) -> float:
    """Half the extent along z of a body turned by yaw, m."""
    return (abs(math.cos(yaw)) * body.length + abs(math.sin(yaw)) * body.width) / 2


_PAINT = (
    (225, 225, 228), (200, 202, 205), (120, 124, 130), (60, 62, 68), (40, 42, 48), (150, 30, 32),
    (35, 60, 120), (90, 100, 70), (170, 150, 120), (230, 200, 60), (240, 240, 240), (70, 75, 85),
)  # fmt: skip


def _body(rng: np.random.Generator, *, car: bool = False) -> Body:
    boxy = bool(rng.random() < 0.15) and not car
    scale = rng.normal(0, 1, 3)
    length, width, height = (
        (6.2 + 0.7 * scale[0], 2.1 + 0.1 * scale[1], 2.6 + 0.3 * scale[2])
        if boxy
        else (4.4 + 0.25 * scale[0], 1.8 + 0.06 * scale[1], 1.5 + 0.1 * scale[2])
    )
    colour = _PAINT[rng.integers(len(_PAINT))]
    return Body(length, width, height, boxy, colour, bool(rng.random() < 0.7))


def _approach_yaw(rng: np.random.Generator) -> tuple[float, float]:
    """(yaw, speed) of the car that gets in front: leading, crossing, oncoming or standing."""
    mode = rng.random()
    if mode < 0.35:
        return math.radians(rng.normal(0, 8)), rng.uniform(0.5, 4.0)
    if mode < 0.65:
        side = 1 if rng.random() < 0.5 else -1
        return side * math.radians(90 + rng.normal(0, 20)), rng.uniform(3.0, 7.0)
    if mode < 0.8:
        return math.radians(180 + rng.normal(0, 15)), rng.uniform(1.5, 4.0)
    return rng.uniform(-math.pi, math.pi), 0.0


def _ego_slot(rng: np.random.Generator, plan: EgoPlan, knobs: Difficulty) -> tuple[Track, Track]:
    """Tracks of the camera car and of the car that gets in front of it."""
    ego = Body(4.5, 1.8, 1.5, False, (0, 0, 0), True)
    body = _body(rng, car=True)
    yaw, speed = _approach_yaw(rng)
    aside = rng.uniform(-0.7, 0.7)
    when = rng.uniform(*knobs.impact_s)
    if plan == "crash":
        pace = max(3.0, rng.uniform(*knobs.closing) + speed * math.cos(yaw))
        brake, reaction = rng.uniform(2.0, 6.0), rng.uniform(0.2, 0.8)
        if rng.random() < 0.5:
            brake = 0.0
        late = np.clip(when - _TIME, 0.0, reaction)
        mine, theirs, gap, met = pace + brake * late, _constant(speed), 0.0, when
    elif plan in ("queue", "leave"):
        gap, met = rng.uniform(0.5, 6.5), 0.0
        go = when if plan == "leave" else 9.0
        pull = rng.uniform(1.5, 3.0)
        theirs = _leaving(go, pull)
        later = go + rng.uniform(0.5, 1.0) + (abs(math.sin(yaw)) > 0.5) * 1.5
        mine = _leaving(later, min(pull, 1.5) * 0.8)
        if plan == "leave" and math.cos(yaw) < -0.3:
            yaw += math.pi
    elif plan == "stop":
        gap = rng.uniform(0.3, 4.5)
        met = rng.uniform(0.6, 3.9)
        mine = _stopping(rng.uniform(4.0, 10.0), met, rng.uniform(1.1, 2.4))
        theirs = _stopping(speed, met - rng.uniform(0.1, 0.6), rng.uniform(0.8, 1.6))
    elif plan == "miss":
        # A crossing or oncoming car clears the way just before the bumper gets there.
        pace, met = rng.uniform(3.0, 8.0), when
        dip = 1 - rng.uniform(0.0, 0.7) * np.clip(1 - np.abs(_TIME - when + 0.3) / 0.8, 0, 1)
        mine = pace * dip
        speed = max(speed, 3.0)
        theirs = _constant(speed)
        clear = rng.uniform(0.3, 0.9)
        if abs(math.sin(yaw)) > 0.5:
            yaw = math.copysign(math.pi / 2, math.sin(yaw)) + math.radians(rng.normal(0, 10))
            aside = math.copysign(ego.width / 2 + body.length / 2 + clear, math.sin(yaw))
        else:
            yaw = math.pi + math.radians(rng.normal(0, 2))
            aside = -(ego.width / 2 + body.width / 2 + clear)
        gap = 0.3
    else:
        gap, met = rng.uniform(2.0, 14.0), 0.0
        yaw = math.radians(rng.normal(0, 4))
        pace = rng.uniform(3.0, 10.0)
        ease = 1 - rng.uniform(0.0, 0.9) * np.clip((_TIME - when + 1) / 1.5, 0, 1)
        mine = theirs = pace * ease
    mover = _track(ego, 0.0, 0.0, 0.0, mine, 0.0)
    ahead = float(np.interp(met, _TIME, mover.z)) + ego.length / 2 + gap + _half_depth(body, yaw)
    struck = _track(body, aside, ahead, yaw, theirs, met)
    # The camera car's driver brakes fully; who is struck may roll on.
    mover.grip, struck.grip = 8.0, rng.uniform(2.0, 6.0)
    return mover, struck


def _pair_crash(
    rng: np.random.Generator, x: float, z: float, when: float, knobs: Difficulty
) -> tuple[Track, Track]:
    """Two tracks whose cars are both at (x, z) soon after `when`."""
    bodies = _body(rng), _body(rng, car=True)
    closing = rng.uniform(*knobs.pair_closing)
    base = (0.0, math.pi, math.pi / 2, -math.pi / 2)[rng.integers(4)]
    mode = rng.random()
    if mode < 0.25:  # rear end
        turn, speeds = 0.0, (rng.uniform(0.0, 4.0), 0.0)
        speeds = (speeds[0], speeds[0] + closing)
    elif mode < 0.45:  # head on
        turn, part = math.pi, rng.uniform(0.3, 0.7)
        speeds = (closing * part, closing * (1 - part))
    else:  # one crosses the other
        turn = (math.pi / 2) * (1 if rng.random() < 0.5 else -1)
        speeds = (rng.uniform(0.3, 1.0) * closing, closing)
    yaws = base + math.radians(rng.normal(0, 12)), base + turn + math.radians(rng.normal(0, 12))
    aside = rng.uniform(-0.8, 0.8, 2)
    late = when + (bodies[0].length + bodies[1].length) / 2 / max(closing, 1.0) * (
        1.0 if mode < 0.45 else 0.6
    )
    first, second = (
        _track(bodies[k], x + aside[k] * math.cos(yaws[k]), z - aside[k] * math.sin(yaws[k]),
               yaws[k], _constant(speeds[k]), late)
        for k in (0, 1)
    )  # fmt: skip
    return first, second


def _pair_slot(
    rng: np.random.Generator, plan: PairPlan, ego_z: Array, knobs: Difficulty
) -> tuple[Track, Track, Array]:
    """Tracks of the two cars ahead, and the debris that lies there from the start."""
    when = rng.uniform(*knobs.impact_s)
    side = 1 if rng.random() < 0.5 else -1
    x = side * rng.uniform(*knobs.pair_side)
    z = float(np.interp(when, _TIME, ego_z)) + BUMPER + rng.uniform(*knobs.pair_distance)
    first, second = _pair_crash(rng, x, z, when, knobs)
    rest = np.empty((0, 4))
    if plan == "pass":
        # The second one is late (or early) enough to go by behind (or in front).
        shift = rng.uniform(0.7, 1.3) * (1 if rng.random() < 0.5 else -1)
        second = _track(second.body, float(np.interp(when, _TIME, second.x)),
                        float(np.interp(when, _TIME, second.z)), second.yaw,
                        second.speed, when + shift)  # fmt: skip
    elif plan == "yield":
        rate = rng.uniform(1.0, 2.0)
        stop = when + rng.uniform(-0.3, 0.5)
        back = first.body.length / 2 + second.body.length / 2 + rng.uniform(0.3, 1.2)
        second = _track(
            second.body,
            x - back * math.sin(second.yaw),
            z - back * math.cos(second.yaw),
            second.yaw,
            _stopping(float(second.speed[0]), stop, rate),
            stop,
        )
        if rng.random() < 0.5:
            speed = _stopping(float(first.speed[0]), stop + 0.3, rate)
            first = _track(first.body, x, z, first.yaw, speed, stop + 0.3)
    elif plan in ("wreck", "apart"):
        tracks = list(_pair_crash(rng, x, z, 1.0, knobs))
        pose, contacts = follow(tracks)
        rest = _debris(rng, contacts)[-1]
        spread = 0.0 if plan == "wreck" else rng.uniform(1.0, 3.0)
        first, second = (
            _track(t.body, float(pose[-1, k, 0]), float(pose[-1, k, 1]) + (2 * k - 1) * spread,
                   float(pose[-1, k, 2]), _constant(0.0), 0.0)
            for k, t in enumerate(tracks)
        )  # fmt: skip
    return first, second, rest


def _bystanders(rng: np.random.Generator, ego_z: Array, most: int) -> list[Track]:
    tracks = []
    for _ in range(int(rng.integers(0, most + 1))):
        side = 1 if rng.random() < 0.5 else -1
        z = float(rng.uniform(0.0, ego_z[-1] + 45.0))
        odd = rng.random() < 0.3
        yaw = math.radians(rng.normal(0, 45 if odd else 5)) + (0.0 if side > 0 else math.pi)
        if rng.random() < 0.85:
            x, speed = side * rng.uniform(6.3, 9.0), 0.0
        else:
            x, speed = side * 3.4, rng.uniform(3.0, 12.0)
            yaw = math.radians(rng.normal(0, 2)) + (0.0 if side > 0 else math.pi)
        tracks.append(_track(_body(rng), x, z, yaw, _constant(speed), rng.uniform(0, 5)))
    return tracks


def _debris(rng: np.random.Generator, contacts: list[Contact]) -> Array:
    """(STEPS, D, 4): parts that fly from each contact and come to rest on the road."""
    parts = []
    for contact in contacts:
        n = int(rng.integers(12, 26))
        # What breaks off right before the lens would hide the road if it were large.
        size = rng.uniform(0.02, 0.07, n) if EGO in contact.bodies else rng.uniform(0.08, 0.3, n)
        angle, speed = rng.uniform(0, 2 * math.pi, n), rng.uniform(0.5, 6.0, n)
        lift, height = rng.uniform(0.5, 6.0, n), rng.uniform(0.2, 0.9, n)
        flight = (lift + np.sqrt(lift**2 + 2 * 9.81 * height)) / 9.81
        after = np.clip(_TIME[:, None] - contact.time_s, 0.0, flight)
        part = np.stack(
            [
                contact.x + np.sin(angle) * speed * after,
                contact.z + np.cos(angle) * speed * after,
                height + lift * after - 9.81 / 2 * after**2,
                np.broadcast_to(size, after.shape),
            ],
            axis=-1,
        )
        part[_TIME < contact.time_s] = np.nan
        parts.append(part)
    return np.concatenate(parts, axis=1) if parts else np.empty((STEPS, 0, 4))


# --- the camera -------------------------------------------------------------------------------


def _shake(rng: np.random.Generator, at: float, strength: float) -> Array:
    """(STEPS, 4) of roll, pitch, yaw, height: a damped swing after a blow."""
    t = _TIME - at
    size = rng.normal(0, 1, 4) * (0.022, 0.03, 0.016, 0.035) * strength
    pace, phase = rng.uniform(3.0, 6.5, 4), rng.uniform(0, 0.6, 4)
    swing = np.sin(2 * math.pi * pace * t[:, None] + phase) * np.exp(-t[:, None] / 0.28)
    return np.where(t[:, None] >= 0, swing * size, 0.0)


def _mounted(rng: np.random.Generator, knobs: Difficulty) -> Array:
    return rng.normal(0, 1, 3) * np.radians([knobs.mount, 0.5 * knobs.mount, knobs.mount])


def _camera(
    rng: np.random.Generator, ego: Array, contacts: list[Contact], knobs: Difficulty
) -> tuple[Array, tuple[float, ...]]:
    """(STEPS, 4) and the times of the bumps."""
    velocity = np.gradient(ego[:, :2], DT, axis=0)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    accel = np.gradient(speed, DT).clip(-9, 9)
    lag = np.exp(-np.arange(40) * DT / 0.2)
    dive = np.convolve(accel, lag / lag.sum())[:STEPS]
    out = np.zeros((STEPS, 4))
    out[:, :3] = mount = _mounted(rng, knobs)
    out[:, 1] += 0.0055 * dive
    out[:, 3] = rng.normal(1.3, 0.08)
    # The road is never quite flat.
    for _ in range(3):
        wave = np.sin(2 * math.pi * rng.uniform(0.5, 1.8) * _TIME + rng.uniform(0, 6.3))
        out[:, 1] += 0.0018 * wave * np.minimum(speed / 8, 1)
        out[:, 0] += 0.0012 * wave * np.minimum(speed / 8, 1)
    hits = [(c.time_s, 0.3 + c.closing / 12) for c in contacts if EGO in c.bodies]
    bumps = []
    if rng.random() < knobs.bump:
        at = float(rng.uniform(0.8, 4.2))
        if speed[int(at / DT)] > 2.0:
            bumps.append(at)
    blows = hits + [(at, float(rng.uniform(0.4, 1.6))) for at in bumps]
    halt = int(np.argmax(speed < 0.05))
    if not hits and halt > 5 and accel[halt - 5] < -1.5:
        # A car that brakes to a stop rocks back.
        blows.append((halt * DT, float(rng.uniform(0.3, 1.2))))
    for number, (at, strength) in enumerate(blows):
        out += _shake(rng, at, strength)
        # A crash, and now and then a pothole, leaves the mount in another position; drawn so
        # that the spread of positions after is the spread before.
        if rng.random() < (0.6 if number < len(hits) else 0.3):
            moved = 0.5 * mount + math.sqrt(0.75) * _mounted(rng, knobs)
            out[_TIME >= at, :3] += moved - mount
            mount = moved
    return out, tuple(bumps)


# --- scenes -----------------------------------------------------------------------------------

_WEATHER_DAY_NIGHT = np.array([582, 65, 144, 31, 73, 12]) / 907
"""normal, snow, rain x day, night among the crashes of the real set, ego and other together."""


def _plans(rng: np.random.Generator, kind: str, knobs: Difficulty) -> tuple[EgoPlan, PairPlan]:
    miss = knobs.near_miss
    ego: EgoPlan = "crash"
    pair: PairPlan = "crash"
    if kind != "ego":
        names: tuple[EgoPlan, ...] = ("stop", "queue", "leave", "miss", "follow")
        rest = np.array([0.32, 0.46, 0.11, 0.0, 0.11]) * (1 - miss)
        ego = names[rng.choice(5, p=rest + miss * np.array([0, 0, 0, 1, 0]))]
    if kind != "other":
        others: tuple[PairPlan, ...] = ("wreck", "pass", "yield", "apart")
        rest = np.array([0.74, 0.0, 0.1, 0.16]) * (1 - miss)
        pair = others[rng.choice(4, p=rest + miss * np.array([0, 1, 0, 0]))]
    return ego, pair


def _as_wanted(kind: str, contacts: list[Contact], knobs: Difficulty) -> bool:
    """Whether the log shows the wanted event, in its time, and no other first."""
    if kind == "none" or not contacts:
        return kind == "none" and not contacts
    first = contacts[0]
    low, high = knobs.impact_s
    pair = (EGO, TARGET) if kind == "ego" else (FIRST, SECOND)
    if first.bodies != pair or not low <= first.time_s <= high or first.closing < 2.0:
        return False
    with_ego = any(EGO in c.bodies for c in contacts)
    between = any(c.bodies != pair and EGO not in c.bodies for c in contacts)
    return not between if kind == "ego" else not with_ego


def simulate(kind: str, rng: np.random.Generator, knobs: Difficulty | None = None) -> Scene:
    """A scene of the wanted kind; drawn again until its event log shows what was wanted."""
    knobs = knobs or Difficulty()
    if kind not in CLASSES:
        msg = f"kind must be one of {', '.join(CLASSES)}, got {kind!r}"
        raise ValueError(msg)
    weather = int(rng.choice(6, p=_WEATHER_DAY_NIGHT))
    night = bool(weather % 2) if knobs.night is None else bool(rng.random() < knobs.night)
    ego_plan, pair_plan = _plans(rng, kind, knobs)
    while True:
        ego, target = _ego_slot(rng, ego_plan, knobs)
        first, second, rest = _pair_slot(rng, pair_plan, ego.z, knobs)
        tracks = [ego, target, first, second, *_bystanders(rng, ego.z, knobs.bystanders)]
        pose, contacts = follow(tracks)
        for _ in range(6):
            # Whoever would be in the way of the story was never on this road.
            intruders = {max(c.bodies) for c in contacts if max(c.bodies) > SECOND}
            if not intruders:
                break
            tracks = [t for k, t in enumerate(tracks) if k not in intruders]
            pose, contacts = follow(tracks)
        if _as_wanted(kind, contacts, knobs):
            break
    debris = _debris(rng, contacts)
    camera, bumps = _camera(rng, pose[:, EGO], contacts, knobs)
    litter = np.stack(
        [
            rng.uniform(-7, 7, 14),
            rng.uniform(3, pose[-1, EGO, 1] + 30, 14),
            rng.uniform(0.05, 0.25, 14),
        ],
        axis=-1,
    )[: rng.integers(0, 15)]
    moved = np.hypot(*np.moveaxis(np.gradient(pose[..., :2], DT, axis=0), -1, 0))
    braking = (np.gradient(moved, DT, axis=0) < -1.0) | (moved < 0.3)
    every = slice(0, STEPS, STEPS_PER_FRAME)
    return Scene(
        kind=kind,
        weather=WEATHER[weather // 2],
        night=night,
        ego_plan=ego_plan,
        pair_plan=pair_plan,
        bodies=tuple(t.body for t in tracks),
        pose=pose[every],
        braking=braking[every],
        camera=camera[every],
        debris=debris[every],
        litter=np.concatenate([litter, rest[:, [0, 1, 3]]]),
        curvature=float(rng.normal(0, 0.0015)),
        bumps=bumps,
        contacts=tuple(contacts),
    )
