"""Dataset: samples streamed from a published layout; broken records are named, skipped and counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from rsground.contracts.fingerprint import fingerprint_files
from rsground.types import Sample


class BrokenRecord(NamedTuple):
    """A record that was skipped, and why.

    Attributes:
        path: the file it stands in.
        line: 1-based line or record number, None where the whole file is meant.
        code: short stable reason: ``"missing-image"``, ``"bad-box"``, ``"duplicate-id"`` ...
        detail: what was found, at most a line.
    """

    path: str
    line: int | None
    code: str
    detail: str


class Dataset(ABC):
    """One split of one data set on disk (or generated).

    Construct with ``(root, split, **options)``; construction checks the layout and reads indexes only. Iterating
    streams samples in a fixed order, the same on every machine, holding no more than one image's annotations where
    the published layout allows it.

    Args:
        root: folder with the published layout; None for generated data.
        split: one of the published splits.

    Raises:
        LayoutError: at construction, when the root is missing or has another layout; says what was expected.
    """

    name: ClassVar[str]

    def __init__(self, root: str | Path | None, split: str) -> None:
        self.root = None if root is None else Path(root)
        self.split = split
        self.on_broken: Callable[[BrokenRecord], None] = lambda record: None
        """Called for every record that is skipped while iterating."""

    @abstractmethod
    def __iter__(self) -> Iterator[Sample]:
        """All usable samples of the split, in a fixed order."""

    def size_hint(self) -> int | None:
        """Number of samples if it is known without a full pass; for progress bars only."""
        return None

    def fingerprint(self) -> str:
        """Content key of the split: equal for equal annotations, different when they change (hex digest)."""
        return fingerprint_files(self.name, self.split, self.annotation_files())

    def annotation_files(self) -> list[Path]:
        """The annotation files :meth:`fingerprint` covers (path, size and content)."""
        return []
