"""Any vision-language model of transformers as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from rsground.contracts import Prompt
from rsground.errors import PromptError
from rsground.models import adapters
from rsground.models.answering import Answerer
from rsground.models.attending import Attended, Of, attend
from rsground.models.devices import in_parts, pick_device
from rsground.models.encoding import Encoded, Encoder, grouped
from rsground.models.families import visual_boxes
from rsground.models.loading import fitting_dtype, hub_folder, load_model, load_processor
from rsground.models.marks import marks_of
from rsground.models.teachable import TeachableBackbone
from rsground.models.teaching import Taught, teach
from rsground.types import Generation, View

Answer = TypeVar("Answer")


class TransformersBackbone(TeachableBackbone):
    """A model of transformers' ``AutoModelForImageTextToText`` from a local folder in hub layout.

    Prompts of any kind may come together: they are answered in batches of equal needs, padded on the left. Where memory
    runs out a batch is halved.

    In float32 each prompt gets the answer that it would get alone. In bfloat16 and float16 it need not: a batch adds up
    in another order, sums round differently, and where two tokens are as good as equally likely (their logits a few
    roundings apart) the other one may be said, and what follows from it. States of the same tokens agree to about one
    part in a hundred, and answers under a grammar are valid all the same. ``batch_size=1`` makes answers independent of
    their neighbours in any precision.

    Args:
        checkpoint: the folder, or a system folder with ``backbone/`` in it. Safetensors only; nothing is fetched.
        device: ``"auto"`` (the first CUDA device, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...
        dtype: ``"auto"`` (bfloat16 on CUDA, float32 on the CPU), ``"float32"``, ``"bfloat16"`` or ``"float16"``. The
            project's own small model computes in float32, by ``"auto"`` too, and refuses others.
        constrained: whether a prompt's grammar is enforced while decoding.
        batch_size: prompts at once.
        temperature: 0 for the likeliest token each time; else tokens are drawn, by the prompt's ``options["seed"]``,
            its text and the pixels that it shows: the same question about another image draws other numbers.
        top_p: of drawn tokens, the share of probability that is drawn from.
        adapter: folder of a LoRA adapter to put on the weights.
        max_context: most tokens of prompt and answer together, where it should be less than the model's own.
        count_flops: count matrix products, convolutions and attention of each answer (slower).

    Attributes:
        model: the model, a ``PreTrainedModel``.
        processor: its processor.
        tokenizer: the processor's tokenizer.
        marks: ids of the tokens that end an answer, pad a batch and stand for images.
        lora: peft's wrapper of the model, None without an adapter.

    Raises:
        CheckpointError: the folder holds no model, or not one that can be loaded safely and whole.
        DeviceError: no such device or precision here.
    """

    saved_options: ClassVar[frozenset[str]] = frozenset({"adapter"})
    """Options that :meth:`save` writes into the weights, so that a saved system must not name them again."""

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str = "auto",
        dtype: str = "auto",
        constrained: bool = True,
        batch_size: int = 8,
        temperature: float = 0.0,
        top_p: float = 1.0,
        adapter: str | Path | None = None,
        max_context: int | None = None,
        count_flops: bool = False,
    ) -> None:
        place = pick_device(device)
        folder = hub_folder(checkpoint)
        self.processor: Any = load_processor(folder)
        self.model: Any = load_model(folder, place, fitting_dtype(folder, dtype, place))
        self.tokenizer: Any = self.processor.tokenizer
        self.marks = marks_of(self.model, self.tokenizer)
        self.batch_size = batch_size
        self.lora: Any = None
        self.max_context = _context(self.model, max_context)
        self._encoder = Encoder(self.processor, self.marks.image)
        self._ways: dict[str, Any] = {
            "constrained": constrained,
            "temperature": temperature,
            "top_p": top_p,
            "max_context": self.max_context,
            "count_flops": count_flops,
        }
        self._answerer: Answerer | None = None
        if adapter is not None:
            self.load_adapter(adapter)

    @property
    def hidden_size(self) -> int:
        """Width D of the hidden states."""
        return int(self.model.config.get_text_config(decoder=True).hidden_size)

    def count_tokens(self, text: str) -> int:
        return len(self._encoder.answer_ids(text))

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        if self._answerer is None:
            self._answerer = Answerer(self.model, self.tokenizer, self.marks, **self._ways)
        rows = [self._encoded(prompt) for prompt in prompts]
        with self._evaluating():
            return self._in_groups(rows, self._answerer)

    def _fit(self, prompt: Prompt) -> Encoded:
        return self._encoded(prompt)

    def _teach(self, rows: Sequence[Encoded]) -> Taught:
        return teach(self.model, rows, self.marks.end, self.marks.pad)

    def attend(
        self, prompts: Sequence[Prompt], *, visual_tokens: int | None = None, of: Of = "logit", query: bool = False
    ) -> list[Attended]:
        """Where the model looks, per prompt: attention of the last prompt token, or of the answer's tokens.

        Args:
            prompts: what is asked.
            visual_tokens: most visual tokens to look at; more are averaged with their neighbours before the language
                model, which costs that much less. None for all.
            of: what the gradient is of: the ``logit`` of the likeliest token, or its ``loss`` (cross-entropy, -log of
                its probability).
            query: attention of all tokens behind the image, each asked about the one that follows it in the prompt.

        Raises:
            PromptError: a prompt is too long.
            ContractError: what the model's visual tokens stand for is not known, or they cannot be averaged.
        """
        rows = [self._encoded(prompt) for prompt in prompts]

        def look(part: Sequence[Encoded]) -> list[Attended]:
            return attend(self.model, self.processor, part, self.marks.pad, visual_tokens, of, query)

        with self._evaluating():
            return self._in_groups(rows, look)

    def visual_boxes(self, view: View) -> NDArray[np.float32]:
        """``(V, 4)`` boxes, in pixels of the last image, that the visual tokens of a view stand for; NaN for none."""
        return visual_boxes(self.model, self.processor, self._encoder.encode(Prompt("", view)))

    def add_tokens(self, tokens: Sequence[str]) -> None:
        super().add_tokens(tokens)
        self._answerer = None

    def save(self, folder: str | Path) -> None:
        """Write model, processor and generation settings in hub layout; a LoRA adapter is merged into what is written.

        Raises:
            CheckpointError: the folder cannot be written.
        """
        adapters.save_whole(self.model, self.lora, self.processor, Path(folder))

    def save_adapter(self, folder: str | Path) -> None:
        """Write the LoRA adapter alone, as peft reads it."""
        adapters.save(self.lora, Path(folder))

    def load_adapter(self, folder: str | Path) -> None:
        """Put a saved LoRA adapter on the model."""
        self.lora = adapters.load(self.model, self.lora, Path(folder))

    def merge_adapter(self) -> None:
        """Fold the LoRA adapter into the weights."""
        self.model, self.lora = adapters.merge(self.lora), None
        self._answerer = None

    def close(self) -> None:
        self.model = self.lora = self._answerer = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _encoded(self, prompt: Prompt) -> Encoded:
        row = self._encoder.encode(prompt)
        needed = row.length + 1 + len(row.answer or ())
        if self.max_context is not None and needed > self.max_context:
            raise PromptError(
                f"the prompt {prompt.text[:60]!r} takes {needed} tokens ({int(row.visual.sum())} of them visual) and "
                f"the model's context is {self.max_context}; use a smaller image or fewer words"
            )
        return row

    def _in_groups(self, rows: Sequence[Encoded], run: Callable[[Sequence[Encoded]], Sequence[Answer]]) -> list[Answer]:
        """Answers in the order of the prompts; each batch holds prompts with equal needs only."""
        answers: dict[int, Answer] = {}
        for group in grouped(rows):
            found = in_parts([rows[index] for index in group], self.batch_size, run)
            answers.update(zip(group, found, strict=True))
        return [answers[index] for index in range(len(rows))]

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """No dropout while answering, whatever the trainer had set; then each module as it was, resting ones too."""
        training = [module for module in self.model.modules() if module.training]
        self.model.eval()
        try:
            yield
        finally:
            for module in training:
                module.training = True


def _context(model: Any, most: int | None) -> int | None:
    """Tokens of prompt and answer together; None where neither the model nor the caller names a bound."""
    own = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    return min((each for each in (own, most) if each is not None), default=None)
