"""What stage ``system`` asks of a backbone whose weights it trains."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rsground.contracts import Backbone, Prompt
from rsground.errors import PromptError
from rsground.models import adapters
from rsground.models.marks import add_tokens
from rsground.models.teaching import Taught


class TeachableBackbone(Backbone):
    """A backbone that learns what it is told to answer.

    Attributes:
        model: the module that is trained, with ``get_input_embeddings`` and the like, as transformers' models have.
        tokenizer: its tokenizer, of transformers' kind.
        lora: peft's wrapper of the model, None without an adapter.
    """

    model: Any
    tokenizer: Any
    lora: Any = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        found: torch.device = self.model.device
        return found

    def encoded(self, prompt: Prompt) -> Any:
        """A prompt with its answer as :meth:`teach` takes it too: found fit to be learned from, on the CPU.

        Raises:
            PromptError: the prompt has no answer, or is too long with it.
        """
        if prompt.answer is None:
            raise PromptError(f"teaching needs an answer to every prompt; {prompt.text[:60]!r} has none")
        return self._fit(prompt)

    def teach(self, prompts: Sequence[Any]) -> Taught:
        """A training pass over prompts that all have an answer; gradients flow where the caller enables them.

        Args:
            prompts: each a :class:`.Prompt`, or what :meth:`encoded` made of one.

        Raises:
            PromptError: a prompt has no answer, or is too long with it.
        """
        return self._teach([self.encoded(each) if isinstance(each, Prompt) else each for each in prompts])

    def taught_tokens(self, prompt: Prompt) -> int:
        """Tokens that :attr:`.Taught.loss` is a mean over, of a prompt that has a loss: the answer's and its end."""
        return (self.count_tokens(prompt.answer or "") or 0) + 1

    @abstractmethod
    def _fit(self, prompt: Prompt) -> Any:
        """A prompt with an answer in the form that :meth:`_teach` takes; refused where it cannot be learned from."""

    @abstractmethod
    def _teach(self, rows: Sequence[Any]) -> Taught:
        """Losses and states of prompts with answers."""

    def add_tokens(self, tokens: Sequence[str]) -> None:
        """Add special tokens to the vocabulary; those it has already stay. New rows are the mean of the old ones."""
        add_tokens(self.model, self.tokenizer, tokens)

    def add_lora(
        self, rank: int = 16, alpha: float = 32.0, dropout: float = 0.05, targets: Sequence[str] | str | None = None
    ) -> None:
        """Freeze the model and put low-rank adapters on it: what is trained from here on is theirs alone.

        Args:
            rank: rank of the update.
            alpha: the update is scaled by alpha / rank.
            dropout: on the adapters' input while training.
            targets: names of linear layers, or a pattern; by default all those of the language model.

        Raises:
            CheckpointError: there is an adapter already.
            MissingExtraError: peft is not installed.
        """
        self.lora = adapters.add(self.model, self.lora, rank, alpha, dropout, targets)

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write all that the backbone is loaded from; a LoRA adapter is merged into what is written.

        Raises:
            CheckpointError: the folder cannot be written.
        """
