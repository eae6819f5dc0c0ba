"""The GeoPixel head: asks, knows the right answer, turns the states of its [SEG] tokens into masks, has the loss.

Shabbir et al., "GeoPixel: Pixel Grounding Large Multimodal Model in Remote Sensing", ICML 2025, arXiv 2501.13925.
Works on any backbone that returns hidden states and any segmenter that decodes prompt embeddings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rsground.codecs import Grammar
from rsground.contracts import TokenHead
from rsground.datasets.gcg_text import mentions
from rsground.errors import ContractError, ShapeError
from rsground.geometry import largest_part
from rsground.models.tokens import ids_of, states_at
from rsground.regions import quad_of, region_from_mask
from rsground.types import Generation, Issue, Prediction, Region, Sample, Task, View
from rsground_segtoken.geopixel import wording
from rsground_segtoken.geopixel.decoding import decode_masks, embedding_decoder, upscale
from rsground_segtoken.geopixel.losses import guide, mask_bce, mask_dice
from rsground_segtoken.geopixel.projection import Projection, load_projection, stored_widths
from rsground_segtoken.geopixel.targets import annotated, description, target_masks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 32
"""Masks decoded together; bounds memory when a model writes [SEG] without end."""


class GeoPixelHead(nn.Module, TokenHead):
    """One mask per [SEG], for referring expressions and for grounded descriptions.

    Args:
        checkpoint: a system's folder, the head's own folder, or a published GeoPixel folder; None starts untrained.
        hidden_size: width of the backbone's states; None: what the checkpoint or :meth:`bind` says.
        embed_dim: width of the segmenter's prompts (SAM 2: 256); None: what the checkpoint or the segmenter says.
        stability_fallback: take SAM 2's other mask tokens where the first one is unstable, as upstream does when it
            evaluates; the loss never does.
        loss_size: longer side of the masks the loss is taken on, in pixels; None for the image's own resolution, as
            published. Targets are then averaged by area.
        bce_weight, dice_weight: as published, beside a text loss of weight 1; both 0 decode nothing.
        guide_weight: of the distance to the embedding that the segmenter itself makes of the target's box; ours, 0 as
            published. For segmenters with ``box_embeddings`` that were trained on such, as the small SAM 2 was.
        largest_part: keep of each mask only its largest connected part; ours, off as published. A stray part of a
            mask costs little, but spoils the box around it.
        keep_features: images whose features are kept, by ``view.meta["uri"]``; 0 keeps none.

    The mask decoder is trained and belongs to the segmenter: :meth:`trainable` names what an optimiser needs.
    """

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.HBB, Task.OBB, Task.MASK, Task.GCG})
    special_tokens: ClassVar[tuple[str, ...]] = (wording.SEG, wording.OPEN, wording.CLOSE)
    state_token: ClassVar[str] = wording.SEG
    """The special token whose states :meth:`loss` is given."""

    def __init__(
        self,
        checkpoint: str | Path | None = None,
        *,
        hidden_size: int | None = None,
        embed_dim: int | None = None,
        stability_fallback: bool = True,
        loss_size: int | None = None,
        bce_weight: float = 2.0,
        dice_weight: float = 0.5,
        guide_weight: float = 0.0,
        largest_part: bool = False,
        keep_features: int = 8,
    ) -> None:
        super().__init__()
        if loss_size is not None and loss_size < 1:
            raise ShapeError(f"option 'loss_size' must be at least 1 pixel or None, got {loss_size}")
        self.stability_fallback, self.loss_size, self.keep_features = stability_fallback, loss_size, keep_features
        self.largest_part = largest_part
        self.bce_weight, self.dice_weight, self.guide_weight = bce_weight, dice_weight, guide_weight
        self.token_ids: Mapping[str, int] = {}
        self.text_hidden_fcs: Projection | None = None
        self._features: OrderedDict[Any, Any] = OrderedDict()
        self._hidden_size, self._embed_dim = hidden_size, embed_dim
        if checkpoint is not None:
            self._hidden_size, self._embed_dim = stored_widths(checkpoint)
        self._build()
        if checkpoint is not None:
            load_projection(self, checkpoint)

    def __setattr__(self, name: str, value: Any) -> None:
        """The segmenter is no part of the head's own state; setting it says how wide the projection must be."""
        if name != "segmenter":
            super().__setattr__(name, value)
            return
        object.__setattr__(self, name, value)
        self._features.clear()
        self._build()

    def bind(self, backbone: Any) -> None:
        """Take token ids, width and device from the backbone; one that brings its own mask parts gives them, too.

        Raises:
            ContractError: it has no hidden states to read, the special tokens are not in its vocabulary, or its states
                are of another width.
        """
        if not hasattr(backbone, "tokenizer") or not hasattr(backbone, "hidden_size"):
            raise ContractError(
                f"head 'geopixel' reads hidden states, backbone {type(backbone).__name__} has none; 'transformers' does"
            )
        self.token_ids = ids_of(backbone.tokenizer, self.special_tokens)
        if self.segmenter is None:
            self.segmenter = getattr(backbone, "segmenter", None)
        if self._hidden_size is None:
            self._hidden_size = int(backbone.hidden_size)
        if self._hidden_size != int(backbone.hidden_size):
            raise ContractError(
                f"this 'geopixel' head projects states of width {self._hidden_size}, the backbone's are "
                f"{backbone.hidden_size} wide: they belong to two systems"
            )
        self._build()
        self.to(backbone.device)

    def trainable(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Name and parameter of all that GeoPixel trains here: the projection and the segmenter's mask decoder.

        Everything else of the segmenter is frozen.
        """
        yield from self.named_parameters()
        module = getattr(self.segmenter, "module", None)
        if module is not None:
            module.requires_grad_(False)
            module.sam_mask_decoder.requires_grad_(True)
            for name, parameter in module.sam_mask_decoder.named_parameters():
                yield f"segmenter.sam_mask_decoder.{name}", parameter

    def _ask(self, sample: Sample) -> str:
        if sample.task is Task.GCG:
            return sample.expression.strip() or wording.DESCRIBE
        return wording.REFER.format(phrase=sample.expression.strip().rstrip("."))

    def target(self, sample: Sample, view: View) -> str:
        """The published sentence with one [SEG] per target, or the sample's description."""
        del view
        return description(sample) if sample.task is Task.GCG else wording.answer(len(annotated(sample)))

    def grammar(self, sample: Sample, view: View) -> Grammar:
        """Fixed sentences for an expression; free text with well-formed marks for a description."""
        del view
        return wording.description_grammar() if sample.task is Task.GCG else wording.referring_grammar()

    def loss(self, hidden: Sequence[Any], samples: Sequence[Sample], views: Sequence[View]) -> Mapping[str, Any]:
        """Weighted ``bce``, ``dice`` and ``guide``, each the mean over all masks of the batch; 0 where there is none.

        Args:
            hidden: per sample ``(K, D)``, the states at the K [SEG] of the right answer.
            samples: with targets; the k-th [SEG] stands for the k-th target, or for those its span covers.
            views: what the model saw; masks live in the image that tiles were cut from.

        Raises:
            ContractError: a sample has another number of [SEG] than states, or the segmenter embeds no boxes.
        """
        weights = {"bce": self.bce_weight, "dice": self.dice_weight, "guide": self.guide_weight}
        found: dict[str, list[Tensor]] = {name: [] for name, weight in weights.items() if weight}
        for states, sample, view in zip(hidden, samples, views, strict=True):
            seen = view.source
            wanted = target_masks(sample, seen)
            if len(wanted) != len(states):
                raise ContractError(
                    f"the answer to sample {sample.id!r} has {len(wanted)} {wording.SEG}, got {len(states)} states"
                )
            if not len(wanted):
                continue
            prompts = self.project(states)
            if "guide" in found:
                found["guide"].append(guide(prompts, wanted, self.segmenter))
            if "bce" in found or "dice" in found:
                logits = decode_masks(embedding_decoder(self.segmenter), self.features(seen), prompts)
                logits, truth = self._at_loss_size(logits, wanted)
                for name, loss in (("bce", mask_bce), ("dice", mask_dice)):
                    if name in found:
                        found[name].append(loss(logits, truth))
        nothing = sum(parameter.sum() * 0.0 for parameter in self._projection().parameters())
        return {name: weights[name] * torch.cat(each).mean() if each else nothing for name, each in found.items()}

    def read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        """The answer in the original image's pixels; masks are decoded in the image that tiles were cut from."""
        return super().read(generation, sample, view.source)

    def project(self, states: Tensor) -> Tensor:
        """States ``(K, D)`` as prompt embeddings ``(K, C)``."""
        projection = self._projection()
        weight = next(projection.parameters())
        found: Tensor = projection[0](states.to(weight.device, weight.dtype))
        return found

    def features(self, view: View) -> Any:
        """The segmenter's features of a view's last image, without gradients. Override to take them from a store."""
        uri = view.meta.get("uri")
        key = None if uri is None or not self.keep_features else (uri, view.size, view.to_original)
        if key is not None and key in self._features:
            self._features.move_to_end(key)
            return self._features[key]
        with torch.no_grad():
            found = embedding_decoder(self.segmenter).encode(view.images[-1])
        if key is not None:
            self._features[key] = found
            while len(self._features) > self.keep_features:
                self._features.popitem(last=False)
        return found

    @torch.no_grad()
    def masks(self, states: Tensor, view: View) -> NDArray[np.bool_]:
        """Masks ``(K, h, w)`` of an answer in ``view`` pixels: logits over 0 at the view's own resolution."""
        decoder, features = embedding_decoder(self.segmenter), self.features(view)
        fallback = self.stability_fallback
        prompts = self.project(states)
        parts = [
            (upscale(decode_masks(decoder, features, prompts[start : start + _AT_ONCE], fallback), view.size) > 0).cpu()
            for start in range(0, len(prompts), _AT_ONCE)
        ]
        found: NDArray[np.bool_] = torch.cat(parts or [torch.zeros(0, *view.size, dtype=torch.bool)]).numpy()
        return found

    def _read(self, generation: Generation, sample: Sample, view: View) -> Prediction:
        named = mentions(generation.text)
        if not named:
            return _without_masks(generation.text, sample.task)
        states = states_at(generation, self.token_ids.get(wording.SEG, -1))
        if states is None or not len(states):
            reason = Issue("no-answer", f"{len(named)} {wording.SEG}, and the backbone captured no states for them")
            return Prediction(parsed=False, issues=(reason,))
        issues = []
        if len(states) != len(named):
            issues.append(Issue("truncated", f"{len(named)} {wording.SEG} in the text, {len(states)} states"))
        regions: list[Region] = []
        for number, mask in enumerate(self.masks(states[: len(named)], view)):
            mention = named[number]
            if self.largest_part:
                mask = largest_part(mask)
            region = region_from_mask(mask, label=mention.phrase or None)
            if sample.task is Task.GCG:
                region = replace(region, span=mention.span)
            elif sample.task in (Task.HBB, Task.OBB):
                if not mask.any():
                    issues.append(Issue("degenerate", f"{wording.SEG} number {number + 1} has an empty mask"))
                    continue
                if sample.task is Task.OBB:
                    region = replace(region, quad=quad_of(region))
            regions.append(region)
        return Prediction(regions=tuple(regions), issues=tuple(issues))

    def _at_loss_size(self, logits: Tensor, wanted: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
        """Logits and targets ``(K, h, w)`` at the resolution the loss is taken on."""
        truth = torch.from_numpy(wanted).to(logits.device, torch.float32)
        height, width = truth.shape[1:]
        if self.loss_size is not None and max(height, width) > self.loss_size:
            scale = self.loss_size / max(height, width)
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
            truth = F.interpolate(truth[:, None], size=(height, width), mode="area")[:, 0]
        return upscale(logits, (height, width)), truth

    def _projection(self) -> Projection:
        if self.text_hidden_fcs is None:
            raise ContractError(
                "this 'geopixel' head does not know its widths yet: give hidden_size= and embed_dim=, or set its "
                "segmenter and call bind(backbone)"
            )
        return self.text_hidden_fcs

    def _build(self) -> None:
        """Make the projection as soon as both widths are known."""
        if self.segmenter is not None:
            width = embedding_decoder(self.segmenter).embed_dim
            if self._embed_dim is not None and self._embed_dim != width:
                raise ContractError(
                    f"this 'geopixel' head projects to prompts of width {self._embed_dim}, the segmenter "
                    f"{type(self.segmenter).__name__} takes {width}: they belong to two systems"
                )
            self._embed_dim = width
        if self.text_hidden_fcs is None and self._hidden_size is not None and self._embed_dim is not None:
            self.text_hidden_fcs = Projection(self._hidden_size, self._embed_dim)


def _without_masks(text: str, task: Task) -> Prediction:
    """What an answer without [SEG] says: a description of nothing in particular, that nothing is there, or nothing."""
    if not text.strip():
        return Prediction(parsed=False, issues=(Issue("empty", "the answer holds no text"),))
    if task is Task.GCG or wording.says_none(text):
        return Prediction()
    return Prediction(parsed=False, issues=(Issue("missing-tag", f"the answer has no {wording.SEG}"),))
