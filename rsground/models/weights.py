"""Safetensors files: one, a sharded set, or what a folder holds; pickles are refused unread."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from rsground.errors import CheckpointError

WEIGHTS = "model.safetensors"
"""Name of the one weight file of a part."""
INDEX = "model.safetensors.index.json"
"""Name of the index of a part whose weights are sharded, as transformers writes it."""
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
"""Endings of files that are pickles as a rule."""

_SHOWN = 5


class Weights:
    """Tensors by name in one safetensors file or a sharded set, read when asked for. Use as a context manager.

    Args:
        path: a ``.safetensors`` file, an ``.index.json``, or a folder that holds ``model.safetensors`` or its index.

    Raises:
        CheckpointError: there is no such file, it is a pickle, corrupt or cut off, or shards are missing.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = _weight_file(Path(path))
        self._stack = ExitStack()
        self._homes: dict[str, Any] = {}
        try:
            if self.path.name.endswith(".json"):
                self._open_shards()
            else:
                opened = self._open(self.path)
                self._homes = dict.fromkeys(opened.keys(), opened)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Weights:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        self._stack.close()

    def names(self) -> list[str]:
        """Names of all tensors, sorted."""
        return sorted(self._homes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, from the header alone."""
        return tuple(self._homes[name].get_slice(name).get_shape())

    def tensor(self, name: str) -> Tensor:
        """A tensor, on the CPU, in the stored dtype.

        Raises:
            CheckpointError: its bytes cannot be read.
        """
        try:
            found: Tensor = self._homes[name].get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"tensor {name!r} cannot be read: {error}", self.path) from error
        return found

    def _open(self, file: Path) -> Any:
        _refuse_pickle(file)
        try:
            return self._stack.enter_context(safe_open(file, framework="pt"))
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(_diagnosis(file, error), file) from error

    def _open_shards(self) -> None:
        homes = _weight_map(self.path)
        files = sorted(set(homes.values()))
        absent = [name for name in files if not (self.path.parent / name).is_file()]
        if absent:
            raise CheckpointError(
                f"{len(absent)} of {len(files)} shards are not there: {few(absent)}; fetch the whole set", self.path
            )
        opened = {name: self._open(self.path.parent / name) for name in files}
        held = {(key, name) for name, shard in opened.items() for key in shard.keys()}  # noqa: SIM118 - no mapping
        astray = sorted(key for key, name in held.symmetric_difference(homes.items()))
        if astray:
            raise CheckpointError(
                f"the index and its shards disagree about {len(astray)} keys: {few(astray)}; they are of two versions",
                self.path,
            )
        self._homes = {key: opened[name] for key, name in homes.items()}


def few(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = [str(name) for name in names]
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def _weight_file(path: Path) -> Path:
    """The file to open: the path itself, or what a folder holds."""
    if path.is_file():
        return path
    if path.is_dir():
        for name in (WEIGHTS, INDEX):
            if (path / name).is_file():
                return path / name
        single = sorted(path.glob("*.safetensors"))
        if len(single) == 1:
            return single[0]
        for file in sorted(path.iterdir()):
            if file.suffix in PICKLES:
                _refuse_pickle(file)
        raise CheckpointError(f"the folder holds neither {WEIGHTS} nor {INDEX}", path)
    raise CheckpointError("there is no such weight file", path)


def _refuse_pickle(file: Path) -> None:
    with file.open("rb") as stream:
        head = stream.read(9)
    if head[8:9] == b"{" and file.suffix not in PICKLES:
        return  # a safetensors header may begin with 0x80 too: that is its length
    if file.suffix in PICKLES or head.startswith(b"PK\x03\x04") or (head[:1] == b"\x80" and head[1:2] <= b"\x08"):
        raise CheckpointError(
            "this is a pickle, which can run code when it is read; weights are read from safetensors only. Fetch the "
            "safetensors version where there is one, or convert it once, with save_file from safetensors.torch: "
            'save_file({k: v.clone() for k, v in torch.load(FILE, weights_only=True).items()}, "model.safetensors")',
            file,
        )


def _diagnosis(file: Path, error: BaseException) -> str:
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(64)
    if head.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer, not the weights: run 'git lfs pull' in that repository"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "this is a web page, not weights: the download answered an error page"
    return f"no safetensors file, or cut off or damaged ({size:,} bytes; {error}); fetch it again"


def _weight_map(index: Path) -> dict[str, str]:
    try:
        found = json.loads(index.read_text(encoding="utf-8"))
        homes = found["weight_map"]
        pairs = [(str(key), str(name)) for key, name in homes.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise CheckpointError(
            f'an index of shards must be a JSON object with "weight_map": {{key: file}} ({what})', index
        ) from error
    outside = [name for _, name in pairs if Path(name).name != name]
    if outside:
        raise CheckpointError(f"shards must lie beside their index, got {few(outside)}", index)
    return dict(pairs)
