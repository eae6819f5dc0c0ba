"""What every codec owes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from rsground.codecs import Codec
from rsground.registry import load
from rsground.testing.samples import ANSWERS_NOBODY_EXPECTS, damages, miniature, miniatures
from rsground.types import Task


class CodecConformance:
    """Subclass as ``TestMyCodec`` and set ``codec_name``.

    Attributes:
        codec_name: registered name.
        codec_options: keyword arguments it is built with.
    """

    codec_name: str
    codec_options: dict[str, object] = {}  # noqa: RUF012 - read only, overridden whole

    def codec(self) -> Codec:
        """The codec, as the registry builds it."""
        built = load("codec", self.codec_name, **self.codec_options)
        assert isinstance(built, Codec)
        return built

    def test_equal_options_are_equal_codecs(self) -> None:
        assert self.codec() == self.codec()
        assert hash(self.codec()) == hash(self.codec())

    def test_writes_inside_its_grammar_and_reads_it_back(self) -> None:
        codec = self.codec()
        for sample in miniatures(Task.MASK):
            text = codec.write(sample.targets or (), sample.size)
            assert codec.grammar(sample.size).matches(text), f"{sample.id}: outside its own grammar: {text!r}"
            reading = codec.read(text, sample.size)
            assert reading.parsed, f"{sample.id}: {text!r} does not parse: {reading.issues}"
            assert bool(reading.regions) == bool(sample.targets), f"{sample.id}: lost or invented regions"

    @pytest.mark.parametrize("answer", ANSWERS_NOBODY_EXPECTS, ids=lambda answer: repr(answer[:24]))
    def test_survives_what_nobody_expects(self, answer: str) -> None:
        reading = self.codec().read(answer, (48, 64))
        assert reading.parsed or reading.issues, "an answer that does not parse must have a reason"

    def test_survives_damaged_answers(self) -> None:
        codec, sample = self.codec(), miniature(Task.MASK, targets=2)
        right = codec.write(sample.targets or (), sample.size)

        @settings(max_examples=60, deadline=None)
        @given(damages(right))
        def survives(damaged: str) -> None:
            reading = codec.read(damaged, sample.size)
            assert reading.parsed or reading.issues

        survives()
