"""A tokenizer for small models: a number is one token, and so is a run of a mask row; everything else is spelled.

Byte-level BPE learned on the expressions, questions and answers themselves, so that any text can be written and read
back exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<s>", "</s>", "<answer>", "<image>")
"""Their ids are 0 to 4; ``<image>`` is the placeholder of a visual token."""
NUMBERS = 1001
_WORDS = Regex(r" ?[A-Za-z]+| ?[^\sA-Za-z]+|\s+")


def make_tokenizer(texts: Iterable[str], phrases: Iterable[str] = (), size: int = 3072) -> PreTrainedTokenizerFast:
    """Learn a tokenizer.

    Args:
        texts: what it should write shortly.
        phrases: fixed wordings that become one token each.
        size: most tokens learned, before the numbers and phrases.
    """
    core = Tokenizer(BPE(unk_token=None))
    core.pre_tokenizer = Sequence([Split(_WORDS, "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])
    core.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=3,
        special_tokens=list(SPECIAL),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    wholes = [*phrases, *runs(), *(str(number) for number in range(NUMBERS))]
    core.add_tokens([AddedToken(each, normalized=False) for each in dict.fromkeys(wholes)])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=["<answer>", "<image>"],
        clean_up_tokenization_spaces=False,
    )


def runs(longest: int = 32) -> list[str]:
    """Runs of a mask row, as the text-mask forms write them: ``0 *32`` with its line end, ``| 1 *4`` ..."""
    made = [f"{mark}{label} *{length}" for mark in ("", "| ") for label in "01" for length in range(1, longest + 1)]
    return [f"0 *{longest}\n", *made]


def number_ids(tokenizer: PreTrainedTokenizerFast) -> dict[int, int]:
    """Number → its token's id."""
    words = [str(number) for number in range(NUMBERS)]
    ids: Any = tokenizer.convert_tokens_to_ids(words)
    return {number: int(ident) for number, ident in enumerate(ids)}
