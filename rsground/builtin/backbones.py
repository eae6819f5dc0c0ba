"""Backbones that ship in the core: none of them is a model."""

from rsground.specs import BackboneSpec

BACKBONES: list[BackboneSpec] = [
    BackboneSpec(
        name="oracle",
        target="rsground.builtin.oracle:Oracle",
        summary="repeats the head's right answer: the score a perfect model would get through it",
    ),
    BackboneSpec(
        name="replay",
        target="rsground.builtin.replay:Replay",
        summary="reads answers from a JSONL file of {id, text}: score any model's output",
    ),
    BackboneSpec(
        name="blind",
        target="rsground.builtin.blind:Blind",
        summary="writes one fixed text whatever is asked: the floor of a comparison",
    ),
]
