"""Invented abdominal anatomy: where the 13 organs of one made-up patient lie, and their shapes."""

from __future__ import annotations

import numpy as np

from dvcl.datasets.flare22 import FLARE22
from dvcl.datasets.phantom_shapes import Ellipsoid, Points, Shape, Tube, Waves, near

# Label values and names of FLARE22.
ORGANS = FLARE22.organs
VALUES = {name: value for value, name in ORGANS.items()}

WITHOUT_GALLBLADDER = 0.2  # share of patients who have lost it
LUMPS = 0.065  # how far surfaces wander, as a share of the organ's half axis
VESSELS = ("aorta", "inferior vena cava", "esophagus")  # these alone pass the diaphragm

Organs = dict[str, list[Shape]]


class Patient:
    """One patient. All variation of the anatomy is drawn here, once.

    Coordinates are those of a patient of mean size whose second lumbar vertebra lies near z = 0;
    `warp` takes world points there.

    Attributes:
        size: Scale of the body along (x, y, z).
        cavity: Half axes (x, y) in mm of the space inside the abdominal wall.
        muscle_mm: Thickness of the wall.
        fat_mm: Thickness of the fat under the skin, at the flanks.
        organs: The shapes whose union is the organ; absent organs are not there.
        hollows: Fat that enters the organs from outside: the renal sinuses.
        breath_mm: How far the diaphragm is from its mean height.
    """

    def __init__(self, random: np.random.Generator) -> None:
        self.size = random.uniform(0.9, 1.1) * random.uniform(0.95, 1.05, 3)
        self.cavity = np.array([random.uniform(122, 140), random.uniform(82, 98)])
        self.muscle_mm = random.uniform(9, 15)
        self.fat_mm = random.uniform(5, 32)
        self.breath_mm = random.normal(0, 7)
        self.arch = random.uniform(0.006, 0.009)
        self.bends = [Waves.draw(random, 200.0) for _ in range(3)]
        self.bend_mm = random.uniform(3, 7, 3)
        self.organs, self.hollows = _draw_organs(random, self.breath_mm)
        self.lumps = {name: Waves.draw(random, 55.0) for name in self.organs}

    def warp(self, world: Points) -> Points:
        """World points to the mean patient, smoothly bent: no two differ by a scale alone."""
        points = world / self.size.astype(np.float32)[:, None]
        bent = [mm * waves.at(points) for mm, waves in zip(self.bend_mm, self.bends, strict=True)]
        return (points + np.stack(bent)).astype(np.float32)

    def outline(self, points: Points, outward_mm: float = 0.0, front_mm: float = 0.0) -> np.ndarray:
        """Depth in the cavity's cross section, grown by some mm; 1 on its surface."""
        x, y = np.abs(points[0]), points[1] - front_mm / 2
        a, b = np.add(self.cavity, (outward_mm, outward_mm + front_mm / 2))
        return ((x / a) ** 2.3 + np.abs(y / b) ** 2.3) ** np.float32(1 / 2.3)

    @property
    def back_mm(self) -> float:
        """World y of the skin of the back."""
        depth = self.cavity[1] + self.muscle_mm + 0.4 * self.fat_mm
        return -float(depth + self.bend_mm[1]) * self.size[1]

    def below_diaphragm(self, points: Points) -> np.ndarray:
        """Height of the diaphragm over each point in mm, negative in the chest."""
        x, y, z = points
        dome = 112 + self.breath_mm - self.arch * ((np.abs(x) - 58) ** 2 + (y - 12) ** 2)
        return dome - z - np.where(x < 0, 8, 0)

    def label(self, points: Points) -> np.ndarray:
        """(3, N) points -> (N,) uint8 label values.

        Where shapes overlap, the one in which a point lies relatively deeper has it: so neighbours
        touch and dent each other.
        """
        label = np.zeros(points.shape[1], dtype=np.uint8)
        nearest = np.ones(points.shape[1], dtype=np.float32)
        room = self._room(points)
        for name, shapes in self.organs.items():
            for shape in shapes:
                at = near(points, shape, margin_mm=3)
                if name not in VESSELS:
                    at = at[room[at]]
                _claim(at, self._depth(name, shape, points[:, at]), VALUES[name], label, nearest)
        for hollow in self.hollows:
            at = near(points, hollow)
            _claim(at, hollow.depth(points[:, at]), 0, label, nearest)
        return label

    def _depth(self, name: str, shape: Shape, points: Points) -> np.ndarray:
        return shape.depth(points) + LUMPS * self.lumps[name].at(points)

    def _room(self, points: Points) -> np.ndarray:
        """Where organs can be: inside the wall, under the diaphragm, off spine and back."""
        free = (self.outline(points) < 1) & (self.below_diaphragm(points) > 3)
        free &= (points[0] / 24) ** 2 + ((points[1] + 62) / 19) ** 2 > 1
        return free & (points[1] > 8 - self.cavity[1])


def _claim(
    at: np.ndarray, depth: np.ndarray, value: int, label: np.ndarray, nearest: np.ndarray
) -> None:
    deeper = depth < nearest[at]
    label[at[deeper]] = value
    nearest[at[deeper]] = depth[deeper]


def _draw_organs(random: np.random.Generator, breath_mm: float) -> tuple[Organs, list[Shape]]:
    lift = np.array([0, 0, 0.7 * breath_mm])  # breathing moves what hangs on the diaphragm
    head = _near(random, (32, 14, -14), 6)
    stomach, cardia, pylorus = _stomach(random, lift)
    right = _near(random, (60, -46, -30), (5, 4, 11)) + 0.5 * lift
    left = _near(random, (-60, -46, -14), (5, 4, 11)) + 0.5 * lift
    right_kidney, left_kidney = _kidney(random, right, 1), _kidney(random, left, -1)
    organs: Organs = {
        "liver": _liver(random, lift),
        "spleen": _spleen(random, lift),
        "stomach": [stomach],
        "right kidney": [right_kidney],
        "left kidney": [left_kidney],
        "pancreas": [_pancreas(random, head)],
        "duodenum": [_duodenum(random, pylorus, head)],
        "aorta": [_vessel(random, (-10, -33), (-90, 190), 9.5)],
        "inferior vena cava": [_vessel(random, (22, -31), (-90, 128), 10.5)],
        "esophagus": [Tube([(-4, -20, 190), (-10, -18, 100), cardia], random.uniform(6, 9, 3))],
        "right adrenal gland": _adrenal(random, right_kidney, (37, -33), 1),
        "left adrenal gland": _adrenal(random, left_kidney, (-37, -29), -1),
    }
    if random.random() > WITHOUT_GALLBLADDER:
        organs["gallbladder"] = _gallbladder(random, lift)
    return organs, [_sinus(right_kidney, 1), _sinus(left_kidney, -1)]


def _near(
    random: np.random.Generator,
    place: tuple[float, float, float],
    spread: float | tuple[float, float, float],
) -> np.ndarray:
    return np.array(place) + np.multiply(random.normal(size=3).clip(-2, 2), spread)


def _axes(random: np.random.Generator, a: float, b: float, c: float) -> np.ndarray:
    return np.array([a, b, c]) * random.uniform(0.88, 1.14) * random.uniform(0.9, 1.11, 3)


def _liver(random: np.random.Generator, lift: np.ndarray) -> list[Shape]:
    """A wedge: thick under the right dome, flat below, with a left lobe of very varied reach."""
    centre = _near(random, (72, 12, 40), (5, 5, 6)) + lift
    below = np.add(centre, (-36, -10, -32 + random.normal(0, 6)))
    slope = (-0.55, -0.3 + random.normal(0, 0.1), -0.75)
    lobe = np.add(centre, (random.uniform(-85, -55), 32, random.uniform(14, 30)))
    return [
        Ellipsoid(centre, _axes(random, 70, 78, 86), random.normal(0, 0.1, 3), (below, slope)),
        Ellipsoid(lobe, _axes(random, 58, 30, 30), random.normal(0, 0.15, 3)),
    ]


def _spleen(random: np.random.Generator, lift: np.ndarray) -> list[Shape]:
    centre = _near(random, (-104, -30, 42), (6, 7, 9)) + lift
    axes = np.array([23, 46, 46]) * random.uniform(0.75, 1.3) * random.uniform(0.9, 1.1, 3)
    return [Ellipsoid(centre, axes, (0, 0.2, random.normal(-0.35, 0.2)))]


def _stomach(random: np.random.Generator, lift: np.ndarray) -> tuple[Tube, np.ndarray, np.ndarray]:
    """The stomach, where the esophagus enters, and where the duodenum leaves."""
    filling = random.uniform(0.65, 1.3)
    fundus = _near(random, (-64, 0, 74), 5) + lift
    cardia = np.array([-28, -8, 68]) + lift + random.normal(0, 3, 3)
    body = _near(random, (-66, 40, 30), (9, 6, 14))
    antrum = _near(random, (-24, 58, 0), (12, 6, 14))
    pylorus = _near(random, (20, 42, 4), 5)
    radii = np.array([32, 30, 26, 12]) * filling
    return Tube([fundus, body, antrum, pylorus], radii), cardia, pylorus


def _kidney(random: np.random.Generator, centre: np.ndarray, side: int) -> Ellipsoid:
    tilt = (
        random.normal(0, 0.12),
        side * random.normal(-0.22, 0.1),
        side * random.normal(0.5, 0.2),
    )
    return Ellipsoid(centre, _axes(random, 29, 25, 53), tilt)


def _sinus(kidney: Ellipsoid, side: int) -> Ellipsoid:
    """Fat in the notch towards the aorta."""
    inward = np.array([-side * 0.62, 0.3, 0]) * kidney.axes[0]
    return Ellipsoid(kidney.centre + inward, np.multiply(kidney.axes, 0.38), kidney.turn)


def _pancreas(random: np.random.Generator, head: np.ndarray) -> Tube:
    neck, body = np.add(head, (-24, 9, 15)), head + _near(random, (-56, 1, 24), 4)
    tail = head + _near(random, (-104, -27, 44), 8)
    radii = np.array([12, 15, 9.5, 11, 8.5]) * random.uniform(0.75, 1.2)
    return Tube([np.subtract(head, (0, 0, 14)), head, neck, body, tail], radii)


def _duodenum(random: np.random.Generator, pylorus: np.ndarray, head: np.ndarray) -> Tube:
    """The C around the head of the pancreas, then to the left in front of the great vessels."""
    corners = ((24, 8, 6), (25, -6, -34), (-26, -16, -46), (-58, -8, -32))
    bends = [head + _near(random, corner, 4) for corner in corners]
    return Tube([pylorus, *bends], random.uniform(9.5, 13, 5))


def _gallbladder(random: np.random.Generator, lift: np.ndarray) -> list[Shape]:
    neck = _near(random, (46, 34, 8), 5) + lift
    fundus = neck + _near(random, (8, 28, -30), 6)
    radius = random.uniform(8, 19)
    return [Tube([neck, (neck + fundus) / 2, fundus], np.array([0.5, 0.9, 1]) * radius)]


def _vessel(
    random: np.random.Generator, xy: tuple[float, float], ends: tuple[float, float], radius: float
) -> Tube:
    heights = np.linspace(*ends, 6)
    drift = np.cumsum(random.normal(0, 2.2, (6, 2)), axis=0)
    path = [np.array([*(xy + step), z]) for z, step in zip(heights, drift - drift[2], strict=True)]
    return Tube(path, np.full(6, radius * random.uniform(0.8, 1.3)))


def _adrenal(
    random: np.random.Generator, kidney: Ellipsoid, xy: tuple[float, float], side: int
) -> list[Shape]:
    """A thin inverted Y on the upper pole of its kidney."""
    top = kidney.centre[2] + 0.8 * kidney.axes[2]
    apex = _near(random, (*xy, top + 6), (2, 2, 4))
    arms = ((side * 10, -17, -17), (-side * 5, -18, -14), (0, 8, 14))
    girth = random.uniform(0.82, 1.07)
    return [Tube([apex, apex + _near(random, arm, 2)], [5.4 * girth, 4.2 * girth]) for arm in arms]
