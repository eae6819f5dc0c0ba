"""Any vision-language model of transformers as a backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from rsground.contracts import Backbone, Prompt
from rsground.errors import PromptError
from rsground.models import adapters
from rsground.models.attending import Attended, attend, attentions
from rsground.models.devices import PeakMemory, in_parts, pick_device, pick_dtype
from rsground.models.encoding import Encoded, Encoder, grouped
from rsground.models.families import visual_boxes
from rsground.models.generating import Sampling, Written, write
from rsground.models.loading import hub_folder, load_model, load_processor
from rsground.models.teaching import Taught, force, teach
from rsground.types import Generation, Usage, View

Answer = TypeVar("Answer")


class TransformersBackbone(Backbone):
    """A model of transformers' ``AutoModelForImageTextToText`` from a local folder in hub layout.

    Args:
        checkpoint: the folder, or a system folder with ``backbone/`` in it. Safetensors only; nothing is fetched.
        device: ``"auto"`` (the first CUDA device, else the CPU), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...
        dtype: ``"auto"`` (bfloat16 on CUDA, float32 on the CPU), ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        constrained: whether a prompt's grammar is enforced while decoding.
        batch_size: prompts at once; less where memory runs out.
        temperature: 0 for the likeliest token each time; else tokens are drawn, by the prompt's ``options["seed"]``.
        top_p: of drawn tokens, the share of probability that is drawn from.
        adapter: folder of a LoRA adapter to put on the weights.
        max_context: most tokens of prompt and answer together, where it should be less than the model's.

    Attributes:
        model: the model, a ``PreTrainedModel``.
        processor: its processor.
        tokenizer: the processor's tokenizer.
        device: where the model is.

    Raises:
        CheckpointError: the folder holds no model, or not one that can be loaded safely and whole.
        DeviceError: no such device or precision here.
    """

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
    ) -> None:
        place = pick_device(device)
        folder = hub_folder(checkpoint)
        self.model: Any = load_model(folder, place, pick_dtype(dtype, place))
        self.processor: Any = load_processor(folder)
        self.tokenizer: Any = self.processor.tokenizer
        self.constrained, self.batch_size = constrained, batch_size
        self.sampling = Sampling(temperature, top_p)
        self.lora: Any = None
        self._max_context = max_context
        self._encoder = Encoder(self.processor, _image_token_id(self.model.config))
        if adapter is not None:
            self.load_adapter(adapter)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        found: torch.device = self.model.device
        return found

    @property
    def hidden_size(self) -> int:
        """Width D of the hidden states."""
        return int(self.model.config.get_text_config(decoder=True).hidden_size)

    @property
    def max_context(self) -> int | None:
        """Most tokens of prompt and answer together; None where the model names no bound."""
        own = getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        return min((each for each in (own, self._max_context) if each is not None), default=None)

    def count_tokens(self, text: str) -> int:
        return len(self._encoder.answer_ids(text))

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        rows = [self._encoded(prompt) for prompt in prompts]
        with self._evaluating():
            return self._in_groups(rows, self._answer)

    def teach(self, prompts: Sequence[Prompt]) -> Taught:
        """A training pass over prompts that all have an answer; gradients flow where the caller enables them.

        Raises:
            PromptError: a prompt has no answer, or is too long with it.
        """
        for prompt in prompts:
            if prompt.answer is None:
                raise PromptError(f"teaching needs an answer to every prompt; {prompt.text[:60]!r} has none")
        return teach(self.model, [self._encoded(prompt) for prompt in prompts], self.end_token, self.pad_token)

    def attend(self, prompts: Sequence[Prompt]) -> list[Attended]:
        """Where the model looks, per prompt: attention of the last prompt token, or of the answer's tokens.

        Raises:
            PromptError: a prompt is too long.
            ContractError: what the model's visual tokens stand for is not known.
        """
        rows = [self._encoded(prompt) for prompt in prompts]
        with self._evaluating():
            return self._in_groups(rows, lambda part: attend(self.model, self.processor, part, self.pad_token))

    def visual_boxes(self, view: View) -> NDArray[np.float32]:
        """``(V, 4)`` boxes, in pixels of the last image, that the visual tokens of a view stand for; NaN for none."""
        return visual_boxes(self.model, self.processor, self._encoder.encode(Prompt("", view)))

    def add_tokens(self, tokens: Sequence[str]) -> None:
        """Add special tokens to the vocabulary; those it has already stay. New rows are the mean of the old ones."""
        fresh = [token for token in tokens if token not in self.tokenizer.get_vocab()]
        self.tokenizer.add_tokens(fresh, special_tokens=True)
        tables = {id(part.weight): part for part in self._tables()}.values()
        known = min(part.weight.shape[0] for part in tables)
        if len(self.tokenizer) > known:
            self.model.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        ids = self.tokenizer.convert_tokens_to_ids(fresh)
        old = min([*ids, known])
        with torch.no_grad():
            for part in self._tables():
                part.weight[ids] = part.weight[:old].mean(dim=0)

    def save(self, folder: str | Path) -> None:
        """Write model, processor and generation settings in hub layout; a LoRA adapter is merged into what is written.

        Raises:
            CheckpointError: the folder cannot be written.
        """
        adapters.save_whole(self.model, self.lora, self.processor, Path(folder))

    def add_lora(
        self, rank: int = 16, alpha: float = 32.0, dropout: float = 0.05, targets: Sequence[str] | str | None = None
    ) -> None:
        """Freeze the model and put low-rank adapters on it: what is trained from here on is theirs alone.

        Args:
            rank: rank of the update.
            alpha: the update is scaled by alpha / rank.
            dropout: on the adapters' input while training.
            targets: names of linear layers, or a pattern; by default all those of the language model.
        """
        self.lora = adapters.add(self.model, rank, alpha, dropout, targets)

    def save_adapter(self, folder: str | Path) -> None:
        """Write the LoRA adapter alone, as peft reads it."""
        adapters.save(self.lora, Path(folder))

    def load_adapter(self, folder: str | Path) -> None:
        """Put a saved LoRA adapter on the model."""
        self.lora = adapters.load(self.model, Path(folder))

    def merge_adapter(self) -> None:
        """Fold the LoRA adapter into the weights."""
        self.model, self.lora = adapters.merge(self.lora), None

    def close(self) -> None:
        self.model, self.lora = None, None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def end_tokens(self) -> frozenset[int]:
        """Tokens that end an answer."""
        named = self.model.generation_config.eos_token_id
        many = named if isinstance(named, list) else [named]
        return frozenset(int(each) for each in [*many, self.tokenizer.eos_token_id] if each is not None)

    @property
    def end_token(self) -> int:
        """The token that ends an answer in training."""
        own = self.tokenizer.eos_token_id
        return min(self.end_tokens) if own is None else int(own)

    @property
    def pad_token(self) -> int:
        """The token for padding; never seen by the model, for it is masked."""
        own = self.tokenizer.pad_token_id
        return self.end_token if own is None else int(own)

    def _encoded(self, prompt: Prompt) -> Encoded:
        row = self._encoder.encode(prompt)
        needed = row.length + (1 if row.answer is None else len(row.answer) + 1)
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

    def _answer(self, rows: Sequence[Encoded]) -> list[Generation]:
        peak = PeakMemory(self.device)
        if rows[0].answer is not None:
            with torch.no_grad():
                states = force(self.model, rows, self.pad_token)
            written = [
                Written(list(row.answer or ()), "forced", list(each)) for row, each in zip(rows, states, strict=True)
            ]
        else:
            limits = [self._limit(row) for row in rows]
            written = write(self.model, rows, limits, self.end_tokens, self.pad_token, self.sampling)
        watched = [at for at, row in enumerate(rows) if "attentions" in row.prompt.capture]
        if watched:
            picked = [rows[at] for at in watched], [written[at].ids for at in watched]
            for at, weights in zip(watched, attentions(self.model, *picked, self.pad_token), strict=True):
                written[at].attentions = weights
        memory = peak.read()
        return [self._generation(row, answer, memory) for row, answer in zip(rows, written, strict=True)]

    def _limit(self, row: Encoded) -> int:
        most = row.prompt.max_new_tokens
        return most if self.max_context is None else min(most, self.max_context - row.length)

    def _generation(self, row: Encoded, answer: Written, memory: int) -> Generation:
        text = row.prompt.answer
        if text is None:
            text = self.tokenizer.decode(answer.ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        hidden = None
        if "hidden" in row.prompt.capture:
            hidden = torch.stack(answer.states) if answer.states else torch.zeros(0, self.hidden_size)
        visual = int(row.visual.sum())
        usage = Usage(
            visual_tokens=visual,
            prompt_tokens=row.length - visual,
            output_tokens=len(answer.ids),
            peak_memory_bytes=memory,
        )
        return Generation(text, answer.finish, tuple(answer.ids), hidden, answer.attentions, usage)

    def _tables(self) -> list[Any]:
        return [self.model.get_input_embeddings(), self.model.get_output_embeddings()]

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """No dropout while answering, whatever the trainer had set."""
        training = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(training)


def _image_token_id(config: Any) -> int:
    for name in ("image_token_id", "image_token_index"):
        if getattr(config, name, None) is not None:
            return int(getattr(config, name))
    raise PromptError(f"a {config.model_type} model names no token for images (image_token_id)")
