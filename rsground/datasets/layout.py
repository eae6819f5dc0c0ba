"""Finding the published files under a root, and saying what was looked for when they are not there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

from rsground.errors import LayoutError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
"""File endings that count as images, in the order they are tried."""
_LOOK_AT = 2000
"""Entries of a folder tree that are looked at when searching what may have been meant."""


class Layout:
    """The files of one data set root.

    Args:
        name: data set, for messages.
        root: folder to look in.

    Raises:
        LayoutError: the folder is not there.
    """

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.root = name, root
        if not is_dir(root):
            near = _nearest(root.name, _names(root.parent))
            hint = f" Nearest: {root.parent / near}." if near else ""
            raise LayoutError(f"data set {name!r}: there is no folder {str(root)!r}.{hint}", path=root)

    def file(self, *candidates: str) -> Path:
        """The first of the ``candidates`` (paths below the root) that is a file.

        Raises:
            LayoutError: none is there; lists them and what comes nearest.
        """
        found = self.find_file(*candidates)
        return found if found is not None else self._fail("file", candidates)

    def folder(self, *candidates: str) -> Path:
        """The first of the ``candidates`` that is a folder; ``"."`` is the root.

        Raises:
            LayoutError: none is there.
        """
        found = self.find_folder(*candidates)
        return found if found is not None else self._fail("folder", candidates)

    def find_file(self, *candidates: str) -> Path | None:
        """As :meth:`file`, None where there is none."""
        return next((self.root / name for name in candidates if is_file(self.root / name)), None)

    def find_folder(self, *candidates: str) -> Path | None:
        """As :meth:`folder`, None where there is none."""
        return next((self.root / name for name in candidates if is_dir(self.root / name)), None)

    def _fail(self, kind: str, candidates: Iterable[str]) -> Path:
        wanted = list(candidates)
        expected = " or ".join(repr(name) for name in wanted)
        raise LayoutError(f"data set {self.name!r} needs the {kind} {expected}; {self._advice(wanted)}", path=self.root)

    def _advice(self, wanted: list[str]) -> str:
        """What is there instead: the same files one level up or down, else the nearest name, else a listing."""
        for place in (self.root.parent, *_subfolders(self.root)):
            if any((place / name).exists() for name in wanted if name != "."):
                return f"it is under {str(place)!r}: pass that folder instead"
        tree = [path.relative_to(self.root).as_posix() for path in islice(_walk(self.root, 3), _LOOK_AT)]
        near = _nearest(wanted[0], tree)
        listing = ", ".join(sorted({name.split("/")[0] for name in tree})[:12]) or "nothing"
        return f"{f'nearest found: {near!r}; ' if near else ''}the folder holds {listing}"


def is_file(path: Path) -> bool:
    """Whether ``path`` is a file; false for names no file system can hold."""
    return os.path.isfile(path)


def is_dir(path: Path) -> bool:
    """Whether ``path`` is a folder; false for names no file system can hold."""
    return os.path.isdir(path)


def files_in(folder: Path, *endings: str) -> list[Path]:
    """Files of a folder with one of the ``endings`` (any case), sorted by name: the same order on every machine."""
    wanted = tuple(ending.lower() for ending in endings)
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.lower().endswith(wanted)]
    return [folder / name for name in sorted(names)]


def below(folder: Path, name: str) -> Path | None:
    """``folder / name`` for a relative ``name`` that does not climb out of ``folder``, else None."""
    parts = Path(name.replace("\\", "/")).parts
    if not parts or "\0" in name or parts[0].startswith("/") or ".." in parts:
        return None
    return folder.joinpath(*parts)


def find_image(folder: Path, name: str) -> Path | None:
    """The image ``name`` in ``folder``; another image ending, or none in ``name``, is tried as well."""
    path = below(folder, name)
    if path is None:
        return None
    if is_file(path):
        return path
    stem = path.with_suffix("") if path.suffix.lower() in IMAGE_ENDINGS else path
    endings = (*IMAGE_ENDINGS, *(ending.upper() for ending in IMAGE_ENDINGS))
    tries = (stem.parent / (stem.name + ending) for ending in endings)
    return next((other for other in tries if is_file(other)), None)


def find_below(folders: Iterable[Path], name: str) -> Path | None:
    """An image by a path whose leading folders may not be ours: the longest tail that exists in one of ``folders``."""
    places = list(folders)
    parts = Path(name.replace("\\", "/")).parts
    if name.startswith("/") or len(parts) > 32:
        parts = parts[-4:] if len(parts) > 4 else parts[1:]
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        for place in places:
            found = find_image(place, tail)
            if found is not None:
                return found
    return None


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _subfolders(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder)[:200] if is_dir(folder / name)]


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    for name in _names(folder):
        path = folder / name
        yield path
        if depth > 1 and is_dir(path):
            yield from _walk(path, depth - 1)


def _nearest(wanted: str, names: Iterable[str]) -> str | None:
    """The name most like ``wanted``: alike in its last part, or as a whole."""
    tail = wanted.rsplit("/", 1)[-1].lower()
    best = max(
        ((SequenceMatcher(None, tail, name.rsplit("/", 1)[-1].lower()).ratio(), name) for name in names),
        default=(0.0, ""),
        key=lambda pair: pair[0],
    )
    return best[1] if best[0] >= 0.6 else None
