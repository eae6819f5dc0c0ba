"""Any backbone with any head and segmenter, as the runner wants a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor, nn

from rsground.contracts import Head, TokenHead
from rsground.errors import ContractError, SuiteError
from rsground.models.teachable import TeachableBackbone
from rsground.models.teaching import Taught
from rsground.models.tokens import rows_read
from rsground.models.training.sample_stream import REPLY, Pair


@dataclass(frozen=True, slots=True)
class Trained:
    """What of a system is trained.

    Attributes:
        lora: options of :meth:`.TeachableBackbone.add_lora`; None trains the backbone's own weights.
        freeze: patterns of names (``backbone.*vision_tower*``) that stay as they are.
        train: patterns of names that are trained although something else froze them.
        text_weight: of the loss on what is written.
        checkpointing: compute activations again in the backward pass instead of keeping them.
    """

    lora: Mapping[str, Any] | None = None
    freeze: Sequence[str] = ()
    train: Sequence[str] = ()
    text_weight: float = 1.0
    checkpointing: bool = False

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Trained:
        """From a recipe's table.

        Raises:
            SuiteError: a key is none of these.
        """
        known = [each.name for each in fields(cls)]
        for key in said:
            if key not in known:
                raise SuiteError(
                    f"model of stage 'system' says {key!r}; it may say checkpoint, options, {', '.join(known)}"
                )
        return cls(**said)


@dataclass(slots=True)
class _Read:
    """What a head reads of a batch."""

    hidden: list[Tensor] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)


class SystemModel(BaseModel):  # type: ignore[misc]
    """Losses of a batch of pairs: what the backbone writes, and what the head makes of its states.

    Args:
        backbone: with the head's special tokens.
        head: bound to it, with its segmenter.
        what: what is trained. The vision side of a backbone under LoRA and the segmenter stay as they are unless
            named; so does everything a head's own ``trainable()`` leaves out of the segmenter.

    Raises:
        SuiteError: nothing is left to train, or a pattern names nothing.
    """

    def __init__(self, backbone: TeachableBackbone, head: Head, what: Trained) -> None:
        super().__init__()
        self.parts = (backbone, head)
        self.text_weight = what.text_weight
        self.backbone = backbone.model
        if isinstance(head, nn.Module):
            self.head = head
        if isinstance(getattr(head.segmenter, "module", None), nn.Module):
            self.segmenter = head.segmenter.module  # type: ignore[union-attr]
        _choose(self, backbone, head, what)
        self.still = tuple(_still(self))
        if what.checkpointing:
            _compute_again(backbone.model)

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Tensor]:
        """What training changes: trained parameters, and the running figures of the modules that hold them."""
        state: dict[str, Tensor] = super().state_dict(*args, **options)
        still = {name for name, value in self.named_parameters(remove_duplicate=False) if not value.requires_grad}
        still |= {name for name, _ in self.named_buffers() if not _moves(self, name)}
        for name in still:
            state.pop(name, None)
        return state

    def train(self, mode: bool = True) -> SystemModel:
        """As of any module; parts without a trained weight stay in evaluation mode."""
        super().train(mode)
        for part in self.still:
            part.eval()
        return self

    def forward(self, pairs: Sequence[Pair], mode: str = "loss", of: Sequence[Pair] | None = None) -> dict[str, Tensor]:
        """Losses by name.

        Args:
            pairs: what is taught.
            mode: the runner's.
            of: the batch that the pairs are a part of; then the losses are their share of its losses, by the tokens
                that are written and by the pairs that the head reads.
        """
        del mode
        backbone, head = self.parts
        losses: dict[str, Tensor] = {}
        read = _Read()
        written = [pair for pair in pairs if not pair.forced]
        if written:
            taught = backbone.teach([_asked(pair) for pair in written])
            share = 1.0 if of is None else self._tokens(written) / self._tokens(pair for pair in of if not pair.forced)
            losses["loss_text"] = share * self.text_weight * taught.loss
            _collect(read, head, written, taught)
        forced = [pair for pair in pairs if pair.forced]
        if forced:
            taught = backbone.teach([_asked(pair) for pair in forced])
            if replied := _replied(forced):
                share = 1.0 if of is None else self._tokens(replied) / self._tokens(_replied(of))
                losses["loss_text"] = losses.get("loss_text", 0.0) + share * self.text_weight * taught.loss
            _collect(read, head, forced, taught)
        if isinstance(head, TokenHead) and read.pairs:
            made = head.loss(read.hidden, [pair.sample for pair in read.pairs], [pair.view for pair in read.pairs])
            share = 1.0 if of is None else len(read.pairs) / sum(pair.reads for pair in of)
            losses.update({f"loss_{name}": share * value for name, value in made.items()})
        if not losses:
            raise ContractError(f"head {type(head).__name__} brings its answers along and has no loss to learn from")
        return losses

    def count(self, data: Mapping[str, Any]) -> int:
        """Pairs of a batch."""
        return len(data["pairs"])

    def divided(self, data: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
        """A batch in parts of at most ``most`` pairs."""
        pairs = data["pairs"]
        return ({"pairs": pairs[at : at + most], "of": pairs} for at in range(0, len(pairs), most))

    def _tokens(self, pairs: Iterable[Pair]) -> int:
        """How many tokens the loss on what is written is a mean over."""
        return sum(self.parts[0].taught_tokens(pair.prompt) for pair in pairs)


def _replied(pairs: Sequence[Pair]) -> list[Pair]:
    """Those of which something is learned in words beside a forced answer."""
    return [pair for pair in pairs if pair.forced and REPLY in pair.prompt.options]


def _asked(pair: Pair) -> Any:
    return pair.prompt if pair.encoded is None else pair.encoded


def _collect(read: _Read, head: Head, pairs: Sequence[Pair], taught: Taught) -> None:
    if not isinstance(head, TokenHead):
        return
    for pair, states, ids in zip(pairs, taught.hidden, taught.token_ids, strict=True):
        if pair.reads:
            read.hidden.append(states[rows_read(head, ids)])
            read.pairs.append(pair)


def _choose(model: SystemModel, backbone: TeachableBackbone, head: Head, what: Trained) -> None:
    if hasattr(model, "segmenter"):
        model.segmenter.requires_grad_(False)
    if hasattr(head, "trainable"):
        for _, parameter in head.trainable():
            parameter.requires_grad_(True)
    named = list(model.named_parameters())
    tables = (backbone.model.get_input_embeddings(), backbone.model.get_output_embeddings())
    special: Any = getattr(head, "special_tokens", None)
    if what.lora is not None and special:
        for table in tables:  # a new token's rows are nothing yet
            table.requires_grad_(True)
    for patterns, wanted in ((what.freeze, False), (what.train, True)):
        for pattern in patterns:
            found = [parameter for name, parameter in named if fnmatchcase(name, pattern)]
            if not found:
                some = ", ".join(sorted({name.rpartition(".")[0] for name, _ in named})[:6])
                raise SuiteError(f"the pattern {pattern!r} names none of the model's weights, such as {some} ...")
            for parameter in found:
                parameter.requires_grad_(wanted)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise SuiteError("nothing is left to train: everything is frozen")
    for parameter in trained:
        parameter.data = parameter.data.float()  # updates are too small for half precision


def _compute_again(model: Any) -> None:
    """Activations are computed again in the backward pass; transformers has renamed the switch."""
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _still(model: nn.Module) -> Iterator[nn.Module]:
    """The largest parts that have weights and train none of them."""
    for part in model.children():
        if any(parameter.requires_grad for parameter in part.parameters()):
            yield from _still(part)
        elif any(True for _ in part.parameters()):
            yield part


def _moves(model: nn.Module, name: str) -> bool:
    owner = model.get_submodule(name.rpartition(".")[0])
    return any(parameter.requires_grad for parameter in owner.parameters(recurse=False))
