"""Where an untaught language side begins: what belongs together starts close together.

A word and an object that is what the word says begin in one direction, as do a number and a place; the pointer and the
attention of every layer begin as plain similarity. Training has only to depart from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rsground.models.tower_lm.facts import code
from rsground.models.tower_lm.modeling import TowerLM

_NUMBERS, _PLACES, _TOLD = 0.25, 0.5, 0.4
_WAYS = ("up", "right", "right", "down", "down", "left", "left", "up")
"""What each of the directions is called, clockwise."""

Spell = Callable[[str], Sequence[int]]


@torch.no_grad()
def begin(model: TowerLM, spell: Spell) -> None:
    """Give an untaught model its start.

    Args:
        model: just made.
        spell: text → token ids.
    """
    _begin_numbers(model, spell)
    _begin_words(model, spell)
    nn.init.orthogonal_(model.pointer.asks.weight)
    model.pointer.offers.weight.copy_(model.pointer.asks.weight)
    for layer in model.language_model.model.layers:
        nn.init.orthogonal_(layer.self_attn.q_proj.weight)
        layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)


@torch.no_grad()
def begin_headings(model: TowerLM, spell: Spell) -> None:
    """From here on the second look tells ways to point, all alike at first, in the direction of their words.

    Args:
        model: one that was taught without.
        spell: text → token ids.

    Raises:
        ValueError: the model takes no second look.
    """
    if model.look is None:
        raise ValueError("which way objects point is told by a second look, and the model takes none: say look = 1")
    model.config.headings = True
    told = model.visual.told.weight
    table: Any = model.get_input_embeddings().weight
    words = [_told(table, [*spell(f" {name}")]) for name in _WAYS]
    model.visual.told.weight = nn.Parameter(torch.cat([told[:, :-1], torch.stack(words, 1), told[:, -1:]], 1))
    model.visual.told.in_features = model.config.told
    model.look.begin_headings()


def _begin_numbers(model: TowerLM, spell: Spell) -> None:
    """The tokens of the numbers 0 to 1000 hold the code that places are written in."""
    table: Any = model.get_input_embeddings().weight
    width = model.config.code_width
    numbers = code(torch.arange(1001) / 1000, width) * _NUMBERS
    for number, row in enumerate(numbers):
        (ident,) = spell(str(number))
        table[ident, :width] = row.to(table.dtype)
    model.visual.numbers.weight.mul_(_PLACES)  # they are many, and would drown what the object is


def _begin_words(model: TowerLM, spell: Spell) -> None:
    """An object's class and colour are told in the direction of their words, one and many."""
    table: Any = model.get_input_embeddings().weight
    for column, name in enumerate((*model.config.categories, *model.config.colours)):
        model.visual.told.weight[:, column] = _told(table, [*spell(f" {name}"), *spell(f" {name}s")])


def _told(table: Tensor, ids: Sequence[int]) -> Tensor:
    """Direction and size in which is told what words say."""
    word: Tensor = table[ids].mean(0)
    return word / word.std() * _TOLD
