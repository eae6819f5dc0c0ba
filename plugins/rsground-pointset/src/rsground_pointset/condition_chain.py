"""The condition parser at work: an instruction is split, and its steps are asked one after another.

GeoRSMLLM, section III-B: a parser P, "an independent LLM", breaks an instruction into sub-instructions with one
condition each (equation 6); the model answers the first, and each further one "using the result of the previous
sub-instruction". The last step is the head's own question; this preprocessor asks all those before it, in that head's
words, and leaves their answer in ``view.meta["conditions"]``, where the head finds it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from rsground.contracts import Backbone, Head, Preprocessor, Prompt
from rsground.errors import ContractError, UnknownNameError
from rsground.types import Generation, Sample, Task, Usage, View
from rsground_pointset.chained import KEY, NO_COST, Chained, added
from rsground_pointset.conditions import read_steps, split, splitting_prompt
from rsground_pointset.georsmllm import GeoRsmllmHead

Parser = Literal["backbone", "rules"]
CHAINED = frozenset({Task.HBB, Task.OBB, Task.MASK, Task.CHANGE})
"""Tasks that are asked in a chain; candidates are oriented boxes, for change polygons."""


class ConditionChain(Preprocessor):
    """Splits the expression and asks all steps but the last.

    Put it last, so that every step is asked about what the model sees. Nothing of the image changes. Where the chain
    cannot go on (see :attr:`Chained.plain`), the head asks the instruction as it is. It stands before the head
    ``georsmllm`` only: another one's question does not take the candidates, and what the steps cost would be lost.

    Each question carries its sample under an id of its own, ``<id>#conditions`` for the parser and ``<id>#step-1`` and
    so on, so that a chain can be replayed from a file of answers.

    Args:
        parser: ``"backbone"``: the backbone splits, asked without the image (the paper has an independent language
            model; any backbone can be it); where its answer holds no steps, the rules do. ``"rules"``: no model.
        max_new_tokens: where the answer of the parser is cut.

    Raises:
        UnknownNameError: no such parser.
    """

    def __init__(self, parser: Parser = "backbone", max_new_tokens: int = 256) -> None:
        if parser not in get_args(Parser):
            raise UnknownNameError("parser", parser, get_args(Parser))
        self.parser, self.max_new_tokens = parser, max_new_tokens
        self._head: GeoRsmllmHead | None = None

    def listen(self, head: Head) -> None:
        """From now on, steps are worded, constrained and read by ``head``, the one that asks the last step.

        Raises:
            ContractError: a head that does not take what a chain has found.
        """
        if not isinstance(head, GeoRsmllmHead):
            raise ContractError(
                "preprocessor 'condition-chain' stands before head 'georsmllm', whose question takes what the steps "
                f"have found; that of {type(head).__name__} does not: leave the chain out, or take head 'georsmllm'"
            )
        self._head = head

    def _apply(self, view: View, sample: Sample, backbone: Backbone | None) -> View:
        if sample.task not in CHAINED:
            return view
        if backbone is None or backbone.needs_answer:
            reason = "no-backbone" if backbone is None else "needs-answer"
            return _with(view, Chained(plain=reason))
        if self._head is None:
            raise ContractError(
                "preprocessor 'condition-chain' asks in the words of the system's head and was told of none: suites, "
                "recipes and Grounder tell it; where parts are joined by hand, call listen(head) first"
            )
        state = self._parsed(sample, backbone)
        steps = state.steps
        if len(steps) < 2:
            return _with(view, replace(state, plain="one-condition"))
        for number in range(1, len(steps)):
            state = _answered(replace(state, steps=steps[:number]), self._head, view, sample, backbone)
            if not state.candidates:
                return _with(view, replace(state, steps=steps, plain="no-candidates"))
        return _with(view, replace(state, steps=steps))

    def _parsed(self, sample: Sample, backbone: Backbone) -> Chained:
        if self.parser == "rules":
            return Chained(steps=split(sample.expression), usage=NO_COST)
        asked = Prompt(
            splitting_prompt(sample.expression),
            max_new_tokens=self.max_new_tokens,
            sample=replace(sample, id=f"{sample.id}#conditions"),
        )
        said = _one(backbone, asked)
        return Chained(steps=read_steps(said.text, sample.expression), said=(said.text,), usage=said.usage)


def _answered(state: Chained, head: GeoRsmllmHead, view: View, sample: Sample, backbone: Backbone) -> Chained:
    """The chain with the answer to its last step so far."""
    task = sample.task if sample.task is Task.CHANGE else Task.OBB
    step = replace(sample, id=f"{sample.id}#step-{len(state.steps)}", task=task)
    said = _one(backbone, head.prompt(step, _with(view, state)))
    found = head.read(replace(said, usage=Usage()), step, view)
    return replace(state, candidates=found.regions, said=(*state.said, said.text), usage=added(state.usage, said.usage))


def _one(backbone: Backbone, prompt: Prompt) -> Generation:
    (said,) = backbone.generate([prompt])
    return said


def _with(view: View, state: Chained) -> View:
    return replace(view, meta={**view.meta, KEY: state})
