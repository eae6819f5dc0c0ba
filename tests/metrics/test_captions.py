"""Caption scores: equal to pycocoevalcap's own sums, token F1 by hand, and an honest absence."""

from __future__ import annotations

import numpy as np
import pytest
from metric_samples import stack

from rsground.metrics import captions as room
from rsground.metrics import evaluate
from rsground.metrics.captions import Captions
from rsground.metrics.wording import clean_caption, phrases, token_f1, tokens
from rsground.types import ImageRef, Prediction, Sample, Task

TEXTS = [
    ("two ships are near the harbour", ["two ships in a harbour", "some ships near a port"]),
    ("many cars stand in a parking lot", ["a parking lot full of cars", "cars in rows"]),
    ("a river", ["a wide river crosses the farmland", "farmland beside a river", "green fields"]),
    ("", ["an airport with planes"]),
]


def samples():
    return [
        Sample(f"s{k}", (ImageRef(f"{k}.png", 8, 8),), "describe", Task.CAPTION, None, None, {"references": wanted})
        for k, (_, wanted) in enumerate(TEXTS)
    ]


def predictions():
    return [Prediction(text=said) for said, _ in TEXTS]


def test_as_pycocoevalcap():
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu")
    cider = pytest.importorskip("pycocoevalcap.cider.cider")
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge")
    res = {k: [said] for k, (said, _) in enumerate(TEXTS)}
    gts = {k: wanted for k, (_, wanted) in enumerate(TEXTS)}
    found = evaluate(samples(), predictions(), Captions())
    expected, _ = bleu.Bleu(4).compute_score(gts, res, verbose=0)
    assert [found[f"BLEU-{k}"] for k in range(1, 5)] == pytest.approx(expected, rel=1e-9)
    assert found["CIDEr"] == pytest.approx(cider.Cider().compute_score(gts, res)[0], rel=1e-12)
    assert found["ROUGE-L"] == pytest.approx(rouge.Rouge().compute_score(gts, res)[0], rel=1e-12)


def test_weights_weigh_captions_and_keep_the_idf():
    pytest.importorskip("pycocoevalcap")
    metric = Captions()
    columns = stack(metric, samples(), predictions())
    each = [metric.summarise(columns, np.eye(4)[k])["CIDEr"] for k in range(4)]
    assert metric.summarise(columns, np.array([2.0, 0.0, 1.0, 0.0]))["CIDEr"] == pytest.approx(
        (2 * each[0] + each[2]) / 3
    )


def test_without_the_scorers_only_token_f1_is_left_and_the_rest_is_explained(monkeypatch):
    monkeypatch.setattr(room, "has_scorers", lambda: False)
    found = evaluate(samples(), predictions(), Captions())
    assert set(found) == {"token-F1", "parse_rate", "n", "notes"}
    assert "pip install 'rsground[captions]'" in found["notes"]["CIDEr"]
    assert set(found["notes"]) == {"BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr"}


def test_token_f1_by_hand():
    assert token_f1("a red ship", "the red ship") == pytest.approx(2 / 3)
    assert token_f1("ship ship", "ship") == pytest.approx(2 / 3)
    assert (token_f1("", ""), token_f1("a", "")) == (1.0, 0.0)


def test_tokens_are_words_and_numbers():
    assert tokens("Don't count: 3 storage_tanks, (small)!") == ["don't", "count", "3", "storage", "tanks", "small"]


def test_cleaning_a_grounded_description():
    text = "<p> a  ship </p> [SEG] beside\n<p>cars</p>[SEG] ."
    assert clean_caption(text) == "a ship beside cars ."
    assert phrases(text) == ["a ship", "cars"]


def test_a_lost_caption_is_an_empty_one():
    lost = evaluate(samples(), [Prediction.failure("lost", text=TEXTS[0][0])] * 4, Captions())
    assert (lost["token-F1"], lost["parse_rate"]) == (0.0, 0.0)
