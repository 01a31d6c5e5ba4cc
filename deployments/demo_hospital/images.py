"""Pixels: chest radiographs of realistic size, slices from real scanners' images, and text drawn into an image."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float32]

#: A radiograph of 43 x 35 cm at 0.171 mm, as flat-panel detectors deliver it.
CHEST_ROWS: Final = 2500
CHEST_COLUMNS: Final = 2048
_CHARACTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/-"
#: 5 x 7 dots, five columns a character, lowest bit on top.
_DOTS: Final = bytes.fromhex(
    "7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a 7f0808087f 00417f4100 2040413f01"
    "7f08142241 7f40404040 7f020c027f 7f0408107f 3e4141413e 7f09090906 3e4151215e 7f09192946 4649494931 01017f0101"
    "3f4040403f 1f2040201f 3f4038403f 6314081463 0708700807 6151494543 3e5149453e 00427f4000 4261514946 2141454b31"
    "1814127f10 2745454539 3c4a494930 0171090503 3649494936 064949291e 0036360000 2010080402 0808080808"
)


def chest(variant: int, *, seed: int, scale: float = 1.0) -> Pixels:
    """Return a chest radiograph, 12 bits in 16, MONOCHROME2; ``variant`` moves the anatomy and the noise.

    About 40 ms and 30 MB for full size once the anatomy is drawn.
    """
    rows, columns = max(64, round(CHEST_ROWS * scale)), max(64, round(CHEST_COLUMNS * scale))
    anatomy = _anatomy(variant % 3, rows, columns)
    rng = np.random.default_rng([seed, variant])
    noise = rng.integers(0, 48, size=(min(rows, 256), min(columns, 256)), dtype=np.uint16)
    repeats = (-(-rows // noise.shape[0]), -(-columns // noise.shape[1]))
    moved = np.roll(anatomy, (variant * 7 % 41 - 20, variant * 5 % 31 - 15), axis=(0, 1))
    return moved + np.tile(noise, repeats)[:rows, :columns]


@lru_cache(maxsize=3)
def _anatomy(build: int, rows: int, columns: int) -> Pixels:
    """Draw lungs, heart, spine, ribs and diaphragm at an eighth of the size, and enlarge it."""
    height, width = 320, 256
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    size = 1.0 + 0.05 * (build - 1)
    body = 900 * _ellipse(x, y, 0.5, 0.62, 0.47 * size, 0.66)
    lungs = _ellipse(x, y, 0.30, 0.42, 0.15 * size, 0.29) + _ellipse(x, y, 0.70, 0.42, 0.15 * size, 0.29)
    heart = 700 * _ellipse(x, y, 0.56, 0.58, 0.14, 0.15)
    spine = 650 * np.exp(-(((x - 0.5) / 0.035) ** 2))
    ribs = 160 * (0.5 + 0.5 * np.sin(y * 62 - np.abs(x - 0.5) * 17)) * lungs
    diaphragm = 800 / (1 + np.exp(-(y - 0.70 - 0.05 * np.cos(x * 12)) * 60))
    picture = 350 + body - 620 * lungs + heart + spine * (y > 0.05) + ribs + diaphragm
    return np.clip(enlarge(picture, rows, columns), 0, 4000).astype(np.uint16)


def _ellipse(x: Floats, y: Floats, cx: float, cy: float, rx: float, ry: float) -> Floats:
    """Return an ellipse with a soft edge: near 1 inside, near 0 outside."""
    distance = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2
    edge: Floats = (1 / (1 + np.exp(np.minimum(distance - 1, 10) * 7))).astype(np.float32)
    return edge


def enlarge(picture: npt.NDArray[np.generic], rows: int, columns: int) -> Floats:
    """Enlarge by bilinear interpolation, as two products with sparse matrices written densely."""
    vertical, horizontal = _weights(picture.shape[0], rows), _weights(picture.shape[1], columns)
    enlarged: Floats = vertical @ picture.astype(np.float32) @ horizontal.T
    return enlarged


def _weights(old: int, new: int) -> Floats:
    at = np.linspace(0, old - 1, new, dtype=np.float32)
    low = np.minimum(at.astype(np.int64), old - 2)
    weights: Floats = np.zeros((new, old), dtype=np.float32)
    weights[np.arange(new), low] = 1 - (at - low)
    weights[np.arange(new), low + 1] = at - low
    return weights


def draw_text(pixels: npt.NDArray[np.generic], text: str, *, row: int, column: int, value: int, size: int = 1) -> None:
    """Draw text into an image of shape (rows, columns) or (rows, columns, samples), in place; what does not fit is cut.

    Letters A to Z, digits and ``:/-``; others are drawn as a space.
    """
    for position, character in enumerate(text.upper()):
        at = _CHARACTERS.find(character)
        columns = _DOTS[at * 5 : at * 5 + 5] if at >= 0 else bytes(5)
        glyph = np.array([[(bits >> dot) & 1 for bits in columns] for dot in range(7)], dtype=bool)
        dots = np.kron(glyph, np.ones((size, size), dtype=bool))
        left = column + position * 6 * size
        area = pixels[row : row + dots.shape[0], left : left + dots.shape[1]]
        if area.shape[:2] != dots.shape:
            return
        area[dots] = value
