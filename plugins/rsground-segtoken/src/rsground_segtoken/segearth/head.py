"""SegEarth-R1's paradigm: the description's states make one query, and the query makes the mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsground.contracts import Prompt, TokenHead
from rsground.errors import ContractError, DataError
from rsground.models.tokens import ids_of, positions
from rsground.regions import union_mask, unmap_region
from rsground.types import Generation, Issue, Prediction, Sample, Task, View
from rsground_segtoken.segearth.answers import mean_probability, regions_of
from rsground_segtoken.segearth.branch import MaskBranch
from rsground_segtoken.segearth.config import configured
from rsground_segtoken.segearth.connector import CompressionConnector
from rsground_segtoken.segearth.criterion import mask_losses
from rsground_segtoken.segearth.description import pool_rows
from rsground_segtoken.segearth.features import FeatureCache, Features, backbone_maps, pixels_of
from rsground_segtoken.segearth.frame import Frame, framed_mask
from rsground_segtoken.segearth.predictor import Masks
from rsground_segtoken.segearth.swin import Swin
from rsground_segtoken.segearth.weights import load_head, width_of

SEG = "[SEG]"


class SegEarthR1Head(TokenHead, nn.Module):
    """The description is put into the answer and read back as states: one forward, nothing is decoded.

    Li et al., "SegEarth-R1", arXiv 2504.09644. The mean state of the description's tokens (and the [SEG] behind them)
    is projected twice, once refined by looking at the image's coarsest map; both make the single query of a
    Mask2Former decoder. Runs on any backbone that gives hidden states. Boxes are derived from masks.

    Args:
        checkpoint: a system's folder, or the published checkpoint's; None for fresh weights.
        hidden_size: width of the backbone's states; None to read it from the checkpoint, or from the backbone at
            :meth:`bind`.
        preset: ``"small"`` (trains on two CPU cores) or ``"paper"`` (published sizes); options change it.
        options: fields of :class:`~rsground_segtoken.segearth.config.HeadConfig`.

    Attributes:
        states: ``"answer"``: :meth:`loss` wants the states of *all* answer tokens, as :meth:`target` writes them. What
            those tokens say is the description itself, so no text loss is taken on them.

    Raises:
        UnknownNameError: no such preset or option.
        ShapeError: an option's value cannot be built.
        CheckpointError: the weights are missing or do not fit.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.OBB, Task.MASK})
    special_tokens: ClassVar[tuple[str, ...]] = (SEG,)
    states: ClassVar[str] = "answer"

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        hidden_size: int | None = None,
        preset: str = "small",
        **options: Any,
    ) -> None:
        nn.Module.__init__(self)
        self.config = configured(preset, options)
        self.backbone: Any = None
        self.token_ids: Mapping[str, int] = {}
        self.encoder: Swin | None = None
        self.connector: CompressionConnector | None = None
        self.branch: MaskBranch | None = None
        self.presence: nn.Linear | None = None
        self._cache = FeatureCache(self.config.cache)
        if checkpoint is not None and hidden_size is None:
            hidden_size = width_of(checkpoint)
        if hidden_size is not None:
            self._build(hidden_size)
        if checkpoint is not None:
            load_head(self, checkpoint)

    def _build(self, hidden_size: int) -> None:
        config = self.config
        self.branch = MaskBranch(hidden_size, config.branch)
        if config.encoder == "swin":
            self.encoder = Swin(config.tower)
            self.encoder.requires_grad_(not config.freeze)
            if config.connector:
                self.connector = CompressionConnector(config.tower.channels[-1], hidden_size, config.size // 32)
        if config.presence:
            self.presence = nn.Linear(config.width, 1)
        self.train(self.training)

    def bind(self, backbone: Any) -> None:
        """Learn the backbone's width, device and the id of ``[SEG]``; called once by whoever joins the parts.

        A backbone that has ``see`` is lent :meth:`visual_tokens` for it, where there is a connector, and told in
        ``visual`` how many they are.

        Raises:
            ContractError: its tokenizer does not know ``[SEG]``, or the weights are for another width.
        """
        object.__setattr__(self, "backbone", backbone)  # never a submodule, even where it is a module
        width = getattr(backbone, "hidden_size", None)
        if self.branch is None and width is not None:
            self._build(int(width))
        built = self.hidden_size
        if built is not None and width is not None and built != width:
            raise ContractError(
                f"head 'segearth-r1' was built for states of width {built}, and backbone {type(backbone).__name__} "
                f"gives {width}: they belong to different systems"
            )
        tokenizer = getattr(backbone, "tokenizer", None)
        if tokenizer is not None:
            self.token_ids = ids_of(tokenizer, self.special_tokens)
        if getattr(backbone, "device", None) is not None:
            self.to(backbone.device)
        if self.connector is not None and hasattr(backbone, "see"):
            backbone.see, backbone.visual = self.visual_tokens, self.connector.tokens

    @property
    def hidden_size(self) -> int | None:
        """Width of the states it reads; None before it is built."""
        return None if self.branch is None else self.branch.text_projector.in_features

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self._built().text_projector.weight.device

    def train(self, mode: bool = True) -> SegEarthR1Head:
        """As of any module; a frozen encoder stays in evaluation mode, and kept features are forgotten."""
        nn.Module.train(self, mode)
        if self.encoder is not None and self.config.freeze:
            self.encoder.eval()
        self._cache.clear()
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._cache.clear()
        nn.Module._load_from_state_dict(self, *args, **kwargs)

    # -- asking ---------------------------------------------------------------------------------------------------

    def prompt(self, sample: Sample, view: View) -> Prompt:
        """The question with the description as its forced answer."""
        return replace(super().prompt(sample, view), answer=self.target(sample, view))

    def _ask(self, sample: Sample) -> str:
        del sample
        return self.config.question

    def target(self, sample: Sample, view: View) -> str:
        """The description and ``[SEG]``: what is fed, not what is found; the same with and without targets."""
        del view
        return " ".join(sample.expression.replace(SEG, " ").split()) + SEG

    def reply(self, sample: Sample) -> str | None:
        """The sample's answer in words, where the backbone learns it: ``segearth-r1-phi``, ``kind="Reasoning"``."""
        return sample.answer if getattr(self.backbone, "replies", False) else None

    def visual_tokens(self, views: Sequence[View]) -> Tensor:
        """The connector's tokens ``(B, V, D)``, with gradients where the mode has them; views of one array seen once.

        Raises:
            ContractError: the head has no connector.
        """
        if self.encoder is None or self.connector is None:
            raise ContractError("head 'segearth-r1' has a connector with encoder='swin' and connector=True only")
        unique, rows = _unique(views)
        frames = [Frame.of(view.size, self.config.size) for view in unique]
        with self._encoding():
            coarsest = self.encoder(pixels_of(unique, frames, self.device))[-1]
        tokens: Tensor = self.connector(coarsest)
        return tokens[rows]

    # -- seeing ---------------------------------------------------------------------------------------------------

    def features(self, view: View) -> Features:
        """What is known of one view; in evaluation without gradients, kept for the views seen last.

        Views are told apart by ``view.meta["uri"]`` where it is there, else by their array if it is read-only.
        """
        if self.training or torch.is_grad_enabled():
            return self.encode([view])
        return self._cache.get(view, lambda each: self.encode([each]))

    def encode(self, views: Sequence[View]) -> Features:
        """Features of views, with gradients where the mode has them; views of one array are encoded once."""
        branch = self._built()
        unique, rows = _unique(views)
        with self._encoding():
            if self.encoder is not None:
                frames = tuple(Frame.of(view.size, self.config.size) for view in unique)
                lateral: Tensor | None = pixels_of(unique, frames, self.device)
                maps = self.encoder(lateral)
            else:
                found, frames = backbone_maps(self.backbone, unique, self.config.channels)
                maps = [level.to(self.device, torch.float32) for level in found]
                lateral = maps[0] if len(maps) == 5 or self.config.mask_stride == 4 else None
        if lateral is None:
            lateral = pixels_of(unique, frames, self.device)
        return Features(maps[-1], branch.pixels(maps[-4:], lateral), frames).pick(rows)

    def _encoding(self) -> AbstractContextManager[Any]:
        """The mode an encoder runs in: without gradients where it is frozen."""
        return torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.freeze)

    # -- answering ------------------------------------------------------------------------------------------------

    def rows(self, generation: Generation) -> Tensor:
        """States ``(n, D)`` of the description up to its ``[SEG]``; of all answer tokens where that is not known."""
        hidden: Tensor = generation.hidden
        found = positions(generation.token_ids, self.token_ids[SEG]) if SEG in self.token_ids else ()
        return hidden[: found[0] + 1] if found else hidden

    def masks(self, hidden: Sequence[Tensor], features: Features) -> Masks:
        """One mask per description, ``hidden`` being its rows ``(n_i, D)``."""
        branch = self._built()
        weight = branch.text_projector.weight
        pooled = pool_rows([each.to(weight.device, weight.dtype) for each in hidden])
        return branch.masks(pooled, features.coarsest, features.pixels)

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        if generation.hidden is None or len(generation.hidden) == 0 or self.branch is None:
            detail = "the backbone gave no hidden states" if self.branch else "the head is not bound to a backbone"
            return Prediction(parsed=False, issues=(Issue("no-answer", detail),))
        with torch.inference_mode():
            features = self.features(view)
            found = self.masks([self.rows(generation)], features)
            logits = features.frames[0].take(found.logits[-1][0])[0]
            presence = 1.0 if self.presence is None else float(self.presence(found.queries[0, 0]).sigmoid())
            probability = logits.sigmoid().cpu().numpy()
        config = self.config
        if presence < config.reject * (self.presence is not None) or mean_probability(probability) < config.min_score:
            return Prediction()
        split = config.split and sample.task is not Task.MASK
        return Prediction(regions=regions_of(probability, split=split, tidy=config.tidy, presence=presence))

    # -- learning -------------------------------------------------------------------------------------------------

    def loss(self, hidden: Sequence[Any], samples: Sequence[Sample], views: Sequence[View]) -> Mapping[str, Tensor]:
        """Weighted losses: ``mask`` and ``dice``, summed over all predictions of the decoder, and ``presence``.

        The mask is the union of the sample's targets; an empty one where nothing is there.

        Args:
            hidden: per sample ``(n_i, D)`` states of all its answer tokens, the description and its [SEG].
            samples: with their targets.
            views: what the model saw.

        Raises:
            DataError: a sample is not annotated.
        """
        features = self.encode(views)
        found = self.masks(hidden, features)
        labels = torch.stack(
            [
                framed_mask(_union(sample, view), frame)
                for sample, view, frame in zip(samples, views, features.frames, strict=True)
            ]
        ).to(self.device)
        entropy, dice = mask_losses([logits[:, 0] for logits in found.logits], labels, self.config.points)
        losses = {"mask": self.config.mask_weight * entropy, "dice": self.config.dice_weight * dice}
        if self.presence is not None:
            there = torch.tensor([float(bool(sample.targets)) for sample in samples], device=self.device)
            said = self.presence(found.queries[:, 0])[:, 0]
            losses["presence"] = self.config.presence_weight * functional.binary_cross_entropy_with_logits(said, there)
        return losses

    def _built(self) -> MaskBranch:
        if self.branch is None:
            raise ContractError(
                "head 'segearth-r1' does not know the width of the backbone's states yet: give hidden_size, or bind it"
            )
        return self.branch


def _unique(views: Sequence[View]) -> tuple[list[View], list[int]]:
    """The views of different arrays, and which of them each view shows."""
    unique: list[View] = []
    rows: list[int] = []
    places: dict[int, int] = {}
    for view in views:
        place = places.setdefault(id(view.images[-1]), len(unique))
        if place == len(unique):
            unique.append(view)
        rows.append(place)
    return unique, rows


def _union(sample: Sample, view: View) -> Any:
    if sample.targets is None:
        raise DataError(f"sample {sample.id!r} is not annotated, so no loss can be taken on it")
    return union_mask((unmap_region(region, view) for region in sample.targets), view.size)
