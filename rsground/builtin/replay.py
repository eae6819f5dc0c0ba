"""Answers that were written elsewhere: any model's output, scored through any head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from rsground.contracts import Backbone, Prompt
from rsground.errors import DataError
from rsground.records import USAGE
from rsground.types import Generation, Usage


class Replay(Backbone):
    """Looks answers up by sample id. Only places in the file are held in memory.

    A line is an object with ``id`` (of the sample) and ``text`` (what the model wrote); it may have ``finish`` and any
    of ``latency_s``, ``visual_tokens``, ``prompt_tokens``, ``output_tokens``, ``peak_memory_bytes``, ``flops``,
    ``time_s``. Where ``latency_s`` stands and ``time_s`` does not, the latency is the time.

    Args:
        path: the JSONL file, UTF-8.

    Raises:
        DataError: at construction: the file is not there, a line is no such object, or an id comes twice; on
            answering: no line has the sample's id, or the prompt brings no sample. The sample then counts as failed.
    """

    needs_pixels: ClassVar[bool] = False

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._places = self._index()

    def _index(self) -> dict[str, int]:
        places: dict[str, int] = {}
        try:
            with self.path.open("rb") as stream:
                offset = 0
                for number, line in enumerate(stream, 1):
                    if line.strip():
                        name = self._parsed(line, number)["id"]
                        if name in places:
                            raise DataError(
                                f"a second answer to sample {name!r}; ids must be unique", self.path, number
                            )
                        places[name] = offset
                    offset += len(line)
        except OSError as error:
            raise DataError(f"answers cannot be read: {error.strerror}", self.path) from error
        return places

    def _parsed(self, line: bytes, number: int | None) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f"a line must be a JSON object: {error}", self.path, number) from None
        good = isinstance(record, dict) and isinstance(record.get("text"), str)
        if not good or not isinstance(record.get("id"), str | int):
            raise DataError('a line must be an object with "id" and "text"', self.path, number)
        return {**record, "id": str(record["id"])}

    def _generate(self, prompts: Sequence[Prompt]) -> list[Generation]:
        with self.path.open("rb") as stream:
            return [self._answer(prompt, stream) for prompt in prompts]

    def _answer(self, prompt: Prompt, stream: Any) -> Generation:
        if prompt.answer is not None:
            return Generation(text=prompt.answer, finish="forced")
        if prompt.sample is None:
            raise DataError("answers are looked up by sample id, but the prompt brings no sample", self.path)
        place = self._places.get(prompt.sample.id)
        if place is None:
            raise DataError(f"no answer to sample {prompt.sample.id!r}", self.path)
        stream.seek(place)
        record = self._parsed(stream.readline(), None)
        usage = Usage(**{name: record[name] for name in USAGE if isinstance(record.get(name), int | float)})
        return Generation(text=record["text"], finish=str(record.get("finish", "stop")), usage=usage)
