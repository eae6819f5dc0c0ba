"""Tokenizers of four kinds, all codecs, and a tiny random model: what tests of decoding need."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
import transformers as hf
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from rsground.builtin.codecs import CODECS
from rsground.codecs import Grammar
from rsground.models.constrain import TokenGrammar
from rsground.models.vocabulary import Vocabulary
from rsground.registry import construct

CODEC_NAMES = [spec.name for spec in CODECS]
SIZE = (90, 120)
SPECIALS = ["<pad>", "</s>", "<unk>", "<|box_start|>", "<|box_end|>", "<image>"]
PRINTABLE = [*map(chr, range(32, 127)), "\n"]


@cache
def grammar(name: str) -> Grammar:
    return construct(next(spec for spec in CODECS if spec.name == name)).grammar(SIZE)


@cache
def corpus() -> list[str]:
    rng = np.random.default_rng(0)
    short = [name for name in CODEC_NAMES if (grammar(name).max_length or 999) < 300]
    found = [grammar(name).sample(rng, stop=0.3) for name in short for _ in range(3)]
    return [*found, "<seg>0 *4| 1 *28\n 0 *32\n </seg>", "others *16\n object *3| ", '[{"bbox_2d": [1, 22, 333, 4]}]']


@cache
def tokenizer(kind: str) -> Any:
    fast = {"bytes": _bytes, "pieces": _pieces, "words": _words, "mask-words": _mask_words}[kind]()
    return hf.PreTrainedTokenizerFast(tokenizer_object=fast, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


@cache
def vocabulary(kind: str) -> Vocabulary:
    return Vocabulary.of(tokenizer(kind))


@cache
def tokens(name: str, kind: str, **options: Any) -> TokenGrammar:
    return TokenGrammar(grammar(name), vocabulary(kind), **options)


@cache
def model(kind: str) -> Any:
    torch.manual_seed(0)
    config = hf.LlamaConfig(
        vocab_size=len(tokenizer(kind)) + 3,  # padded, as embeddings often are
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        initializer_range=0.5,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    return hf.LlamaForCausalLM(config).double().eval()  # in single precision, rounding would now and then tip a tie


def prompts(texts: list[str], kind: str) -> dict[str, torch.Tensor]:
    return dict(
        tokenizer(kind)(texts, padding=True, padding_side="left", return_tensors="pt", return_token_type_ids=False)
    )


def _bytes() -> Tokenizer:
    """Byte-level BPE, as of GPT-2, Qwen, Llama 3."""
    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
    )
    fast.train_from_iterator([*corpus(), "the large white ship é 船 ships shipping"] * 2, trainer)
    return fast


def _pieces() -> Tokenizer:
    """SentencePiece BPE with byte fallback, as of Llama 2 and Mistral."""
    fast = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    fast.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fast.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=800, special_tokens=SPECIALS + byte_tokens, show_progress=False)
    fast.train_from_iterator([*corpus(), "the large white ship"] * 2, trainer)
    # Bytes are ordinary pieces, not added tokens: build it again from the model alone.
    fresh = Tokenizer(fast.model)
    fresh.normalizer, fresh.decoder = fast.normalizer, fast.decoder
    fresh.add_special_tokens([AddedToken(name, special=True) for name in SPECIALS])
    return fresh


def _words() -> Tokenizer:
    """A word list where every integer up to 1000 is a token, and every printable character."""
    return _word_list([*map(str, range(10, 1001)), *PRINTABLE, " *", "| ", "\n ", "<seg>", "</seg>", "ship", '"label"'])


def _mask_words() -> Tokenizer:
    """A word list that can say text masks and nothing else; no character of its tags is a token."""
    return _word_list([*map(str, range(33)), " *", "| ", "\n ", "\n", "<seg>", "</seg>", "</se"])


def _word_list(words: list[str]) -> Tokenizer:
    listed = dict.fromkeys([*SPECIALS, *words])
    fast = Tokenizer(models.WordLevel({word: at for at, word in enumerate(listed)}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Split(Regex(r"</?seg>|[0-9]+| \*|\| |\n |.|\n"), "isolated")
    fast.decoder = decoders.Fuse()
    return fast
