"""Samples that nothing can be learned from cost themselves alone: they are named, counted, and others stand in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import TEXT, TOWER
from small import tokenizer as few_words

from rsground.builtin.codec_head import CodecHead
from rsground.errors import ContractError, DataError, PromptError
from rsground.models.backbone import TransformersBackbone
from rsground.models.folder import read_card
from rsground.models.training import language_setup
from rsground.models.training.lessons import Chances, SceneLessons, Speller
from rsground.models.training.passing import GoodPairs, passed_over
from rsground.models.training.recipe import Recipe, read_recipe
from rsground.models.training.refusal import Refusal
from rsground.models.training.running import run_recipe
from rsground.models.training.sample_stream import PairStream
from rsground.models.training.scene_cache import scene_cache
from rsground.models.training.ways import Ways, training_in
from rsground.types import ImageRef, Region, Sample, Task, View

RECIPE = """
stage = "system"
[data]
kind = "dataset"
name = "jsonl"
root = "pictures"
[model]
checkpoint = "{model}"
options = {{ max_context = 256 }}
lora = {{ rank = 2 }}
[head]
name = "codec"
options = {{ codec = "text-hbb" }}
[schedule]
steps = 6
batch = 2
workers = {workers}
"""


def spoil(pictures: Path, rows: Sequence[int]) -> None:
    """An expression too long for the context, an image that is none, a target that no head can write."""
    samples = [json.loads(line) for line in (pictures / "samples.jsonl").read_text().splitlines()]
    for row in rows:
        if row % 3 == 0:
            samples[row]["expression"] = "the square " * 100
        elif row % 3 == 1:
            (pictures / f"{row}.png").write_bytes(b"no picture")
        else:
            samples[row]["targets"] = [{"label": "nowhere"}]
    (pictures / "samples.jsonl").write_text("\n".join(json.dumps({**each, "split": "train"}) for each in samples))


def recipe(tmp_path: Path, llava: Path, workers: int = 0) -> Recipe:
    file = tmp_path / "squares.toml"
    file.write_text(RECIPE.format(model=llava, workers=workers))
    return read_recipe(file)


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_bad_samples_do_not_stop_a_run(tmp_path: Path, llava: Path, pictures: Path, workers: int) -> None:
    spoil(pictures, [0, 4])
    with training_in(Ways("cpu", quiet=True)):
        out = run_recipe(recipe(tmp_path, llava, workers), tmp_path / "runs")
    work = tmp_path / "runs" / "squares"
    assert [each.sample for each in passed_over(work)] == ["n0", "n4"]
    reasons = [each.reason for each in passed_over(work)]
    assert "context is 256" in reasons[0]
    assert "4.png" in reasons[1]
    assert read_card(out).training["samples passed over"] == 2
    assert len((work / "passed_over.jsonl").read_text().splitlines()) == 2, "once each"
    (log,) = work.rglob("*.log")
    assert log.read_text().count("passed over: sample 'n0': PromptError") == 1
    assert log.read_text().count("passed over: sample 'n4': ImageError") == 1


def test_where_most_are_bad_the_run_stops(tmp_path: Path, llava: Path, pictures: Path) -> None:
    spoil(pictures, [0, 3, 1, 4])
    with training_in(Ways("cpu", quiet=True)), pytest.raises(DataError, match=r"most .* 4 of 6 samples.*sample 'n\d'"):
        run_recipe(recipe(tmp_path, llava), tmp_path / "runs")


class Counting(PairStream):
    """Samples of which some are bad, without a picture to read."""

    bad: frozenset[int] = frozenset()

    def view(self, sample: Sample) -> View:
        if int(sample.id) in self.bad:
            raise OSError(f"no {sample.id}")
        return View((np.zeros((8, 8, 3), np.uint8),), (8, 8))


class Anything(TransformersBackbone):
    """Encodes anything to nothing."""

    def __init__(self) -> None:
        pass

    def encoded(self, prompt: Any) -> Any:
        return None


def stream(count: int, bad: frozenset[int], seed: int = 0) -> Counting:
    image = ImageRef("none", 8, 8)
    box = (Region(hbb=(1.0, 1.0, 4.0, 4.0)),)
    samples = [Sample(str(number), (image,), f"thing {number}", Task.HBB, box) for number in range(count)]
    made = Counting(samples, CodecHead("text-hbb"), seed=seed)
    made.bad = bad
    return made


@given(
    st.integers(5, 30).flatmap(
        lambda count: st.tuples(st.just(count), st.frozensets(st.integers(0, count - 1), max_size=count // 4))
    ),
    st.integers(0, 3),
    st.lists(st.integers(0, 200), min_size=1, max_size=20),
)
@settings(max_examples=60, deadline=None)
def test_an_item_depends_on_its_place_alone(counts: tuple[int, frozenset[int]], seed: int, places: list[int]) -> None:
    plain, one = stream(counts[0], frozenset(), seed), stream(*counts, seed)
    good = GoodPairs(one, Anything())
    seen = [good[place] for place in places]
    again = GoodPairs(stream(*counts, seed), Anything())
    for place, pair in reversed([*zip(places, seen, strict=True)]):
        assert again[place].sample.id == pair.sample.id
        assert int(pair.sample.id) not in counts[1]
        wanted = plain[place].sample.id
        if int(wanted) in counts[1]:
            assert pair.instead_of[0] == Refusal(wanted, f"OSError: no {wanted}")
        else:
            assert (pair.sample.id, pair.instead_of) == (wanted, ())


def test_half_of_the_samples_may_be_bad_and_no_more() -> None:
    good = GoodPairs(stream(40, frozenset(range(20))), Anything())
    assert {int(good[place].sample.id) for place in range(400)} == set(range(20, 40))
    worse = GoodPairs(stream(40, frozenset(range(21))), Anything())
    with pytest.raises(DataError, match="21 of 40 samples"):
        [worse[place] for place in range(40)]
    many = GoodPairs(stream(100_000, frozenset(range(70_000))), Anything())
    with pytest.raises(DataError, match=r"\d+ of 256 tries"):
        [many[place] for place in range(400)]


def test_what_is_not_a_samples_fault_is_raised(pictures: Path) -> None:
    one = stream(9, frozenset())
    one.samples = [replace(each, task=Task.VQA) for each in one.samples]
    with pytest.raises(ContractError, match="not 'vqa'"):
        GoodPairs(one, Anything())[0]

    class Full(Counting):
        def view(self, sample: Sample) -> View:
            raise MemoryError

    with pytest.raises(MemoryError):
        GoodPairs(Full(one.samples, one.head), Anything())[0]


def test_encoded_pairs_teach_what_prompts_teach(llava: Path) -> None:
    backbone = TransformersBackbone(llava, device="cpu")
    one = stream(3, frozenset())
    prompts = [one[place].prompt for place in range(3)]
    rows = [backbone.encoded(prompt) for prompt in prompts]
    assert torch.equal(backbone.teach(rows).loss, backbone.teach(prompts).loss)
    with pytest.raises(PromptError, match="needs an answer"):
        backbone.encoded(replace(prompts[0], answer=None))


class Scenes:
    """Scenes of a few questions each about one object, named by scene and place."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.expressions = [[(f"{at} {place}", (0,)) for place in range(count)] for at, count in enumerate(counts)]
        self.steps = [[None] * count for count in counts]

    def samples(self, at: int, task: Task) -> list[Sample]:
        image, box = ImageRef("none", 8, 8), (Region(hbb=(1.0, 1.0, 4.0, 4.0)),)
        return [Sample(text, (image,), text, task, box) for text, _ in self.expressions[at]]

    def __len__(self) -> int:
        return len(self.expressions)


class Picky(CodecHead):
    """Cannot write some samples."""

    def __init__(self, bad: frozenset[str] = frozenset()) -> None:
        super().__init__("text-hbb")
        self.bad = bad

    def target(self, sample: Sample, view: View) -> str:
        if sample.id in self.bad:
            raise ValueError(f"no form for {sample.id}")
        return super().target(sample, view)


WORDS = few_words()


def lessons_of(scenes: Scenes, bad: frozenset[str], each: int = 2, seed: int = 0) -> SceneLessons:
    heads = [(Picky(bad), (Task.HBB,))]
    return SceneLessons(scenes, heads, Speller(WORDS), Chances(each=each), seed)  # type: ignore[arg-type]


@st.composite
def few_bad(draw: st.DrawFn) -> tuple[Scenes, frozenset[str]]:
    scenes = Scenes(draw(st.lists(st.integers(1, 5), min_size=1, max_size=5)))
    names = [text for each in scenes.expressions for text, _ in each]
    return scenes, frozenset(draw(st.lists(st.sampled_from(names), max_size=len(names) // 2, unique=True)))


@given(few_bad(), st.integers(1, 5), st.integers(0, 3), st.lists(st.integers(0, 99), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_an_expression_that_cannot_be_written_costs_itself_alone(
    given_scenes: tuple[Scenes, frozenset[str]], each: int, seed: int, places: list[int]
) -> None:
    scenes, bad = given_scenes
    good = [[text for text, _ in some if text not in bad] for some in scenes.expressions]
    plain, found = lessons_of(scenes, frozenset(), each, seed), lessons_of(scenes, bad, each, seed)
    for place in places:
        at = place % len(scenes)
        asked = found[at]
        stands_in = next(number % len(scenes) for number in range(at, at + len(scenes)) if good[number % len(scenes)])
        assert asked.at == stands_in, "the scene itself, or the next one of which something is left"
        names = [lesson.sample.id for lesson in asked.lessons if lesson.sample is not None]
        assert len(names) == len(set(names)) == min(each, len(good[stands_in])), "others are asked instead"
        assert set(names) <= set(good[stands_in])
        assert {one.sample for one in asked.refused} <= bad
        assert all(one.reason == f"ValueError: no form for {one.sample}" for one in asked.refused)
        if not bad:
            assert [lesson.sample.id for lesson in plain[at].lessons if lesson.sample is not None] == names


class Wordy(Picky):
    """Writes some samples' answers twice."""

    def target(self, sample: Sample, view: View) -> str:
        written = CodecHead.target(self, sample, view)
        return written * 2 if sample.id in self.bad else written


def test_a_scene_without_an_answer_short_enough_lets_the_next_one_stand_in() -> None:
    def lessons(longest: int) -> SceneLessons:
        heads = [(Wordy(frozenset({"0 0", "0 1", "1 0"})), (Task.HBB,))]
        return SceneLessons(Scenes([2, 3]), heads, Speller(WORDS), Chances(each=5, longest=longest))  # type: ignore[arg-type]

    plain = max(len(lesson.answer) for lesson in lessons_of(Scenes([2]), frozenset())[0].lessons)
    found = lessons(plain)[0]
    assert found.at == 1
    assert {lesson.sample.id for lesson in found.lessons if lesson.sample is not None} == {"1 1", "1 2"}
    assert not found.refused
    with pytest.raises(DataError, match=rf"{plain - 1} tokens or fewer \(options.longest\).*1000 \(options.room\)"):
        lessons(plain - 1)[0]


def test_where_most_expressions_are_bad_the_run_stops() -> None:
    scenes = Scenes([3, 2])
    made = lessons_of(scenes, frozenset({"0 0", "0 1", "0 2"}), each=5)
    with pytest.raises(DataError, match=r"most .* 3 of 5 samples, such as sample '0 \d': ValueError: no form for 0 \d"):
        made[0]


@pytest.mark.parametrize("error", [ContractError("the head"), MemoryError()])
def test_what_is_not_an_expressions_fault_is_raised(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Any, sample: Sample, view: View) -> str:
        raise error

    monkeypatch.setattr(Picky, "target", fails)
    with pytest.raises(type(error)):
        lessons_of(Scenes([3]), frozenset())[0]


@pytest.fixture
def unwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Four drawn scenes; the head ``codec`` can write nothing of the first, and not the last question of the others."""
    book = scene_cache(tmp_path / "book", count=4, first=0, seed=0, size=64, workers=1)
    names = [[sample.id for sample in book.samples(at, Task.HBB)] for at in range(4)]
    bad = {*names[0], *(each[-1] for each in names[1:])}
    assert 2 * len(bad) < sum(map(len, names))
    write = CodecHead.target

    def picky(self: CodecHead, sample: Sample, view: View) -> str:
        if sample.id in bad:
            raise DataError(f"{sample.expression!r} has no form")
        return write(self, sample, view)

    with monkeypatch.context() as patched:
        patched.setattr(CodecHead, "target", picky)
        yield bad


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_the_small_models_learn_from_what_can_be_written(tmp_path: Path, unwritten: set[str], workers: int) -> None:
    """Also their vocabulary; and the run names what it passed over, and the card counts it."""
    head, table = {"name": "codec", "options": {"codec": "text-hbb"}}, 'kind = "scenes"\ncount = 4\nsize = 64\n'
    tower = "".join(f"{key} = {json.dumps(value)}\n" for key, value in TOWER.items() if key != "vision_config")
    vision = "".join(f"{key} = {json.dumps(value)}\n" for key, value in TOWER["vision_config"].items())
    schedule = f"[schedule]\nsteps = 6\nbatch = 1\nworkers = {workers}\n"
    (tmp_path / "tower.toml").write_text(
        f'stage = "dense"\n[data]\n{table}{schedule}[model]\n{tower}[model.vision_config]\n{vision}'
    )
    (tmp_path / "words.toml").write_text(
        f'stage = "answer"\ninit = "{tmp_path}/begun"\n[data]\n{table}{schedule}'
        '[head]\nname = "codec"\noptions = { codec = "text-hbb" }\n[options]\neach = 20\n'
    )
    with training_in(Ways("cpu", quiet=True)):
        taught = run_recipe(read_recipe(tmp_path / "tower.toml"), tmp_path / "runs")
        book = scene_cache(tmp_path / "book", count=4, first=0, seed=0, size=64, workers=1)
        heads = [made for made, _ in language_setup.heads_of([head])]
        begun = language_setup.begin(taught, {"vocabulary": 320, **TEXT}, heads, book, 0)
        language_setup.save_model(*begun, tmp_path / "begun")
        out = run_recipe(read_recipe(tmp_path / "words.toml"), tmp_path / "runs")
    work = tmp_path / "runs" / "words"
    named = {each.sample for each in passed_over(work)}
    assert named
    assert named <= unwritten
    assert all("has no form" in each.reason for each in passed_over(work))
    assert read_card(out).training["samples passed over"] == len(named)
    assert read_card(out).training["images passed over"] == 0
    (log,) = work.rglob("*.log")
    assert log.read_text().count("passed over: sample") == len(named), "once each"
