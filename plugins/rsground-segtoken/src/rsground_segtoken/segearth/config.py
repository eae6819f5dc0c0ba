"""Options of the SegEarth-R1 head, and the presets they start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rsground.errors import ShapeError, UnknownNameError
from rsground_segtoken.segearth.branch import BranchConfig
from rsground_segtoken.segearth.swin import SWINS, SwinConfig

ENCODERS = ("swin", "backbone")


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Everything about the head; the defaults are the published model's (preset ``"paper"``).

    Attributes:
        encoder: ``"swin"``: the head sees the image itself. ``"backbone"``: it takes the backbone's maps.
        swin: sizes of its encoder, by name or as :class:`SwinConfig` fields; read with ``encoder="swin"``.
        channels: of the backbone's maps, finest first; read with ``encoder="backbone"``. Four maps at strides 4, 8,
            16, 32, or five beginning at stride 2.
        size: side of the square frame that images are brought to; read with ``encoder="swin"``.
        width, latent, heads: channels of the decoders, of the description's projections, and attention heads.
        pixel_layers, pixel_hidden: of the pixel decoder's deformable encoder.
        layers, decoder_hidden: of the mask decoder.
        mask_stride: 4, or 2 for finer masks, their detail taken from the backbone's fifth map or the pixels.
        freeze: no gradients for the encoder, which then stays in evaluation mode.
        connector: compress the coarsest map to visual tokens, for backbones that see through the head.
        presence: a trained logit says whether anything is there at all (upstream has none).
        reject: probability of presence below which the answer is *nothing is there*; read with ``presence``.
        min_score: mean probability of the mask's pixels below which the answer is *nothing is there*; 0 never.
        points: points per mask and prediction that the mask losses are taken at.
        mask_weight, dice_weight, presence_weight: of the losses.
        split: for box tasks, one region per connected part of the mask instead of one in all.
        tidy: parts smaller than this share of the largest one are dropped; 0 keeps all.
        question: the user's turn; the description is no part of it but of the forced answer.
        cache: images whose features are kept in evaluation.
    """

    encoder: str = "swin"
    swin: str | Mapping[str, Any] = "swin-b"
    channels: tuple[int, ...] = (64, 64, 64, 64)
    size: int = 1024
    width: int = 256
    latent: int = 512
    heads: int = 8
    pixel_layers: int = 6
    pixel_hidden: int = 1024
    layers: int = 9
    decoder_hidden: int = 2048
    mask_stride: int = 4
    freeze: bool = True
    connector: bool = True
    presence: bool = False
    reject: float = 0.5
    min_score: float = 0.0
    points: int = 12544
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    presence_weight: float = 1.0
    split: bool = False
    tidy: float = 0.0
    question: str = "Please doing Referring Segmentation according to the following instruction:"
    cache: int = 4
    stored_unused: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise UnknownNameError("encoder of head 'segearth-r1'", self.encoder, ENCODERS)
        if self.encoder == "backbone" and len(self.channels) not in (4, 5):
            raise ShapeError(f"option 'channels' must name 4 maps, or 5 beginning at stride 2, got {self.channels}")
        if self.mask_stride not in (2, 4):
            raise ShapeError(f"option 'mask_stride' must be 4 or 2, got {self.mask_stride}")
        if self.encoder == "backbone" and len(self.channels) == 5 and self.mask_stride != 2:
            raise ShapeError("a map at stride 2 is for masks at stride 2: give mask_stride=2, or four channels")
        if self.width % 32 or self.width % self.heads or self.latent % self.heads:
            raise ShapeError(
                f"option 'width' must be a multiple of 32 and, like 'latent', of 'heads', got width={self.width}, "
                f"latent={self.latent}, heads={self.heads}"
            )
        if self.encoder == "swin" and (self.size < 32 or self.size % 32):
            raise ShapeError(f"option 'size' must be a positive multiple of 32, got {self.size}")
        for name in ("reject", "min_score", "tidy"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ShapeError(f"option {name!r} must be in [0, 1], got {getattr(self, name)}")

    @property
    def tower(self) -> SwinConfig:
        """Sizes of the head's own encoder."""
        if isinstance(self.swin, str):
            if self.swin not in SWINS:
                raise UnknownNameError("Swin configuration", self.swin, SWINS)
            return SWINS[self.swin]
        known = [each.name for each in fields(SwinConfig)]
        for name in self.swin:
            if name not in known:
                raise UnknownNameError("field of option 'swin'", name, known)
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, Sequence) else value for name, value in self.swin.items()
        }
        return SwinConfig(**values)

    @property
    def branch(self) -> BranchConfig:
        """Sizes of the mask branch."""
        channels = self.tower.channels if self.encoder == "swin" else tuple(self.channels)
        return BranchConfig(
            channels=channels[-4:],
            width=self.width,
            latent=self.latent,
            heads=self.heads,
            pixel_layers=self.pixel_layers,
            pixel_hidden=self.pixel_hidden,
            layers=self.layers,
            hidden=self.decoder_hidden,
            detail=(channels[0] if len(channels) == 5 else 3) if self.mask_stride == 2 else 0,
            stored_unused=self.stored_unused,
        )


PRESETS = {
    "paper": HeadConfig(),
    "small": HeadConfig(
        swin="swin-small",
        size=256,
        width=128,
        latent=128,
        heads=4,
        pixel_layers=1,
        pixel_hidden=256,
        layers=3,
        decoder_hidden=256,
        freeze=False,
        connector=False,
        presence=True,
        points=2048,
        split=True,
        tidy=0.1,
        question="Segment what is described.",
        cache=16,
        stored_unused=False,
    ),
}
"""The published model, and one that trains on two CPU cores."""


def configured(preset: str, options: Mapping[str, Any]) -> HeadConfig:
    """A preset with options changed.

    Raises:
        UnknownNameError: no such preset or option.
        ShapeError: a value that cannot be built.
    """
    if preset not in PRESETS:
        raise UnknownNameError("preset of head 'segearth-r1'", preset, PRESETS)
    known = [each.name for each in fields(HeadConfig)]
    for name in options:
        if name not in known:
            raise UnknownNameError("option of head 'segearth-r1'", name, [*known, "hidden_size", "preset"])
    changes = dict(options)
    if "channels" in changes:
        changes["channels"] = tuple(changes["channels"])
    return replace(PRESETS[preset], **changes)
