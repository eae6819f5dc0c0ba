"""Fixtures for the readers: the miniature layouts, and opening one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rsground.contracts.dataset import BrokenRecord
from rsground.types import Sample

HERE = Path(__file__).parent


def load_module(path: Path, name: str) -> ModuleType:
    """A helper module by its path: the tests are no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


LAYOUTS = load_module(HERE / "layouts.py", "dataset_layouts")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``case`` runs over every layout."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", LAYOUTS.CASES, ids=[f"{k}-{case.id}" for k, case in enumerate(LAYOUTS.CASES)])


@pytest.fixture(scope="session")
def layouts() -> ModuleType:
    """The module that writes the miniature layouts."""
    return LAYOUTS


@pytest.fixture
def read() -> Callable[..., tuple[list[Sample], list[BrokenRecord]]]:
    """``read(name, root, split, **options)`` → (samples, broken records)."""

    def opened(name: str, root: Path, split: str, **options: Any) -> tuple[list[Sample], list[BrokenRecord]]:
        from rsground.registry import load_dataset

        dataset = load_dataset(name, root, split, **options)
        broken: list[BrokenRecord] = []
        dataset.on_broken = broken.append
        return list(dataset), broken

    return opened
