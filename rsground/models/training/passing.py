"""Samples that nothing can be learned from are passed over: others take their places, and the run tells why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from torch.utils.data import Dataset as TorchDataset

from rsground.models.teachable import TeachableBackbone
from rsground.models.training.refusal import Refusal, Tally
from rsground.models.training.sample_stream import Pair, PairStream, Places

FILE = "passed_over.jsonl"
"""Which samples a run passed over, one a line, in its folder."""
_SPARE = 1 << 40
"""Epochs between one that is trained on and those that its spare samples are drawn from."""


class GoodPairs(TorchDataset[Pair]):
    """Item *p* is the stream's p-th pair, encoded; where that cannot be had, of another sample, drawn by p alone.

    That a prompt is longer than the context, that an image cannot be read and that a head cannot write a target is
    found out here; so is anything else that making the pair raises.

    Args:
        stream: of pairs.
        backbone: what they are taught to.

    Raises:
        DataError: at an item, that more than half of the samples are no good.
    """

    def __init__(self, stream: PairStream, backbone: TeachableBackbone) -> None:
        self.pairs, self.backbone = stream, backbone
        self._tally = Tally(len(stream))

    def __len__(self) -> int:
        return len(self.pairs)

    def stream(self, rank: int, world: int) -> Places:
        """Which places this process takes, in order."""
        return self.pairs.stream(rank, world)

    def __getitem__(self, place: int) -> Pair:
        refused: list[Refusal] = []
        while True:
            spare = place + len(refused) * _SPARE * len(self.pairs)
            try:
                pair = self.pairs[spare]
                good = replace(pair, encoded=self.backbone.encoded(pair.prompt), instead_of=tuple(refused))
            except Exception as error:  # any part may fail in any way; the reason is counted and shown
                refused.append(self._tally.bad(self.pairs.sample(spare).id, error))
                continue
            self._tally.good()
            return good


class PassedOver(Hook):  # type: ignore[misc]
    """Names what is passed over, once each: in the log and in the run's folder.

    Args:
        folder: of the run.
        before: what was passed over when the data was read.
    """

    def __init__(self, folder: Path, before: Sequence[Refusal] = ()) -> None:
        self.file, self.before = folder / FILE, before
        self._known: set[str] = set()

    def before_train(self, runner: Any) -> None:
        """Go on with what was named before."""
        self._known = {each.sample for each in passed_over(self.file.parent)}
        if is_main_process():
            self._name(self.before, runner)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Name what others stand in for: of pairs, or what a batch says itself (``refused``)."""
        del batch_idx
        replaced = (each for pair in data_batch.get("pairs", ()) for each in pair.instead_of)
        self._name((*replaced, *data_batch.get("refused", ())), runner)

    def _name(self, refused: Iterable[Refusal], runner: Any) -> None:
        for each in refused:
            if each.sample not in self._known:
                self._known.add(each.sample)
                runner.logger.warning(f"passed over: sample {each.sample!r}: {each.reason}")  # it drops equal formats
                with self.file.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(asdict(each)) + "\n")


def passed_over(folder: Path) -> list[Refusal]:
    """What a run passed over, each sample once, in the order of their names."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = [Refusal(**json.loads(line)) for line in lines if line.endswith("}")]  # a torn line is no record
    return sorted({each.sample: each for each in found}.values(), key=lambda each: each.sample)
