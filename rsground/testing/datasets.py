"""What every data set reader owes."""

from __future__ import annotations

import itertools
import pickle
from abc import abstractmethod
from pathlib import Path

import pytest

from rsground.contracts import BrokenRecord, Dataset
from rsground.errors import LayoutError
from rsground.types import Task


class DatasetConformance:
    """Subclass as ``TestMyDataset`` and say how to open a small one.

    Attributes:
        most: samples looked at, at most.
        reads_a_root: false for generated data, whose layout cannot be wrong.
    """

    most: int = 200
    reads_a_root: bool = True

    @abstractmethod
    def open(self, root: Path | None = None) -> Dataset:
        """The reader under test: over a small real or generated root, or over ``root`` where one is given."""

    def test_gives_the_same_samples_twice(self) -> None:
        dataset = self.open()
        first = [sample.id for sample in itertools.islice(dataset, self.most)]
        assert first == [sample.id for sample in itertools.islice(dataset, self.most)]
        assert first == [sample.id for sample in itertools.islice(self.open(), self.most)]
        assert first, "a data set to test with must hold a sample"

    def test_ids_are_unique(self) -> None:
        ids = [sample.id for sample in itertools.islice(self.open(), self.most)]
        assert len(ids) == len(set(ids))

    def test_samples_are_whole(self) -> None:
        for sample in itertools.islice(self.open(), self.most):
            assert isinstance(sample.task, Task)
            assert all(ref.height > 0 and ref.width > 0 and ref.uri for ref in sample.images)
            for region in sample.targets or ():
                assert region.is_located, f"{sample.id}: a target says nowhere where it is"
                assert region.rle is None or tuple(region.rle.size) == sample.size

    def test_samples_cross_process_borders(self) -> None:
        for sample in itertools.islice(self.open(), 5):
            assert pickle.loads(pickle.dumps(sample)).id == sample.id

    def test_fingerprint_is_stable(self) -> None:
        assert self.open().fingerprint() == self.open().fingerprint()

    def test_reports_broken_records_the_same_way_twice(self) -> None:
        seen: list[list[BrokenRecord]] = []
        for _ in range(2):
            dataset = self.open()
            records: list[BrokenRecord] = []
            dataset.on_broken = records.append
            for _sample in itertools.islice(dataset, self.most):
                pass
            seen.append(records)
        assert seen[0] == seen[1]

    def test_a_missing_root_says_what_was_expected(self, tmp_path: Path) -> None:
        if not self.reads_a_root:
            pytest.skip("generated data has no root")
        with pytest.raises(LayoutError):
            self.open(tmp_path / "not-there")
        with pytest.raises(LayoutError):
            self.open(tmp_path)
