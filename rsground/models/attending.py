"""Where a model looks: attention of its last layer onto the visual tokens, and what the answer's score asks of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from rsground.errors import ContractError
from rsground.models.encoding import Batch, Encoded, join
from rsground.models.families import visual_boxes
from rsground.models.pooling import Pooled, averaged, merged, neighbours, pooled
from rsground.models.running import forward, positions

Of = Literal["logit", "loss"]
_LIKELIEST = -1


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """Attention of one prompt.

    Attributes:
        attention: ``(heads, T, V)`` float32 of the last layer, from T tokens onto the V visual tokens: the last token
            of the prompt; the answer's tokens where one was given; or all that stand behind the image. Rows sum to at
            most 1.
        gradient: ``(heads, T, V)`` float32, derivative by the attention of a sum over T: of the largest logit after
            each token, or of the cross-entropy of the token with the largest logit, in nats.
        boxes: ``(V, 4)`` float32, the part of the last view image a visual token stands for, in its pixels; NaN for
            tokens that stand for none. Where neighbours were averaged V counts what is left.
    """

    attention: Tensor
    gradient: Tensor
    boxes: Tensor


def attend(
    model: Any,
    processor: Any,
    rows: Sequence[Encoded],
    pad: int,
    visual_tokens: int | None = None,
    of: Of = "logit",
    query: bool = False,
) -> list[Attended]:
    """Attention and gradient of prompts with equal needs.

    What stands before the columns that are asked goes through the model once, without a graph and with its own
    attention, keys and values kept. Those columns alone follow: plain attention, and a graph in the last layer. Their
    rows of the last layer's attention reach no score but their own, so this is the gradient of the whole graph.

    Args:
        model: the model.
        processor: its processor.
        rows: the prompts.
        pad: token id for the columns left of shorter rows.
        visual_tokens: most visual tokens that show a place; more are averaged with their neighbours
            (:func:`.pooling.neighbours`), and ``boxes`` are then around what was averaged. None for all.
        of: what is differentiated.
        query: ask all tokens behind the last visual one, each about the token that follows it in the prompt; the last
            one about the likeliest token, as ever.
    """
    tails = [row.answer or () for row in rows]
    asked = [_asked(row, tail, query) for row, tail in zip(rows, tails, strict=True)]
    batch = join(rows, tails, pad, model.device, model.dtype)
    first = batch.mask.shape[1] - max(map(len, asked))
    if any(_last_visual(row) + gap >= first for row, gap in zip(rows, batch.pads, strict=True)):
        if len(rows) > 1:
            return [attend(model, processor, [row], pad, visual_tokens, of, query)[0] for row in rows]
        first, visual_tokens = 0, None  # the token that is asked shows a place itself
    boxes = [visual_boxes(model, processor, row) for row in rows]
    groups = [neighbours(each, visual_tokens) for each in boxes]
    pool = pooled(batch, groups, first)
    attention, gradient = _gradient(model, batch, asked, 0 if query and pool is None else first, pool, of)
    made = []
    for index, (row, follow) in enumerate(zip(rows, asked, strict=True)):
        columns = row.visual.nonzero()[:, 0].to(attention.device) + batch.pads[index]
        columns = columns if pool is None else pool.visual[index]
        pick = [each[index, :, -len(follow) :][..., columns].float() for each in (attention, gradient)]
        made.append(Attended(pick[0], pick[1], torch.from_numpy(merged(boxes[index], groups[index]))))
    return made


def _last_visual(row: Encoded) -> int:
    return int(row.visual.nonzero().max()) if row.visual.any() else -1


def _asked(row: Encoded, tail: Sequence[int], query: bool) -> list[int]:
    """Per token that is asked the one it is asked about, :data:`_LIKELIEST` for whichever the model finds so."""
    if not query:
        return [_LIKELIEST] * max(1, len(tail))
    behind = [*row.tokens["input_ids"][_last_visual(row) + 1 :].tolist(), *tail]
    return [*behind[1:], _LIKELIEST]


def _gradient(
    model: Any, batch: Batch, asked: Sequence[Sequence[int]], first: int, pool: Pooled | None, of: Of
) -> tuple[Tensor, Tensor]:
    """``(B, heads, K, L)`` attention of the K columns from ``first`` on, and its gradient."""
    places = positions(model, batch)[0]
    given: dict[str, Any] = {"past_key_values": _cache(model)}
    before = batch.mask[:, :first]
    if first:
        own = {key: value[:, :first] if key in batch.rows[0].tokens else value for key, value in batch.inputs.items()}
        with torch.no_grad(), averaged(text_model(model), pool):
            _call(model, {**own, **given, "attention_mask": before, "position_ids": places[..., :first]}, 1)
        before = before if pool is None else pool.mask
        given["input_ids"] = batch.inputs["input_ids"][:, first:]
    else:
        given.update(batch.inputs)
    given |= {"attention_mask": torch.cat([before, batch.mask[:, first:]], 1), "position_ids": places[..., first:]}
    with _watched(model, gradients=True) as seen, torch.no_grad():
        logits = _call(model, given, max(map(len, asked))).float()
        scores = [_score(logits[index, -len(follow) :], follow, of) for index, follow in enumerate(asked)]
        (gradient,) = torch.autograd.grad(sum(scores, torch.zeros(())), seen[-1])
    return seen[-1].detach(), gradient


def _score(logits: Tensor, follow: Sequence[int], of: Of) -> Tensor:
    """Sum over T of the logits ``(T, V)`` of the tokens that follow, or of their cross-entropy."""
    ids = torch.tensor(follow, device=logits.device)
    known = logits.gather(1, ids.clamp(min=0)[:, None])[:, 0]
    said = torch.where(ids == _LIKELIEST, logits.amax(dim=-1), known)
    return said.sum() if of == "logit" else (logits.logsumexp(dim=-1) - said).sum()


def _cache(model: Any) -> DynamicCache:
    """One that keeps every column, those beyond a sliding window too: attention's columns are then the batch's."""
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    plain: Any = DynamicLayer
    cache.layers = [plain() if isinstance(each, DynamicSlidingWindowLayer) else each for each in cache.layers]
    return cache


def _call(model: Any, given: dict[str, Any], keep: int) -> Tensor:
    """Logits ``(B, keep, V)`` of the last columns."""
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        given = {**given, "logits_to_keep": keep}
    logits: Tensor = model(**given, use_cache=True).logits
    return logits[:, -keep:]


def attentions(model: Any, rows: Sequence[Encoded], answers: Sequence[Sequence[int]], pad: int) -> list[Tensor]:
    """Last-layer attention ``(heads, T, L)`` float32 of the answers' T tokens over the L of prompt and answer."""
    batch = join(rows, answers, pad, model.device, model.dtype)
    with _watched(model, gradients=False) as seen, torch.no_grad():
        forward(model, batch, 1)
    width = seen[-1].shape[-1]
    return [
        seen[-1][index, :, width - len(answer) :, batch.pads[index] :].float() for index, answer in enumerate(answers)
    ]


@contextmanager
def _watched(model: Any, gradients: bool) -> Iterator[list[Tensor]]:
    """Attention weights ``(B, heads, L, L)`` of the language model's last layer while this lasts.

    Weights exist only where attention is computed plainly, so it is meanwhile. With ``gradients`` the last layer
    records a graph, and nothing before it does: memory stays that of a forward pass.
    """
    layer = _last_layer(model)
    seen: list[Tensor] = []
    config = model.config
    before = {name: getattr(config, name)._attn_implementation for name in config.sub_configs}
    own = config._attn_implementation

    def enter(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        torch.set_grad_enabled(True)
        return tuple(_fresh(each) for each in given), {key: _fresh(each) for key, each in named.items()}

    def _fresh(value: Any) -> Any:
        hidden = isinstance(value, Tensor) and value.is_floating_point() and value.dim() == 3
        return value.detach().requires_grad_() if hidden else value

    def leave(module: Any, given: tuple[Any, ...], made: tuple[Any, ...]) -> None:
        seen.append(made[1])

    hooks = [layer.self_attn.register_forward_hook(leave)]
    if gradients:
        hooks.append(layer.register_forward_pre_hook(enter, with_kwargs=True))
    model.set_attn_implementation("eager")
    try:
        yield seen
    finally:
        model.set_attn_implementation({"": own, **before})
        for hook in hooks:
            hook.remove()


def _last_layer(model: Any) -> Any:
    layers = getattr(text_model(model), "layers", None)
    if not layers or not hasattr(layers[-1], "self_attn"):
        raise ContractError(f"{type(model).__name__} has no layers[-1].self_attn to read attention from")
    return layers[-1]


def text_model(model: Any) -> Any:
    """The stack of blocks of a model's language model, without what scores the tokens."""
    found = model.get_decoder()
    while not hasattr(found, "layers") and found.get_decoder() is not found:
        found = found.get_decoder()
    return found
