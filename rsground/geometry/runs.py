"""Runs of set pixels in flattened masks: what run-length codes and scan-line filling share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsground.geometry.checks import Bools, Ints

_PIXELS_A_SLICE = 200
"""Filling a run by a slice takes as long as accumulating some 200 pixels."""


def fill_runs(starts: NDArray[np.integer], stops: NDArray[np.integer], total: int) -> Bools:
    """Bool ``(total,)`` that is set in [start, stop) of each run; runs ascend and do not overlap; some may be empty."""
    filled = stops > starts
    starts, stops = starts[filled], stops[filled]
    if len(starts) * _PIXELS_A_SLICE < total:
        pixels = np.zeros(total, bool)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            pixels[start:stop] = True
        return pixels
    toggles = np.zeros(total + 1, np.uint8)
    toggles[starts] ^= 1
    toggles[stops] ^= 1
    return np.bitwise_xor.accumulate(toggles)[:total].view(np.bool_)


def run_lengths(pixels: Bools) -> Ints:
    """Lengths ``(R,)`` int64 of the runs of a bool ``(total,)``: unset, set, unset ...; the first may be 0."""
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    lengths = np.diff(edges, prepend=0, append=len(pixels)).astype(np.int64)
    return np.concatenate([[0], lengths]) if len(pixels) and pixels[0] else lengths
