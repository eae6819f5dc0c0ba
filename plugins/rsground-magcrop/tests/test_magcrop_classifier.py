"""The granularity classifier: what ships is right about the heads' own words, and BERT can take its encoder's place."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsground import Grounder
from rsground.errors import DataError
from rsground.models.card import Card, PartCard, read_card, write_card
from rsground.types import Task
from rsground_magcrop.granularity import OF_TASK, Granularity, GranularityClassifier, load_classifier
from rsground_magcrop.magcrop import MagCrop
from rsground_magcrop.phrasing import composed
from rsground_magcrop.questions import from_heads, from_parts, from_wordings, phrases
from rsground_magcrop.wordings import DEVELOPMENT, INSTRUCTIONS, TRAINING, UNSEEN, instruction
from rsground_magcrop.words import WordEncoder, buckets


def share_right(asked: list[Any]) -> float:
    found = load_classifier().probabilities([question.text for question in asked]).argmax(axis=1)
    return float(
        np.mean([list(Granularity)[place] is question.level for place, question in zip(found, asked, strict=True)])
    )


def test_it_is_right_about_its_own_instructions() -> None:
    classifier = load_classifier()
    for task in INSTRUCTIONS:
        if INSTRUCTIONS[task] != "{x}":
            text = instruction(task, "the small storage tank beside the road")
            assert classifier.classify(text) is OF_TASK[task], text


def test_it_is_right_about_installed_heads() -> None:
    samples = phrases("val", 12)
    asked = from_heads(samples, np.random.default_rng(1), each=20)
    assert {question.source for question in asked} >= {"codec"}
    assert "mmrotate" not in {question.source for question in asked}, "it asks for all objects, whatever is meant"
    assert share_right(asked) > 0.9


def test_it_is_mostly_right_about_wordings_it_never_saw() -> None:
    samples = phrases("val", 12)
    assert share_right(from_wordings(UNSEEN, samples, np.random.default_rng(1), 5)) > 0.75


def test_what_was_measured_ships_with_it() -> None:
    import rsground_magcrop

    folder = Path(rsground_magcrop.__file__).parent / "classifier"
    facts = json.loads((folder / "config.json").read_text())
    assert facts["hidden"] == [256, 128]
    assert facts["training"]["recipe"] == "python -m rsground_magcrop.train_classifier"
    assert facts["training"]["accuracy"]["unseen wordings"]["questions"] > 0
    assert (folder / "model.safetensors").stat().st_size < 600_000


def test_held_out_wordings_are_held_out() -> None:
    for task in TRAINING:
        assert not set(TRAINING[task]) & set(UNSEEN[task])
        assert not set(TRAINING[task]) & set(DEVELOPMENT[task])
        assert not set(DEVELOPMENT[task]) & set(UNSEEN[task])
    made = {question.text for question in from_parts(phrases("train", 3), np.random.default_rng(0), 300)}
    assert not made & {text for texts in UNSEEN.values() for text in texts}


@pytest.mark.parametrize("task", list(OF_TASK))
def test_composed_questions_are_whole(task: Task) -> None:
    rng = np.random.default_rng(0)
    texts = {composed(task, rng) for _ in range(200)}
    assert len(texts) > 40
    assert all(text.strip() == text and "  " not in text for text in texts)


def test_probabilities_are_those_of_the_layers() -> None:
    """The numpy layers beside torch's, on the same weights."""
    torch = pytest.importorskip("torch")
    from torch import nn

    classifier = load_classifier()
    stack = []
    for weight, bias in classifier.layers:
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
        stack += [layer, nn.ReLU()]
    texts = ["Segment the car", "Describe the image.", "", "Where is it?"]
    expected = nn.Sequential(*stack[:-1])(torch.tensor(classifier.encoder.encode(texts))).softmax(1)
    np.testing.assert_allclose(classifier.probabilities(texts), expected.detach().numpy(), atol=1e-5)


def test_texts_of_any_kind_are_read() -> None:
    classifier = load_classifier()
    for text in ("", " ", "?!", "\x00\ud800", "7" * 5000, "<seg>" + "1 *9| " * 3000, "找到船"):
        assert classifier.classify(text) in list(Granularity)
    assert buckets("", 64) == []
    assert buckets("Find 12 cars", 64) == buckets("find 7 car", 64)


def test_saved_and_loaded_again(tmp_path: Path) -> None:
    classifier = load_classifier()
    classifier.save(tmp_path / "own", note="kept")
    again = load_classifier(tmp_path / "own")
    texts = ["Segment the car", "Describe the image."]
    np.testing.assert_array_equal(again.probabilities(texts), classifier.probabilities(texts))
    assert json.loads((tmp_path / "own" / "config.json").read_text())["note"] == "kept"
    assert MagCrop(classifier=tmp_path / "own").classifier.classify("Segment the car") is Granularity.PIXEL


def test_a_system_folder_may_bring_one(tmp_path: Path) -> None:
    own_classifier(tmp_path / "preprocessors" / "magcrop")
    assert MagCrop(checkpoint=tmp_path).classifier.classify("Describe the image.") is Granularity.REGION
    assert MagCrop(checkpoint=tmp_path / "elsewhere").classifier.classify("Describe the image.") is Granularity.IMAGE


def test_broken_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'config.json' is missing.*train_classifier --out"):
        load_classifier(tmp_path)
    load_classifier().save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match="cannot be read as a granularity classifier"):
        load_classifier(tmp_path)
    load_classifier().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "labels": ["a", "b", "c"]}))
    with pytest.raises(DataError, match="labels must be image, region, pixel"):
        load_classifier(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden": [256, 128, 64]}))
    with pytest.raises(DataError, match="do not fit: KeyError"):
        load_classifier(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "encoder": {"kind": "lstm"}}))
    with pytest.raises(DataError, match="must be 'words' or 'transformers'"):
        load_classifier(tmp_path)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of a few thousand random weights, in hub layout."""
    torch = pytest.importorskip("torch")
    hf = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    words = sorted(
        {word for text in ("segment describe the image where is car a of box mask",) for word in text.split()}
    )
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n")
    torch.manual_seed(0)
    config = hf.BertConfig(
        vocab_size=5 + len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        initializer_range=0.3,  # far apart states: the layers learn on what differs between texts
    )
    hf.BertModel(config).save_pretrained(folder)
    hf.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
def test_bert_takes_the_encoders_place(bert: Path, tmp_path: Path, pooling: str) -> None:
    from argparse import Namespace

    from rsground_magcrop.bert import BertEncoder
    from rsground_magcrop.questions import Question
    from rsground_magcrop.train_classifier import accuracy, fit_layers

    encoder = BertEncoder(bert, pooling, batch=2)
    together = encoder.encode(["segment the car", "where is a box", "describe the image of a car"])
    assert together.shape == (3, 16)
    alone = np.concatenate([encoder.encode([text]) for text in ("segment the car", "where is a box")])
    np.testing.assert_allclose(together[:2], alone, atol=1e-5)

    asked = [
        Question(text, level, "wordings")
        for text, level in (
            ("segment the car", Granularity.PIXEL),
            ("mask of the car", Granularity.PIXEL),
            ("where is the car", Granularity.REGION),
            ("box of the car", Granularity.REGION),
            ("describe the image", Granularity.IMAGE),
        )
    ]
    trained = fit_layers(encoder, asked, Namespace(seed=0, steps=300))
    assert accuracy(trained, asked)["all"] == 1.0
    assert [weight.shape for weight, _ in trained.layers] == [(256, 16), (128, 256), (3, 128)]
    trained.save(tmp_path)
    again = load_classifier(tmp_path)
    assert [again.classify(question.text) for question in asked] == [question.level for question in asked]


QUESTIONS = ["segment the car", "where is a box", "describe the image of a car"]


@pytest.mark.parametrize("relative", [True, False])
def test_bert_is_found_again_wherever_one_works(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    from rsground_magcrop.bert import BertEncoder

    shutil.copytree(bert, tmp_path / "models" / "bert")
    monkeypatch.chdir(tmp_path)
    place = Path("models/bert") if relative else tmp_path / "models" / "bert"
    made = GranularityClassifier(BertEncoder(place), _layers(16))
    made.save("own/classifier")
    expected = made.probabilities(QUESTIONS)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = load_classifier(tmp_path / "own" / "classifier")
    np.testing.assert_allclose(again.probabilities(QUESTIONS), expected, atol=1e-3)
    (tmp_path / "own").rename(tmp_path / "moved")
    np.testing.assert_allclose(load_classifier("../moved/classifier").probabilities(QUESTIONS), expected, atol=1e-3)
    (tmp_path / "models").rename(tmp_path / "gone")
    with pytest.raises(DataError, match=r'text encoder is to lie in .*models/bert.*"encoder", "path"') as caught:
        load_classifier(tmp_path / "moved" / "classifier")
    assert "do not fit" not in str(caught.value), "nothing else is wrong"


def test_bert_within_the_classifiers_folder_moves_with_it(bert: Path, tmp_path: Path) -> None:
    from rsground_magcrop.bert import BertEncoder

    shutil.copytree(bert, tmp_path / "own" / "bert")
    made = GranularityClassifier(BertEncoder(tmp_path / "own" / "bert"), _layers(16))
    made.save(tmp_path / "own")
    assert json.loads((tmp_path / "own" / "config.json").read_text())["encoder"]["path"] == "bert"
    (tmp_path / "own").rename(tmp_path / "moved")
    again = load_classifier(tmp_path / "moved")
    np.testing.assert_allclose(again.probabilities(QUESTIONS), made.probabilities(QUESTIONS), atol=1e-3)


def own_classifier(folder: Path) -> None:
    """One that calls everything a region."""
    made = GranularityClassifier(
        WordEncoder(np.zeros((8, 4), np.float32), np.zeros(8, np.float32)),
        [(np.zeros((3, 4), np.float32), np.asarray([0, 5, 0], np.float32))],
    )
    made.save(folder, note="kept")


def system(folder: Path, options: dict[str, Any]) -> Path:
    """The folder of a system of text with magcrop before it."""
    card = Card(
        "my/own",
        head=PartCard("codec", {"codec": "text-hbb"}),
        backbone=PartCard("blind", {"text": "none"}),
        preprocessors=(PartCard("magcrop", {"fallback": "plain", **options}),),
    )
    write_card(folder, card)
    return folder


@pytest.mark.parametrize("encoder", ["ours", "words", "bert", "bert inside"])
def test_a_saved_system_takes_its_classifier_along(
    encoder: str, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else is gone when it is asked again, from another folder; and it can be saved once more."""
    from rsground_magcrop.bert import BertEncoder

    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {} if encoder == "ours" else {"classifier": "given/classifier"}
    if encoder == "words":
        own_classifier(tmp_path / "given" / "classifier")
    elif encoder != "ours":
        home = Path("given/classifier" if encoder == "bert inside" else "given") / "models" / "bert"
        shutil.copytree(bert, home)
        GranularityClassifier(BertEncoder(home), _layers(16)).save("given/classifier")
    first, found = system(tmp_path / "first", options), []
    for before, after in (("first", "second"), ("second", "third")):
        with Grounder.from_pretrained(tmp_path / before) as grounder:
            (step,) = grounder.pipeline.steps  # type: ignore[union-attr]
            found.append(step.classifier.probabilities(QUESTIONS))
            grounder.save_pretrained(tmp_path / after)
    shutil.rmtree(first)
    shutil.rmtree(tmp_path / "given", ignore_errors=True)
    (tmp_path / "third").rename(tmp_path / "moved")
    shutil.rmtree(tmp_path / "second")
    monkeypatch.chdir(tmp_path.parent)
    (part,) = read_card(tmp_path / "moved").preprocessors
    assert part.options == {"fallback": "plain"}
    with Grounder.from_pretrained(tmp_path / "moved") as grounder:
        (step,) = grounder.pipeline.steps  # type: ignore[union-attr]
        assert step._folder == tmp_path / "moved" / "preprocessors" / "magcrop"
        for expected in found:
            np.testing.assert_allclose(step.classifier.probabilities(QUESTIONS), expected, atol=1e-6)
        assert grounder.ground(np.zeros((64, 64, 3), np.uint8), "the car", Task.HBB).error is None


def test_a_classifier_that_is_not_there_is_named_when_a_system_is_saved(tmp_path: Path) -> None:
    folder = system(tmp_path / "first", {"classifier": str(tmp_path / "gone"), "granularity": "task"})
    with Grounder.from_pretrained(folder) as grounder, pytest.raises(DataError, match=r"gone: .*'config.json' is miss"):
        grounder.save_pretrained(tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_folder_of_a_package_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_package_of_mine").mkdir()
    (tmp_path / "some_package_of_mine" / "__init__.py").touch()
    own_classifier(tmp_path / "some_package_of_mine" / "system" / "preprocessors" / "magcrop")
    monkeypatch.syspath_prepend(tmp_path)
    for options in (
        {"checkpoint": "some_package_of_mine:system"},
        {"classifier": "some_package_of_mine:system/preprocessors/magcrop"},
    ):
        assert MagCrop(**options).classifier.classify("Describe the image.") is Granularity.REGION  # type: ignore[arg-type]


def test_the_command_trains_on_a_relative_bert(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rsground_magcrop.train_classifier import main

    shutil.copytree(bert, tmp_path / "bert")
    monkeypatch.chdir(tmp_path)
    main(["--out", "out", "--encoder", "bert", "--steps", "2", "--scenes", "2", "--composed", "5"])
    monkeypatch.chdir(tmp_path.parent)
    assert load_classifier(tmp_path / "out").classify("segment the car") in list(Granularity)


def _layers(width: int) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(0)
    sizes = [width, 256, 128, 3]
    return [
        (rng.normal(0, 0.3, (after, before)).astype(np.float32), np.zeros(after, np.float32))
        for before, after in pairwise(sizes)
    ]


def test_a_folder_without_bert_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from rsground_magcrop.bert import BertEncoder

    with pytest.raises(DataError, match="no such folder of a text encoder"):
        BertEncoder(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot be loaded as a text encoder"):
        BertEncoder(tmp_path)
    with pytest.raises(DataError, match="pooling is one of cls, mean, pooler, got 'max'"):
        BertEncoder(tmp_path, "max")


def test_our_encoder_learns() -> None:
    pytest.importorskip("torch")
    from argparse import Namespace

    from rsground_magcrop.train_classifier import accuracy, fit_words

    samples = phrases("train", 4)
    rng = np.random.default_rng(0)
    asked = from_wordings(TRAINING, samples, rng, 3)
    trained = fit_words(asked, Namespace(seed=0, steps=400, buckets=2048, width=16))
    assert accuracy(trained, from_wordings(TRAINING, samples, rng, 1))["all"] > 0.8
