"""What is painted on: the pixels, the light they are seen in, and the textures under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsground.datasets.scenes.banks import TILE, crop, noise
from rsground.datasets.scenes.frames import Spans, Window
from rsground.datasets.scenes.materials import RGB, texture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Look:
    """Light, air and sensor of one picture.

    Attributes:
        sun: unit vector (x, y) on screen *towards* the sun.
        shadow: metres of shadow per metre of height.
        shade: share of light that a shadow takes, 0 to 1.
        gain: per-band gain of the sensor and the sun's colour.
        haze: per-band light added by the air, 0-255.
        contrast: factor by which the air lowers contrast.
        blur: weight of each neighbour in the three-tap blur that stands for the optics, 0 to 0.25.
        noise: sensor noise, grey levels.
        season: per-band gain on everything that grows.
        offset: (x, y) where this scene cuts into the texture banks.
    """

    sun: tuple[float, float]
    shadow: float
    shade: float
    gain: RGB
    haze: RGB
    contrast: float
    blur: float
    noise: float
    season: RGB
    offset: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """Pixels being painted: ``planes`` is ``(3, H, W)`` float32 RGB, 0-255, before light, air and sensor."""

    planes: F32
    look: Look
    gsd: float

    def texture(self, name: str, win: Window | Spans) -> F32:
        """The material's texture under a window ``(3, h, w)`` or single pixels ``(3, M)``; not to be written."""
        x, y = self.look.offset
        if isinstance(win, Spans):
            bank = texture(name)
            return bank.reshape(3, -1).take(((win.y + y) & (TILE - 1)) * TILE + ((win.x + x) & (TILE - 1)), axis=1)
        height, width = win.shape
        piece: F32 = crop(texture(name), x + win.x0, y + win.y0, width, height)
        return piece

    def grain(self, name: str, win: Window) -> F32:
        """A noise bank under a window, ``(h, w)``; not to be written."""
        height, width = win.shape
        x, y = self.look.offset
        piece: F32 = crop(noise(name), y + win.x0 + 77, x + win.y0 + 31, width, height)
        return piece

    def blend(self, win: Window | Spans, alpha: F32, colours: F32) -> None:
        """Lay ``colours`` ``(3, h, w)`` or ``(3, M)`` over the window or pixels; ``colours`` is used up."""
        if isinstance(win, Spans):
            flat, place = self.planes.reshape(3, -1), win.y * self.planes.shape[2] + win.x
            below = flat.take(place, axis=1)
            colours -= below
            colours *= alpha
            colours += below
            for band in range(3):
                flat[band][place] = colours[band]
            return
        view = self.planes[(slice(None), *win.at)]
        colours -= view
        colours *= alpha
        view += colours

    def tone(self, win: Window, alpha: F32, rgb: RGB) -> None:
        """Lay one colour over the window."""
        view = self.planes[(slice(None), *win.at)]
        keep = 1 - alpha
        view *= keep
        view += alpha * np.array(rgb, np.float32)[:, None, None]
