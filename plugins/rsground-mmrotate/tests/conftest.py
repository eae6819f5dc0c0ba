"""Fixtures of this plugin's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real samples; skips where they are not at hand (their terms forbid shipping them)."""
    root = Path(os.environ.get("RSGROUND_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not (root / "MANIFEST.md").is_file():
        pytest.skip(f"no real data at {root}; set RSGROUND_SHARED_DATA to a folder that holds it")
    return root
