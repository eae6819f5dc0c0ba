"""The file of finished images: what a broken-off build goes on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rsground.datasets.refer.records import ImageRecord, dump, parse
from rsground.errors import DataError

_FLUSH_EVERY = 50


class Journal:
    """The file of finished images.

    Args:
        path: the file; made if it is not there.
        key: of source and options: a journal of other ones is not continued.

    Raises:
        DataError: the file belongs to another key.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        head = f"rsground refer journal {key}\n"
        if path.exists() and path.stat().st_size >= len(head):
            with path.open(encoding="utf-8", errors="replace") as stream:
                if stream.readline() != head:
                    raise DataError(
                        "an unfinished run with other options or data lies here: repeat it, or delete the folder",
                        path=path.parent,
                    )
            self._cut()
        else:
            path.write_text(head, encoding="utf-8")

    def _cut(self) -> None:
        """Drop everything behind the last whole line."""
        with self.path.open("r+b") as stream:
            end = len(stream.readline())
            for line in stream:
                if parse(line.decode("utf-8", "replace")) is None:
                    break
                end += len(line)
            stream.truncate(end)

    def records(self) -> Iterator[ImageRecord]:
        """All finished images, in order."""
        with self.path.open(encoding="utf-8") as stream:
            stream.readline()
            for line in stream:
                record = parse(line)
                if record is not None:
                    yield record

    def writer(self) -> _Appender:
        """A context manager whose value appends one record."""
        return _Appender(self.path)


class _Appender:
    def __init__(self, path: Path) -> None:
        self.path, self.since = path, 0

    def __enter__(self) -> Callable[[ImageRecord], None]:
        self.stream = self.path.open("a", encoding="utf-8")
        return self._write

    def _write(self, record: ImageRecord) -> None:
        self.stream.write(dump(record))
        self.since += 1
        if self.since % _FLUSH_EVERY == 0:
            self.stream.flush()

    def __exit__(self, *_: object) -> None:
        self.stream.close()
