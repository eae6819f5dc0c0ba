"""Change detection: hand-made confusion matrices."""

from __future__ import annotations

import numpy as np
import pytest
from metric_samples import mask_region

from rsground.builtin.metrics import METRICS
from rsground.metrics import evaluate
from rsground.metrics.change import FLOAT32_EPS, BinaryChange, ClassChange
from rsground.registry import construct
from rsground.types import ImageRef, Prediction, Sample, Task


def strip(start, stop, **facts):
    mask = np.zeros((1, 20), bool)
    mask[0, start:stop] = True
    return mask_region(mask, **facts)


def pair(*targets, name="s"):
    image = ImageRef(f"{name}.png", 1, 20)
    return Sample(name, (image, image), "what changed", Task.CHANGE, targets)


def test_counts_are_summed_over_the_set():
    samples = [pair(strip(0, 10)), pair()]
    found = evaluate(samples, [Prediction((strip(5, 15),)), Prediction((strip(0, 5),))], "change")
    tp, fp, fn, tn = 5, 10, 5, 20
    assert found["precision"] == pytest.approx(tp / (tp + fp))
    assert found["recall"] == pytest.approx(tp / (tp + fn))
    assert found["F1"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert found["IoU"] == pytest.approx(tp / (tp + fp + fn))
    assert found["mIoU"] == pytest.approx((tp / (tp + fp + fn) + tn / (tn + fp + fn)) / 2)
    assert found["OA"] == pytest.approx((tp + tn) / 40)


def test_bit_adds_float32_eps():
    spec = next(spec for spec in METRICS if spec.name == "change-bit")
    metric = construct(spec)
    assert metric.eps == FLOAT32_EPS
    found = evaluate([pair(strip(0, 10))], [Prediction((strip(0, 10),))], metric)
    precision = 10 / (10 + FLOAT32_EPS)
    assert found["F1"] == pytest.approx(2 * precision**2 / (2 * precision + FLOAT32_EPS), abs=1e-15)
    nothing = evaluate([pair()], [Prediction()], metric)
    assert (nothing["F1"], nothing["IoU"], nothing["precision"]) == (0.0, 0.0, 0.0)


def test_no_change_anywhere_has_no_precision():
    found = evaluate([pair()], [Prediction()], BinaryChange())
    assert "F1" not in found
    assert found["OA"] == 1.0


def test_a_lost_answer_says_no_change():
    found = evaluate([pair(strip(0, 10))], [Prediction.failure("lost")], BinaryChange())
    assert (found["recall"], found["IoU"], found["parse_rate"]) == (0.0, 0.0, 0.0)


def test_kinds_of_change():
    samples = [pair(strip(0, 10, label="road"), strip(10, 14, label="Buildings"))]
    predictions = [
        Prediction((strip(0, 5, label="roads"), strip(10, 16, label="building"), strip(18, 20, label="tree")))
    ]
    found = evaluate(samples, predictions, ClassChange())
    assert found["IoU/road"] == pytest.approx(5 / 10)
    assert found["IoU/building"] == pytest.approx(4 / 6)
    assert found["IoU/background"] == pytest.approx(4 / 11)
    assert found["mIoU"] == pytest.approx(np.mean([5 / 10, 4 / 6, 4 / 11]))
    assert found["OA"] == pytest.approx(13 / 20)


def test_classes_that_never_occur_do_not_count():
    found = evaluate([pair(strip(0, 10, label="road"))], [Prediction((strip(0, 10, label="road"),))], ClassChange())
    assert found["mIoU"] == 1.0
    assert "IoU/building" not in found


def test_later_regions_cover_earlier_ones():
    sample = pair(strip(0, 10, label="road"), strip(5, 10, label="building"))
    assert evaluate([sample], [Prediction(sample.targets)], ClassChange())["mIoU"] == 1.0
    turned = evaluate([sample], [Prediction(sample.targets[::-1])], ClassChange())
    assert (turned["IoU/road"], turned["IoU/building"]) == (0.5, 0.0)


def test_options_are_checked():
    with pytest.raises(ValueError, match="1 to 3 kinds"):
        ClassChange(classes=())
