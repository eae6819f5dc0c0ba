"""A few scenes that several tests look at."""

from __future__ import annotations

import pytest

from rsground.datasets.scenes import Scene


@pytest.fixture(scope="session")
def some_scenes() -> list[Scene]:
    """Sixty scenes of all kinds, drawn lazily and shared."""
    return [Scene(3, index, 256) for index in range(60)]
