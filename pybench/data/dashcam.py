"""What the camera of a simulated scene records: road, cars, weather, exposure, sensor noise.

The automatic exposure holds the mean brightness of every frame to a random walk of its own, so
brightness over time says nothing of what happens.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pybench.data.painter import Ground, Lens, Polygons, fill, on_picture, pack, project
from pybench.data.rigid_bodies import FPS, Array, Body
from pybench.data.traffic import BUMPER, EGO, Difficulty, Scene

HEIGHT, WIDTH = 180, 320
GAIN_STEPS = 32
"""Exposure is set in so many steps of a gain of one, so that pictures stay in 16 bits."""
MOST_GAIN = 253
FLICKER = 4.0
"""Standard deviation of the mean grey level about its course."""
LEAST_STEP = 4.0
"""Of the mean grey level from frame to frame."""

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class _Light:
    """How a colour arrives at the camera: light of the hour, and haze over distance."""

    ambient: float
    beam: float
    haze: Array
    sight: float

    def shine(self, rgb: Array, distance: Array) -> Array:
        power = self.ambient + self.beam / (1 + (distance / 14) ** 2)
        clear = 1 / (1 + (distance / self.sight) ** 2)
        return rgb * (power * clear)[..., None] + self.haze * (1 - clear)[..., None]


def _light(scene: Scene) -> _Light:
    sight = {"normal": 140.0, "snow": 45.0, "rain": 60.0}[scene.weather]
    if scene.night:
        return _Light(0.16, 0.75, np.array([16.0, 18.0, 26.0]), sight)
    bright = {"normal": 1.0, "snow": 0.9, "rain": 0.7}[scene.weather]
    haze = {"normal": (196, 208, 222), "snow": (205, 208, 212), "rain": (150, 155, 162)}
    return _Light(bright, 0.0, np.array(haze[scene.weather], float), sight)


def _smooth(values: NDArray[np.float32], times: int, axis: int) -> NDArray[np.float32]:
    """Neighbours averaged, to and fro so that nothing drifts."""
    for k in range(times):
        values = (np.roll(values, 1 - 2 * (k % 2), axis) + values) * np.float32(0.5)
    return values


def _ground(rng: np.random.Generator, scene: Scene, light: _Light) -> Ground:
    """Asphalt, lane marks, kerb and verge, at five distances."""
    n, m = Ground.ALONG, Ground.ACROSS
    x = (np.arange(m) - m // 2 + 0.5) / Ground.PER_M_ACROSS
    z = (np.arange(n) + 0.5) / Ground.PER_M_ALONG
    grain = _smooth(rng.standard_normal((n, m), np.float32), 2, 0)
    coarse = rng.standard_normal((n // 8, m // 16), np.float32)
    blotch = _smooth(_smooth(coarse.repeat(8, 0).repeat(16, 1), 8, 0), 16, 1)
    asphalt = np.float32(rng.uniform(70, 110)) + 9 * grain + 10 * blotch
    rgb = np.repeat(asphalt[..., None], 3, axis=-1)
    verge_tint = np.array([(92, 110, 62), (140, 132, 120), (118, 116, 112)][rng.integers(3)])
    side = np.abs(x)
    verge = side > 5.4
    rgb[:, verge] = verge_tint + 14 * grain[:, verge, None] + 14 * blotch[:, verge, None]
    rgb[:, (side > 5.2) & (side < 5.5)] = 165 + 8 * grain[:, (side > 5.2) & (side < 5.5), None]
    dashes = ((z % 10.24) < rng.uniform(3, 6))[:, None]
    for at in (-1.75, 1.75):
        stripe = np.abs(x - at) < 0.09
        rgb[:, stripe] = np.where(dashes[..., None], 225.0, rgb[:, stripe])
    if rng.random() < 0.5:
        rgb[:, np.abs(x + 1.75) < 0.1] = (215, 175, 60)
    rgb[:, np.abs(side - 5.0) < 0.08] = 215
    if rng.random() < 0.4:  # a crossing
        at = rng.uniform(0, z[-1] - 4)
        bars = ((x % 1.0) < 0.5) & (side < 5.0)
        rgb[np.ix_((z > at) & (z < at + 3), bars)] = 220
    if scene.weather == "snow":
        cover = np.clip(np.float32(0.45) + 0.6 * blotch + np.float32(0.4) * (side > 2.4), 0, 0.95)[
            ..., None
        ]
        rgb = rgb * (1 - cover) + (228 + 6 * grain[..., None]) * cover
    reach = (9.0, 16.0, 28.0, 50.0)
    levels = []
    for distance in (5.0, *reach):
        levels.append(pack(light.shine(rgb, np.asarray(distance * 1.3, np.float32))))
        rgb = _smooth(_smooth(rgb, 4, 0), 2, 1)
    high = np.arange(64)[:, None] / 63
    top = light.haze * (0.55 if scene.night else 0.8) + (0, 4, 18) * (1 - high)
    sky = light.haze * (1 - high) + top * high
    return Ground(np.stack(levels), reach, pack(sky), scene.curvature)


def _box(lo: tuple[float, ...], hi: tuple[float, ...], taper: float = 0.0) -> list[Array]:
    """Front, back, right, left and top of a box (across, up, along); the top may be narrower."""
    (x0, y0, z0), (x1, y1, z1) = lo, hi
    tx, tz = taper * (x1 - x0) / 2, taper * (z1 - z0) / 2
    low = [(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)]
    top = [(x0 + tx, y1, z0 + tz), (x1 - tx, y1, z0 + tz), (x1 - tx, y1, z1 - tz),
           (x0 + tx, y1, z1 - tz)]  # fmt: skip
    side = [[low[i], low[(i + 1) % 4], top[(i + 1) % 4], top[i]] for i in (2, 0, 1, 3)]
    return [np.array(face) for face in (*side, top)]


def _vehicle(body: Body) -> tuple[Array, Array, NDArray[np.int64]]:
    """Quads (Q, 4, 3) of a vehicle at rest, colours, and lamps: 0 none, 1 rear, 2 front."""
    w, h, n = body.width / 2, body.height, body.length / 2
    paint = np.array(body.colour, float)
    glass = np.array([38.0, 44.0, 52.0])
    quads: list[Array] = [
        np.array([(-w - 0.1, 0.01, -n - 0.1), (w + 0.1, 0.01, -n - 0.1),
                  (w + 0.1, 0.01, n + 0.1), (-w - 0.1, 0.01, n + 0.1)])
    ]  # fmt: skip
    colours: list[Array] = [np.array([28.0, 28.0, 30.0])]
    lamps = [0]
    shades = (0.78, 0.78, 0.62, 0.9, 1.0)

    def add(faces: list[Array], tints: list[Array], lamp: int = 0) -> None:
        quads.extend(faces)
        colours.extend(tints)
        lamps.extend([lamp] * len(faces))

    waist = h * (0.55 if not body.boxy else 1.0)
    add(_box((-w, 0.22, -n), (w, waist, n), 0.03), [paint * s for s in shades])

    def plate(z: float, x0: float, x1: float, y0: float, y1: float) -> Array:
        return np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)])

    e = 0.015
    for z, lamp, tint in ((-n - e, 1, (120.0, 20.0, 22.0)), (n + e, 2, (205.0, 205.0, 190.0))):
        y0 = 0.62 if not body.boxy else 0.75
        add([plate(z, -w * 0.95, -w * 0.6, y0, y0 + 0.17),
             plate(z, w * 0.6, w * 0.95, y0, y0 + 0.17)], [np.array(tint)] * 2, lamp)  # fmt: skip
        add([plate(z, -0.26, 0.26, 0.42, 0.54)], [np.array([200.0, 205.0, 200.0])])
        add([plate(z, -w * 0.98, w * 0.98, 0.2, 0.36)], [np.array([35.0, 35.0, 38.0])])
        if body.boxy:
            add([plate(z, -w * 0.85, w * 0.85, h * 0.55, h * 0.85)], [glass])
    for x in (-w - e, w + e):
        for z in (-0.62 * n, 0.62 * n):
            wheel = [
                (x, 0.0, z - 0.33),
                (x, 0.0, z + 0.33),
                (x, 0.62, z + 0.28),
                (x, 0.62, z - 0.28),
            ]
            add([np.array(wheel)], [np.array([22.0, 22.0, 24.0])])
    if body.boxy:
        for x in (-w - e, w + e):
            band = [(x, h * 0.55, -n * 0.9), (x, h * 0.55, n * 0.9), (x, h * 0.82, n * 0.9),
                    (x, h * 0.82, -n * 0.9)]  # fmt: skip
            add([np.array(band)], [glass])
    else:
        cabin = _box((-w * 0.94, waist, -n * 0.78), (w * 0.94, h, n * 0.42), 0.24)
        add(cabin, [glass * 1.2, glass, glass * 0.9, glass * 1.1, paint * 0.95])
    stack = np.stack(quads)
    # Turn every face outwards, seen from the middle of the vehicle.
    centre = stack.mean(axis=1) - (0.0, h / 2, 0.0)
    normal = np.cross(stack[:, 1] - stack[:, 0], stack[:, 2] - stack[:, 0])
    inward = (normal * centre).sum(-1) < 0
    inward[0] = normal[0, 1] < 0
    stack[inward] = stack[inward, ::-1]
    return stack, np.stack(colours), np.array(lamps, np.int64)


def _bend(scene: Scene, x: Array, z: Array) -> Array:
    return np.asarray(x + 0.5 * scene.curvature * z**2)


def _vehicles(scene: Scene, lens: Lens, light: _Light) -> list[Polygons]:
    out = []
    frames = np.arange(len(lens.position))
    for n, body in enumerate(scene.bodies):
        if n == EGO:
            continue
        quads, colours, lamps = _vehicle(body)
        x, z, yaw = (scene.pose[:, n, k][:, None, None] for k in range(3))
        yaw = yaw + scene.curvature * z
        s, c = np.sin(yaw), np.cos(yaw)
        local_x, local_z = quads[None, ..., 0], quads[None, ..., 2]
        points = np.stack(
            [
                _bend(scene, x, z) + c * local_x + s * local_z,
                np.broadcast_to(quads[None, ..., 1], s.shape[:1] + quads.shape[:2]),
                z - s * local_x + c * local_z,
            ],
            axis=-1,
        )
        seen = lens.see(points)
        a, b, d = seen[..., 0, :], seen[..., 1, :], seen[..., 2, :]
        normal = np.cross(b - a, d - a)
        facing = (normal * a).sum(-1) < 0
        distance = np.abs(seen[..., 2].mean(axis=(1, 2)))
        tint = light.shine(
            np.broadcast_to(colours, (*facing.shape, 3)),
            np.repeat(distance[:, None], len(quads), 1),
        )
        on = scene.braking[:, n] & body.brake_lights
        tint[:, lamps == 1] = np.where(
            on[:, None, None], (255.0, 45.0, 40.0), tint[:, lamps == 1] + 40.0 * scene.night
        )
        if scene.night:
            tint[:, lamps == 2] = (255.0, 250.0, 225.0)
        # Order: far before near; within a vehicle, as listed.
        order = -distance[:, None] + np.arange(len(quads)) * 1e-4
        t = np.broadcast_to(frames[:, None], facing.shape)
        out.append(project(lens, t[facing], order[facing], seen[facing], tint[facing]))
    return out


def _upright(
    scene: Scene, lens: Lens, light: _Light, at: Array, size: Array, rgb: Array, bias: float = 0.0
) -> Polygons:
    """Flat things that face the camera: at (T, N, 3) x, z, foot height; size (N, 2)."""
    foot = np.stack([_bend(scene, at[..., 0], at[..., 1]), at[..., 2], at[..., 1]], axis=-1)
    seen = lens.see(foot)
    half, tall = size[:, 0] / 2, size[:, 1]
    # Upright in the world, so the camera's roll tilts them.
    up = lens.basis[:, :, 1]
    right = np.stack([up[:, 1], -up[:, 0], np.zeros(len(up))], axis=-1)
    across = right[:, None] * half[:, None]
    above = up[:, None] * tall[:, None]
    quads = np.stack(
        [seen - across, seen + across, seen + across + above, seen - across + above], axis=2
    )
    distance = np.where(np.isnan(seen[..., 2]), -1.0, seen[..., 2])
    keep = distance > 0.5
    tint = light.shine(np.broadcast_to(rgb, (*keep.shape, 3)), np.maximum(distance, 0.0))
    frames = np.broadcast_to(np.arange(len(at))[:, None], keep.shape)
    return project(lens, frames[keep], bias - distance[keep], quads[keep], tint[keep])


def _still(points: Array, frames: int) -> Array:
    return np.broadcast_to(points, (frames, *points.shape))


def _scenery(rng: np.random.Generator, scene: Scene, lens: Lens, light: _Light) -> list[Polygons]:
    """Buildings, poles, people, litter and debris."""
    frames = len(lens.position)
    far = float(scene.pose[-1, EGO, 1]) + 70
    out = []
    walls, tints = [], []
    for side in (-1, 1):
        z = rng.uniform(-15, 5)
        while z < far:
            wide, deep, high = rng.uniform(8, 20), rng.uniform(6, 12), rng.uniform(4, 16)
            x = side * rng.uniform(10, 15)
            paint = rng.uniform(90, 200) * np.array([1, rng.uniform(0.85, 1), rng.uniform(0.7, 1)])
            front = [(x, 0, z), (x, 0, z + wide), (x, high, z + wide), (x, high, z)]
            gable = [(x, 0, z), (x + side * deep, 0, z), (x + side * deep, high, z), (x, high, z)]
            walls += [gable, front]
            tints += [paint * 0.7, paint]
            storeys, bays = int(high // 3), int(wide // 4)
            dark = np.array([60.0, 66.0, 76.0]) if rng.random() < 0.7 else paint * 0.6
            for floor in range(storeys):
                for bay in range(bays):
                    y0, z0 = 1.2 + 3 * floor, z + 1 + 4 * bay
                    walls.append([(x, y0, z0), (x, y0, z0 + 2), (x, y0 + 1.4, z0 + 2),
                                  (x, y0 + 1.4, z0)])  # fmt: skip
                    lit = scene.night and rng.random() < 0.3
                    tints.append(np.array([520.0, 440.0, 260.0]) if lit else dark)
            z += wide + rng.uniform(0, 14)
    quads = np.array(walls)
    quads[..., 0] = _bend(scene, quads[..., 0], quads[..., 2])
    seen = lens.see(_still(quads, frames))
    distance = np.abs(seen[..., 2].mean(axis=-1))
    # A window goes right after its wall; all walls go before everything that stands on the road.
    order = -1e4 - distance + np.arange(len(quads)) * 1e-3
    wall_of = np.maximum.accumulate(
        np.where([len(w) and abs(w[0][1]) < 1e-9 for w in walls], np.arange(len(walls)), 0)
    )
    order = order[:, wall_of] + np.arange(len(quads)) * 1e-3
    near = (seen[..., 2].max(axis=-1) > 0.5) & (distance < 90)
    t = np.broadcast_to(np.arange(frames)[:, None], near.shape)
    tint = light.shine(np.broadcast_to(np.array(tints), (*near.shape, 3)), distance)
    out.append(project(lens, t[near], order[near], seen[near], tint[near]))

    n = int(rng.integers(3, 9))
    poles = np.stack(
        [rng.choice([-1, 1], n) * rng.uniform(6.0, 8.0, n), rng.uniform(0, far, n), np.zeros(n)], -1
    )
    size = np.stack([rng.uniform(0.12, 0.3, n), rng.uniform(3.0, 7.0, n)], -1)
    shade = np.repeat(rng.uniform(50, 120, n)[:, None], 3, axis=1)
    out.append(_upright(scene, lens, light, _still(poles, frames), size, shade))

    n = int(rng.integers(0, 5))
    people = np.zeros((frames, n, 3))
    people[..., 0] = rng.choice([-1, 1], n) * rng.uniform(5.8, 8.0, n)
    people[..., 1] = rng.uniform(0, far, n) + np.arange(frames)[:, None] / FPS * rng.normal(
        0, 1.3, n
    )
    legs, torso, head = (0.0, 0.85, 0.36, 45), (0.8, 0.65, 0.46, 150), (1.45, 0.26, 0.2, 175)
    for foot, tall, wide, tone in (legs, torso, head):
        at = people + np.array([0.0, 0.0, foot])
        rgb = np.clip(tone * rng.uniform(0.4, 1.3, (n, 3)), 0, 255)
        size = np.tile([wide, tall], (n, 1))
        out.append(_upright(scene, lens, light, at, size, rgb, bias=foot * 1e-3))

    lying = _still(scene.litter * (1, 1, 0), frames)
    flung = scene.debris[-1, :, 3]
    for at, extent in ((lying, scene.litter[:, 2]), (scene.debris[..., :3], flung)):
        rgb = np.repeat(rng.choice([30.0, 60.0, 190.0], len(extent))[:, None], 3, axis=1)
        shape = np.stack([extent * 1.3, extent * 0.7], -1)
        out.append(_upright(scene, lens, light, at, shape, rgb, bias=0.5))
    return out


def _in_front(rng: np.random.Generator, scene: Scene, lens: Lens) -> list[Polygons]:
    """What lies between the lens and the road: rain, snow, wipers, drops, the bonnet."""
    frames, height, width = len(lens.position), lens.height, lens.width
    out = []

    def add(points: Array, rgb: tuple[float, ...] | Array, layer: float) -> None:
        t, n = points.shape[:2]
        who = np.repeat(np.arange(t), n)
        tint = np.broadcast_to(np.asarray(rgb, float), (t * n, 3))
        out.append(on_picture(who, np.full(t * n, layer), points.reshape(-1, 4, 2), tint))

    unit = width / 320
    level = 90.0 if scene.night else 200.0
    if scene.weather != "normal":
        n = int(rng.integers(25, 70))
        at = rng.uniform(0, 1, (frames, n, 1, 2)) * (width, height)
        if scene.weather == "rain":
            shape = np.array([(0, 0), (1.0, 0), (-0.5, 11), (-1.3, 11)]) * unit
        else:
            shape = np.array([(0, 0), (2.4, 0), (2.4, 2.4), (0, 2.4)]) * unit
        add(at + shape * rng.uniform(0.6, 1.5, (frames, n, 1, 1)), (level, level, level), 10)
    if rng.random() < 0.5:  # dirt or drops on the glass
        n = int(rng.integers(3, 14))
        at = rng.uniform(0, 1, (1, n, 1, 2)) * (width, height)
        shape = (
            np.array([(0, 1), (1, 0), (2, 1), (1, 2)]) * rng.uniform(1, 3.5, (1, n, 1, 1)) * unit
        )
        add(np.repeat(at + shape, frames, 0), np.full(3, level * rng.uniform(0.3, 1)), 11)
    if rng.random() < (0.85 if scene.weather == "rain" else 0.12):
        period, phase = rng.uniform(0.9, 1.8), rng.uniform(0, 1)
        swing = np.abs(((np.arange(frames) / FPS / period + phase) % 1) * 2 - 1)
        angle = np.radians(8 + 105 * swing)
        for pivot in (0.2, 0.72):
            foot = np.array([pivot * width, height * 1.08])
            along = np.stack([np.cos(np.pi - angle), -np.sin(angle)], -1)
            aside = along[:, ::-1] * (1, -1) * 2.0 * unit
            tip = foot + along * 0.8 * height
            add(np.stack([foot + aside, foot - aside, tip - aside, tip + aside], 1)[:, None],
                (18, 18, 20), 12)  # fmt: skip
    if rng.random() < 0.7:
        top = height * rng.uniform(0.86, 0.98)
        dark = rng.uniform(15, 90)
        bonnet = np.array([(-5, height), (width * 0.06, top + 4), (width * 0.94, top + 4),
                           (width + 5, height)])  # fmt: skip
        add(np.tile(bonnet, (frames, 1, 1, 1)), (dark, dark, dark), 9)
    return out


def _brightness(rng: np.random.Generator, night: bool, frames: int) -> Array:
    """(T,) mean grey level of every frame: a random walk with flicker, whatever is in view.

    No step is small: codecs swallow small ones where nothing moves, which would tell a standstill.
    """
    goal = rng.uniform(55, 85) if night else rng.uniform(85, 130)
    walk = np.cumsum(rng.normal(0, 1.8, frames))
    course = goal + walk - walk.mean()
    course[0] += rng.normal(0, FLICKER)
    for t in range(1, frames):
        step = 0.0
        while abs(step) < LEAST_STEP:
            step = course[t] + rng.normal(0, FLICKER) - course[t - 1]
        course[t] = course[t - 1] + step
    return np.asarray(course)


def _expose(
    rng: np.random.Generator, goal: Array, knobs: Difficulty, canvas: NDArray[np.uint32]
) -> Frames:
    """Automatic exposure to the mean grey level `goal` (T,), and sensor noise.

    A frame's mean after gain, noise and saturation is the goal to a tenth of a grey level, so that
    brightness tells nothing of what is in view.
    """
    frames, height, width = canvas.shape
    sigma = math.exp(rng.uniform(math.log(knobs.noise[0]), math.log(knobs.noise[1])))
    tile = np.rint(rng.normal(0, sigma, (height + 61, width + 61))).astype(np.int16)
    dither = rng.integers(0, GAIN_STEPS, (height + 61, width + 61, 1)).astype(np.uint16)
    offsets = rng.integers(0, 61, (frames, 2))
    response = _response(tile)
    out = np.empty((frames, height, width, 3), np.uint8)
    for t in range(frames):
        pixels = canvas[t].view(np.uint8).reshape(height, width, 4)
        gain, rest = _settings(pixels[..., :3], response, goal[t])
        dy, dx = offsets[t]
        here = slice(dy, dy + height), slice(dx, dx + width)
        lit = pixels.astype(np.uint16)
        lit *= np.uint16(gain)
        lit += dither[here] + np.uint16(rest)
        lit //= GAIN_STEPS
        signed = lit.view(np.int16)
        signed += tile[here][..., None]
        np.maximum(signed, 0, out=signed)
        np.minimum(signed, 255, out=signed)
        out[t] = signed[..., :3]
    return out


def _response(noise: NDArray[np.int16]) -> NDArray[np.float64]:
    """The mean grey level that light of 0, 1, ... 32nds of a level becomes under `noise`."""
    levels, counts = np.unique(noise, return_counts=True)
    light = np.arange(256 * GAIN_STEPS)[:, None]
    seen = np.clip(light + levels.astype(np.int64) * GAIN_STEPS, 0, 255 * GAIN_STEPS)
    # Sums of whole numbers are exact: a float sum's last digits differ between processors.
    return np.asarray((seen @ counts) / (noise.size * GAIN_STEPS))


def _settings(
    pixels: NDArray[np.uint8], response: NDArray[np.float64], goal: float
) -> tuple[int, int]:
    """The gain in 32nds, and the light to add in 32nds, that bring a picture's mean to `goal`."""
    counts = np.bincount(pixels.ravel(), minlength=256)
    values = np.flatnonzero(counts)

    def too_bright(gain: int, rest: int) -> bool:
        light = np.minimum(values * gain + rest, len(response) - 1)
        # Rounded for the processors' sake, as above.
        return round(float(counts[values] @ response[light]) / pixels.size, 6) > goal

    gain = max(bisect_left(range(MOST_GAIN), True, key=lambda gain: too_bright(gain, 0)) - 1, 1)
    rest = bisect_left(range(255), True, key=lambda rest: too_bright(gain, rest))
    return gain, rest


def render(
    scene: Scene,
    rng: np.random.Generator,
    knobs: Difficulty | None = None,
    size: tuple[int, int] = (HEIGHT, WIDTH),
) -> Frames:
    """The frames (T, H, W, 3) uint8 of a scene."""
    height, width = size
    goal = _brightness(rng, scene.night, len(scene.pose))
    ego, camera = scene.pose[:, EGO], scene.camera
    x, z, yaw = ego[:, 0], ego[:, 1], ego[:, 2]
    ahead = 4.5 / 2 - BUMPER
    yaw = yaw + scene.curvature * z
    position = np.stack(
        [_bend(scene, x, z) + ahead * np.sin(yaw), camera[:, 3], z + ahead * np.cos(yaw)], axis=-1
    )
    angles = np.stack([camera[:, 0], camera[:, 1], yaw + camera[:, 2]], axis=-1)
    lens = Lens.looking(height, width, width * rng.uniform(0.60, 0.72), position, angles)
    light = _light(scene)
    canvas = np.empty((len(ego), height, width), np.uint32)
    _ground(rng, scene, light).paint(canvas, lens)
    fill(
        canvas,
        [
            *_scenery(rng, scene, lens, light),
            *_vehicles(scene, lens, light),
            *_in_front(rng, scene, lens),
        ],
    )
    return _expose(rng, goal, knobs or Difficulty(), canvas)
