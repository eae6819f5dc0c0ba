"""Content keys of samples: equal for equal questions about equal pixels, wherever the files lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from rsground.bench.keys import code_keys, content_key
from rsground.records import sample_to_json
from rsground.types import ImageRef, Sample

_CHUNK = 1 << 20
_KEPT = 256
"""Image digests kept in memory; samples of one image stand together."""
_NOT_DRAWING = frozenset({"metrics", "models"})
"""Rooms of the core that draw no picture."""


class FileDigests(Protocol):
    """Digests of files that need not be read again; see :class:`rsground.bench.answer_cache.AnswerCache`."""

    def digest_of(self, path: str, size: int, mtime_ns: int) -> str | None:
        """The digest of a file that had this size and time, None where it is not known."""

    def keep_digest(self, path: str, size: int, mtime_ns: int, digest: str) -> None:
        """Remember it."""


class SampleKeys:
    """Keys of samples.

    A key holds everything a system is shown and everything its answer is held against: task, expression, targets,
    reference answer, metadata, id, the file names of the images and their content. Folders are left out.

    Args:
        files: remembers digests of image files.
    """

    def __init__(self, files: FileDigests) -> None:
        self._files = files
        self._images: dict[str, str] = {}

    def of(self, sample: Sample) -> str | None:
        """The key (32 hex digits); None where an image cannot be read."""
        try:
            images = [[_name(ref), ref.height, ref.width, self._image(ref)] for ref in sample.images]
        except Exception:  # whoever asks the sample finds out what is wrong with it, and says so
            return None
        return content_key(sample_to_json(sample) | {"images": images})

    def _image(self, ref: ImageRef) -> str:
        if ref.uri not in self._images:
            if len(self._images) >= _KEPT:
                del self._images[next(iter(self._images))]
            self._images[ref.uri] = self._file(ref.uri) if ref.render is None else drawing_key(ref.render)
        return self._images[ref.uri]

    def _file(self, uri: str) -> str:
        path = os.path.realpath(uri)
        found = os.stat(path)
        known = self._files.digest_of(path, found.st_size, found.st_mtime_ns)
        if known is not None:
            return known
        digest = hashlib.blake2b(digest_size=16)
        with open(path, "rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        self._files.keep_digest(path, found.st_size, found.st_mtime_ns, digest.hexdigest())
        return digest.hexdigest()


def drawing_key(render: Callable[[], Any]) -> str:
    """Key of an image that is drawn: the function, its code and its arguments; where those are no plain values, the
    pixels themselves."""
    if isinstance(render, partial):
        function, values = render.func, [*render.args, *render.keywords.values()]
        module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
        if module and name and "<" not in name and all(_is_plain(value) for value in values):
            named = [list(render.args), dict(render.keywords)]
            return content_key(["drawn", module, name, code_keys(module, _NOT_DRAWING), named])
    pixels = render()
    digest = hashlib.blake2b(f"{pixels.shape} {pixels.dtype}".encode(), digest_size=16)
    digest.update(pixels.tobytes())
    return digest.hexdigest()


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float)) or _is_plain_list(value)


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(_is_plain(one) for one in value)


def _name(ref: ImageRef) -> str:
    return ref.uri if ref.render is not None else Path(ref.uri).name
