"""Fixtures for every room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure: no test of ours has a deadline by the wall clock.
settings.register_profile("rsground", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rsground")

os.environ["RSGROUND_ENVS"] = ""  # the environments of whoever runs the tests are no part of them

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real samples; skips where they are not at hand (their terms forbid shipping them)."""
    root = Path(os.environ.get("RSGROUND_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not (root / "MANIFEST.md").is_file():
        pytest.skip(f"no real data at {root}; set RSGROUND_SHARED_DATA to a folder that holds it")
    return root
