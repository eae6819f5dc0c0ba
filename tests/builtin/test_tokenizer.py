"""Tokens are counted as the vocabulary says, and not at all where it is not installed."""

from __future__ import annotations

import pytest

from rsground.builtin import tokenizer
from rsground.builtin.oracle import Oracle


@pytest.fixture(autouse=True)
def _fresh():
    tokenizer._processor.cache_clear()
    yield
    tokenizer._processor.cache_clear()


def test_every_digit_is_a_token() -> None:
    pytest.importorskip("sentencepiece")
    if tokenizer.count_tokens("") is None:
        pytest.skip("the extra 'tokens' is not installed")
    assert tokenizer.count_tokens("") == 0
    counts = [tokenizer.count_tokens("7" * length) for length in (1, 2, 5, 9)]
    assert [count - counts[0] for count in counts] == [0, 1, 4, 8]
    assert Oracle().count_tokens("a \ud800 b") is not None, "unpaired surrogates must not raise"


def test_without_the_extra_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "find_spec", lambda name: None)
    assert tokenizer.count_tokens("<box>[[1,2,3,4]]</box>") is None
    assert Oracle().count_tokens("x") is None
