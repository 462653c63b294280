"""What the phantom's tissues measure in HU: organs with contrast, and all that lies around them."""

from __future__ import annotations

import numpy as np

from dvcl.datasets.phantom_anatomy import ORGANS, VALUES, Patient
from dvcl.datasets.phantom_shapes import Ellipsoid, Points, Tube, Waves, near, paint

AIR, LUNG, FAT, SKIN, DISC, SPONGIOSA, CORTEX = -1000, -840, -100, 20, 80, 220, 420
GAS = -900

# HU without contrast, in the arterial and in the portal venous phase.
PHASES = {
    "liver": (56, 70, 112),
    "spleen": (48, 122, 120),
    "kidney": (32, 150, 178),
    "pancreas": (42, 100, 90),
    "aorta": (42, 310, 150),
    "inferior vena cava": (40, 90, 145),
    "portal vein": (40, 95, 160),
    "adrenal gland": (34, 84, 72),
    "gallbladder": (10, 10, 12),
    "bowel wall": (38, 70, 84),
    "muscle": (52, 58, 64),
}


class Contrast:
    """What one patient's tissues measure, somewhere between the phases.

    Attributes:
        hu: Tissue -> HU.
    """

    def __init__(self, random: np.random.Generator) -> None:
        moment = random.uniform(0, 2)
        self.hu = {
            tissue: float(np.interp(moment, (0, 1, 2), phases) * random.uniform(0.9, 1.1))
            + random.normal(0, 4)
            for tissue, phases in PHASES.items()
        }
        self.hu["liver"] -= random.choice([0, 25], p=[0.8, 0.2])  # fatty livers
        self.meal = float(random.choice([15, 35, 55, 140], p=[0.35, 0.35, 0.15, 0.15]))
        self.gas_share = random.uniform(0, 0.35)

    def of_organ(self, name: str) -> float:
        """HU of an organ's tissue, before what is inside it."""
        for side in ("right ", "left "):
            name = name.removeprefix(side)
        return self.hu["bowel wall" if name in ("esophagus", "stomach", "duodenum") else name]


def tissue_hu(
    points: Points, label: np.ndarray, patient: Patient, random: np.random.Generator
) -> np.ndarray:
    """HU at every point, (N,) float32, painted from the outside in."""
    contrast = Contrast(random)
    hu = _body(points, patient, contrast)
    _paint_bowel(hu, points, patient, contrast, random)
    _paint_muscles(hu, points, contrast)
    _paint_bones(hu, points, patient)
    _paint_veins(hu, points, patient, contrast)
    for value, name in ORGANS.items():
        hu[label == value] = contrast.of_organ(name)
    _paint_kidneys(hu, points, label, patient, contrast)
    _paint_stomach(hu, points, label, patient, contrast)
    _paint_duodenum(hu, points, label, patient, contrast)
    _paint_liver(hu, points, label, contrast, random)
    return hu


def _body(points: Points, patient: Patient, contrast: Contrast) -> np.ndarray:
    """Skin, fat, wall, and inside it the fat between the organs, lungs and heart."""
    hu = np.full(points.shape[1], AIR, dtype=np.float32)
    muscle, fat = patient.muscle_mm, patient.fat_mm
    hu[patient.outline(points, muscle + fat, 0.5 * fat) < 1] = SKIN
    hu[patient.outline(points, muscle + fat - 2, 0.5 * fat) < 1] = FAT
    hu[patient.outline(points, muscle) < 1] = contrast.hu["muscle"]
    inside = patient.outline(points) < 1
    hu[inside] = FAT
    below = patient.below_diaphragm(points)
    hu[inside & (below < 3)] = contrast.hu["muscle"]
    hu[inside & (below < 0)] = LUNG
    heart = Ellipsoid((-18, 32, 140 + patient.breath_mm), (64, 48, 54))
    at = near(points, heart)
    at = at[inside[at] & (below[at] < 0)]
    hu[at[heart.depth(points[:, at]) < 1]] = 0.5 * (contrast.hu["aorta"] + contrast.hu["muscle"])
    return hu


def _paint_bowel(
    hu: np.ndarray,
    points: Points,
    patient: Patient,
    contrast: Contrast,
    random: np.random.Generator,
) -> None:
    """Colon along the flanks and the front, and loops of small bowel: none of it is labelled."""
    loops = _colon(random) + [_loop(random) for _ in range(int(random.integers(16, 32)))]
    inside = (patient.outline(points) < 1) & (patient.below_diaphragm(points) > 3)
    for loop, content in loops:
        at = near(points, loop)
        at = at[inside[at]]
        depth = loop.depth(points[:, at])
        hu[at[depth < 1]] = contrast.hu["bowel wall"]
        hu[at[depth < 0.76]] = content


def _colon(random: np.random.Generator) -> list[tuple[Tube, float]]:
    """Ascending, transverse and descending, each with what it holds."""
    right = [(98, -30, -200), (100, -20, -90), (88, 10, -52)]
    across = [(88, 10, -52), (40, 70, -60), (-40, 72, -40), (-96, 10, 0)]
    left = [(-96, 10, 0), (-106, -30, -50), (-104, -34, -200)]
    parts = []
    for path in (right, across, left):
        course = np.array(path) + random.normal(0, 7, (len(path), 3))
        content = float(random.choice([35, 60, -250, GAS], p=[0.3, 0.2, 0.3, 0.2]))
        parts.append((Tube(course, random.uniform(11, 22, len(path))), content))
    return parts


def _loop(random: np.random.Generator) -> tuple[Tube, float]:
    # Ileum low in the belly, jejunum on the left up to the stomach.
    low, high = random.choice([((-80, -15, -190), (80, 72, -45)), ((-92, -5, -70), (-20, 70, 25))])
    start = random.uniform(low, high)
    path = [start]
    for _ in range(3):
        path.append(path[-1] + random.normal(0, (24, 16, 18)))
    content = float(random.choice([25, 45, 70, 110, GAS], p=[0.3, 0.3, 0.15, 0.15, 0.1]))
    return Tube(path, random.uniform(8, 14, 4)), content


def _paint_muscles(hu: np.ndarray, points: Points, contrast: Contrast) -> None:
    """Psoas, the back, and the crura of the diaphragm beside the aorta."""
    for side in (-1, 1):
        for muscle in (
            Tube([(side * 26, -52, 30), (side * 42, -46, -190)], (8, 25)),
            Ellipsoid((side * 34, -84, 0), (31, 19, 1e3)),
            Tube([(side * 12 - 4, -34, 100), (side * 17 - 5, -42, 0)], (6, 5)),
        ):
            paint(hu, points, muscle, contrast.hu["muscle"])


def _paint_bones(hu: np.ndarray, points: Points, patient: Patient) -> None:
    """Vertebrae and discs, the canal, arches, and the ribs in the wall."""
    x, y, z = points
    disc = np.sin(2 * np.pi * z / 34) > 0.75
    body = np.hypot(x / 23, (y + 62) / 18)
    hu[body < 1] = np.where(disc, DISC, CORTEX)[body < 1]
    hu[(body < 0.88) & ~disc] = SPONGIOSA
    arch = (np.hypot(x / 25, (y + 86) / 10) < 1) | ((np.abs(x) < 4) & (y < -84) & (y > -108))
    transverse = (np.abs(y + 80) < 5) & (np.abs(x) < 40) & (np.sin(2 * np.pi * z / 34) < -0.5)
    hu[(arch | transverse) & ~disc] = CORTEX
    hu[np.hypot(x, y + 84) < 8] = 25
    margin = 62 - 0.9 * np.abs(x)  # ribs leave the middle of the front free
    wall = np.abs(patient.outline(points, patient.muscle_mm / 2) - 1) < 0.035
    ribs = (
        wall
        & (np.sin(2 * np.pi * (z - 0.55 * y) / 31) > 0.45)
        & (z > margin - 0.3 * (y + 60).clip(0))
    )
    hu[ribs & (z > -25)] = CORTEX


def _paint_veins(hu: np.ndarray, points: Points, patient: Patient, contrast: Contrast) -> None:
    """The splenic and portal vein, which nobody labelled, along the pancreas to the liver."""
    (pancreas,) = patient.organs["pancreas"]
    assert isinstance(pancreas, Tube)
    behind = np.array(pancreas.path) + np.array((0, -11, 2))
    low = np.add(pancreas.path[1], (-18, -8, -40))
    for vein in (
        Tube(behind[:1:-1], (4, 5, 6)),
        Tube([low, behind[2], (52, 6, 34)], (5, 6.5, 6.5)),
    ):
        paint(hu, points, vein, contrast.hu["portal vein"])


def _paint_kidneys(
    hu: np.ndarray, points: Points, label: np.ndarray, patient: Patient, contrast: Contrast
) -> None:
    """The medulla is darker than the cortex while contrast arrives."""
    for name in ("right kidney", "left kidney"):
        (kidney,) = patient.organs[name]
        at = np.flatnonzero(label == VALUES[name])
        at = at[kidney.depth(points[:, at]) < 0.62]
        hu[at] = 0.6 * contrast.hu["kidney"] + 12


def _paint_stomach(
    hu: np.ndarray, points: Points, label: np.ndarray, patient: Patient, contrast: Contrast
) -> None:
    """A meal, and gas that rises to the front of a patient who lies on his back."""
    (stomach,) = patient.organs["stomach"]
    at = np.flatnonzero(label == VALUES["stomach"])
    at = at[stomach.depth(points[:, at]) < 0.84]
    hu[at] = contrast.meal
    if at.size:
        level = np.quantile(points[1, at], 1 - contrast.gas_share)
        hu[at[points[1, at] > level]] = GAS


def _paint_duodenum(
    hu: np.ndarray, points: Points, label: np.ndarray, patient: Patient, contrast: Contrast
) -> None:
    (duodenum,) = patient.organs["duodenum"]
    at = np.flatnonzero(label == VALUES["duodenum"])
    hu[at[duodenum.depth(points[:, at]) < 0.6]] = 0.5 * (contrast.meal + contrast.hu["bowel wall"])


def _paint_liver(
    hu: np.ndarray,
    points: Points,
    label: np.ndarray,
    contrast: Contrast,
    random: np.random.Generator,
) -> None:
    """Vessels through the liver, and in some patients cysts."""
    at = np.flatnonzero(label == VALUES["liver"])
    first, second = Waves.draw(random, 60.0), Waves.draw(random, 60.0)
    vessel = np.hypot(first.at(points[:, at]), second.at(points[:, at])) < 0.22
    hu[at[vessel]] = 0.7 * contrast.hu["portal vein"] + 0.3 * contrast.hu["liver"]
    for _ in range(int(random.integers(-3, 3))):
        centre = points[:, random.choice(at)]
        cyst = np.linalg.norm(points[:, at] - centre[:, None], axis=0) < random.uniform(6, 18)
        hu[at[cyst]] = random.uniform(5, 40)
