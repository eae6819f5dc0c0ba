"""Relevance as in Eq. 4, and maps whose totals are exact."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsground.errors import ContractError
from rsground_magcrop.heat import map_shape, paint, relevance, token_boxes


def attended(attention: object, gradient: object, boxes: object = None) -> SimpleNamespace:
    return SimpleNamespace(attention=attention, gradient=gradient, boxes=boxes)


def test_relevance_is_the_mean_of_attention_times_positive_gradient() -> None:
    attention = np.asarray([[[0.5, 0.2, 0.3]], [[0.1, 0.8, 0.1]]])
    gradient = np.asarray([[[2.0, -1.0, 0.0]], [[-3.0, 0.5, 1.0]]])
    np.testing.assert_allclose(relevance(attended(attention, gradient)), [0.5, 0.2, 0.05])
    np.testing.assert_allclose(relevance(attended(attention, gradient), "max"), [1.0, 0.4, 0.1])


def test_the_greatest_head_is_taken_for_each_word_alone() -> None:
    attention = np.ones((2, 2, 1))
    gradient = np.asarray([[[4.0], [0.0]], [[0.0], [2.0]]])
    np.testing.assert_allclose(relevance(attended(attention, gradient)), [1.5])
    np.testing.assert_allclose(relevance(attended(attention, gradient), "max"), [3.0])
    assert relevance(attended(np.ones((0, 1, 3)), np.ones((0, 1, 3))), "max").tolist() == [0.0] * 3


def test_what_is_not_finite_counts_nothing() -> None:
    attention = np.asarray([[[np.nan, 0.5, 0.5]]])
    gradient = np.asarray([[[1.0, np.inf, 2.0]]])
    np.testing.assert_allclose(relevance(attended(attention, gradient)), [0.0, 0.0, 1.0])


def test_torch_tensors_of_any_precision_are_read() -> None:
    torch = pytest.importorskip("torch")
    attention = torch.full((2, 1, 4), 0.25, dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_allclose(relevance(attended(attention, torch.ones(2, 1, 4))), np.full(4, 0.25))


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ContractError, match=r"\(heads, T, V\), got \(1, 4\)"):
        relevance(attended(np.ones((1, 4)), np.ones((1, 4))))
    with pytest.raises(ContractError, match=r"one shape .*got \(1, 1, 4\) and \(1, 1, 3\)"):
        relevance(attended(np.ones((1, 1, 4)), np.ones((1, 1, 3))))
    with pytest.raises(ContractError, match=r"per visual token: 4, got \(3, 4\)"):
        token_boxes(attended(None, None, np.zeros((3, 4))), 4)


boxes = st.lists(
    st.tuples(st.floats(0, 90), st.floats(0, 50), st.floats(0.5, 40), st.floats(0.5, 40)), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None)
@given(boxes, st.sampled_from([(7, 11), (60, 100), (1, 1), (33, 50)]))
def test_totals_survive_painting(given_boxes: list[tuple[float, float, float, float]], shape: tuple[int, int]) -> None:
    corners = np.asarray([(x, y, min(x + w, 100.0), min(y + h, 60.0)) for x, y, w, h in given_boxes])
    values = np.arange(1.0, len(corners) + 1)
    heat = paint(corners, values, (60, 100), shape)
    assert heat.shape == shape
    assert heat.min() >= 0.0
    assert heat.sum() == pytest.approx(values.sum())


def test_each_cell_gets_the_part_that_covers_it() -> None:
    heat = paint(np.asarray([[1.0, 0.0, 3.0, 2.0]]), np.asarray([8.0]), (4, 4), (2, 2))
    np.testing.assert_allclose(heat, [[4.0, 4.0], [0.0, 0.0]])


def test_a_grid_of_tokens_is_the_map() -> None:
    values = np.arange(6.0)
    corners = np.asarray([(x, y, x + 8, y + 8) for y in (0, 8) for x in (0, 8, 16)], np.float64)
    np.testing.assert_allclose(paint(corners, values, (16, 24), (2, 3)), values.reshape(2, 3))


def test_separators_and_overhang_are_left_out() -> None:
    corners = np.asarray([[np.nan] * 4, [8.0, 0.0, 24.0, 8.0], [5.0, 5.0, 5.0, 9.0]])
    heat = paint(corners, np.asarray([100.0, 2.0, 100.0]), (8, 16), (1, 2))
    np.testing.assert_allclose(heat, [[0.0, 1.0]])  # half of the second token lies right of the view


@pytest.mark.parametrize(
    ("size", "side", "shape"),
    [((4096, 4096), 96, (96, 96)), ((2160, 4096), 96, (51, 96)), ((10, 40), 96, (10, 40)), ((1, 4000), 96, (1, 96))],
)
def test_map_shape_follows_the_view(size: tuple[int, int], side: int, shape: tuple[int, int]) -> None:
    assert map_shape(size, side) == shape
