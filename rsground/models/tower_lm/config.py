"""Configuration of the small vision-language model that the zoo's systems are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import CONFIG_MAPPING, LlamaConfig, PretrainedConfig, ResNetConfig

CATEGORIES = (
    "airplane",
    "baseball diamond",
    "basketball court",
    "bridge",
    "building",
    "ground track field",
    "harbor",
    "helicopter",
    "helipad",
    "large vehicle",
    "open ground",
    "pier",
    "roundabout",
    "ship",
    "small vehicle",
    "soccer field",
    "storage tank",
    "swimming pool",
    "tennis court",
    "vehicle",
)
"""What the tower is taught to tell apart."""
COLOURS = (
    "beige",
    "black",
    "blue",
    "brown",
    "green",
    "grey",
    "orange",
    "red",
    "turquoise",
    "white",
    "yellow",
)
DIRECTIONS = 8
"""Sectors of 45 degrees that ways to point are told apart in, clockwise; the first begins at "up"."""


class TowerLMConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """A convolutional tower that finds objects, and a Llama that reads them.

    Args:
        vision_config: of a :class:`transformers.ResNetModel` (basic blocks).
        text_config: of a :class:`transformers.LlamaForCausalLM`.
        image_size: side the view is resized to, pixels; a multiple of 32.
        fpn_width: channels of the merged maps.
        dense_width: channels of the map at stride 2 that the dense predictions are made from.
        objects: visual tokens spent on the strongest peaks of the tower's object map.
        grid: side of the grid of context tokens; the image costs ``objects + grid**2`` tokens.
        code_width: width of the sinusoidal code of a coordinate.
        categories, colours: what the dense predictions tell apart.
        look: how many times the strongest peaks are looked at again, see :class:`rsground.models.tower_lm.look.Look`.
        headings: whether that also tells which way objects point.
        image_token_index: id of the placeholder of a visual token.
        answer_token_index: id of the mark that ends a question.
        judge_width, judge_layers: of the :class:`rsground.models.tower_lm.judge.Judge`; no layers, no judge.
        judge_compares: whether the judge looks at the geometry of pairs, and counts, see
            :mod:`rsground.models.tower_lm.comparing`.
        judge_measures: whether it, comparing, also measures how objects lie to what a question starts from.
        judge_starts: how many times the judge, measuring, asks the pointer what a question starts from, what that
            starts from, and so on, see :mod:`rsground.models.tower_lm.asking`.
        ledger: whether the :class:`rsground.models.tower_lm.ledger.Ledger` keeps which objects an answer has written.
        cursor: what tokens write of mask grids, see :class:`rsground.models.tower_lm.cursor.Cursor`; empty for none.
        numbers: token ids of the numbers 0 to 1000, which are copied from what is pointed at; empty where none are.

    Raises:
        ValueError: headings are to be told without a second look, or a cursor is to be without a judge.
    """

    model_type = "rsground_tower_lm"
    sub_configs = {"text_config": LlamaConfig, "vision_config": ResNetConfig}  # noqa: RUF012 - transformers reads it

    def __init__(
        self,
        vision_config: dict[str, Any] | PretrainedConfig | None = None,
        text_config: dict[str, Any] | PretrainedConfig | None = None,
        image_size: int = 256,
        fpn_width: int = 48,
        dense_width: int = 32,
        objects: int = 112,
        grid: int = 4,
        code_width: int = 32,
        categories: Sequence[str] = CATEGORIES,
        colours: Sequence[str] = COLOURS,
        look: int = 0,
        headings: bool = False,
        image_token_index: int = 4,
        answer_token_index: int = 3,
        judge_width: int = 64,
        judge_layers: int = 0,
        judge_compares: bool = False,
        judge_measures: bool = False,
        judge_starts: int = 0,
        ledger: bool = False,
        cursor: Mapping[str, Any] | None = None,
        numbers: Sequence[int] = (),
        **kwargs: Any,
    ) -> None:
        self.vision_config = _sub(vision_config, "resnet", **TOWER)
        self.text_config = _sub(text_config, "llama")
        self.image_size, self.fpn_width, self.dense_width = image_size, fpn_width, dense_width
        self.objects, self.grid, self.code_width = objects, grid, code_width
        self.categories, self.colours = list(categories), list(colours)
        if headings and not look:
            raise ValueError("which way objects point is told by a second look: headings needs look >= 1, got look=0")
        self.look, self.headings = int(look), headings
        self.image_token_index, self.answer_token_index = image_token_index, answer_token_index
        self.judge_width, self.judge_layers = judge_width, judge_layers
        self.judge_compares = judge_compares
        self.judge_measures = judge_measures
        self.judge_starts = judge_starts
        self.ledger = ledger
        if cursor and not judge_layers:
            raise ValueError(
                "a cursor tells what the judge has settled: it needs judge_layers >= 1, got judge_layers=0"
            )
        self.cursor = dict(cursor or {})
        self.numbers = list(numbers)
        kwargs.setdefault("tie_word_embeddings", self.text_config.tie_word_embeddings)
        super().__init__(**kwargs)

    @property
    def told(self) -> int:
        """What is told of a visual token: classes, colours, ways to point, and that something is there."""
        return len(self.categories) + len(self.colours) + DIRECTIONS * self.headings + 1

    @property
    def visual_tokens(self) -> int:
        """Tokens that one image costs."""
        return int(self.objects + self.grid**2)


TOWER: dict[str, Any] = {
    "embedding_size": 24,
    "hidden_sizes": [32, 64, 128, 160],
    "depths": [1, 2, 2, 1],
    "layer_type": "basic",
    "hidden_act": "relu",
}
"""The zoo's tower."""


def _sub(given: dict[str, Any] | PretrainedConfig | None, kind: str, **default: Any) -> PretrainedConfig:
    if isinstance(given, PretrainedConfig):
        return given
    options = {**default, **(given or {})}
    options.pop("model_type", None)
    made: PretrainedConfig = CONFIG_MAPPING[kind](**options)
    return made
