"""Objects to dense targets and back; turned squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rsground.models.tower_lm import TowerLMConfig
from rsground.models.tower_lm.facts import facts
from rsground.models.tower_lm.tower import Dense
from rsground.models.training.dense import collate, colour_loss, dense_losses, turned
from rsground.models.training.dense_targets import dense_targets
from rsground.models.training.objects import Objects, stack_objects

SIDE = 128


def rotated(centre: tuple[float, float], width: float, height: float, degrees: float) -> np.ndarray:
    """Corners ``(4, 2)`` of a turned rectangle, clockwise on screen."""
    turn = np.deg2rad(degrees)
    across = np.array([np.cos(turn), np.sin(turn)]) * width / 2
    down = np.array([-np.sin(turn), np.cos(turn)]) * height / 2
    return np.array([-across - down, across - down, across + down, down - across]) + centre


def some_objects(count: int = 9, seed: int = 0) -> Objects:
    """Turned rectangles on a grid of 3 x 3, so that none hides another."""
    dice = np.random.default_rng(seed)
    quads = []
    for number in range(count):
        centre = (21 + 42 * (number % 3) + dice.uniform(-3, 3), 21 + 42 * (number // 3) + dice.uniform(-3, 3))
        quads.append(rotated(centre, dice.uniform(8, 26), dice.uniform(6, 24), dice.uniform(0, 90)))
    corners = np.array(quads, dtype=np.float32).reshape(-1, 4, 2)
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1)
    numbers = np.arange(count, dtype=np.int64)
    return Objects(boxes, corners, numbers % 20, numbers % 11, numbers, numbers % 9 - 1)


def perfect(objects: Objects) -> Dense:
    """Predictions equal to the targets."""
    config = TowerLMConfig()
    targets = dense_targets([objects], SIDE)
    s = SIDE // 2
    heat = targets.heat.clamp(1e-6, 1 - 1e-6).logit()
    edges, oriented, colour = (
        torch.zeros(1, 4, s, s),
        torch.zeros(1, 6, s, s),
        torch.zeros(1, len(config.colours), s, s),
    )
    image, row, column = targets.cells.unbind(1)
    edges[image, :, row, column] = targets.edges
    oriented[image, :, row, column] = targets.oriented
    colour[image, targets.colours, row, column] = 50.0
    pyramid = tuple(torch.zeros(1, config.fpn_width, SIDE // k, SIDE // k) for k in (4, 8, 16, 32))
    return Dense(heat, colour, edges, oriented, torch.zeros(1, config.dense_width, s, s), pyramid)


def area(corners: np.ndarray) -> np.ndarray:
    """Signed areas of ``(N, 4, 2)``; positive is clockwise on screen."""
    x, y = corners[..., 0], corners[..., 1]
    return 0.5 * (x * np.roll(y, -1, 1) - np.roll(x, -1, 1) * y).sum(1)


@pytest.mark.parametrize("seed", range(4))
def test_predictions_equal_to_targets_are_the_objects(seed: int) -> None:
    objects = some_objects(seed=seed)
    found = facts(perfect(objects), len(objects), 2)
    boxes = found.numbers[0, : len(objects), :4].numpy() * SIDE
    order = [int(np.abs(boxes - box).max(1).argmin()) for box in objects.boxes]
    assert sorted(order) == list(range(len(objects))), "every object is a peak of its own"
    np.testing.assert_allclose(boxes[order], objects.boxes, atol=0.01)
    corners = found.numbers[0, order, 8:16].reshape(-1, 4, 2).numpy() * SIDE
    assert (area(corners) > 0).all()
    for mine, wanted in zip(corners, objects.quads, strict=True):
        assert min(np.abs(np.roll(mine, k, 0) - wanted).max() for k in range(4)) < 0.02
    told = found.told[0, order]
    assert told[:, :20].argmax(1).tolist() == objects.categories.tolist()
    assert told[:, 20:31].argmax(1).tolist() == objects.colours.tolist()
    losses = dense_losses(perfect(objects), dense_targets([objects], SIDE))
    assert all(float(losses[name]) < 1e-5 for name in ("loss_edges", "loss_oriented", "loss_colour"))


def test_losses_grow_with_the_error() -> None:
    objects = some_objects()
    targets = dense_targets([objects], SIDE)
    dense, other = perfect(objects), perfect(some_objects(seed=9))
    right, wrong = dense_losses(dense, targets), dense_losses(other, targets)
    assert all(float(wrong[name]) > float(right[name]) for name in right)


def test_colours_that_nobody_tells_cost_nothing() -> None:
    """Sets of real images have none; torch's own mean over nothing is nan."""
    logits = torch.randn(4, 3, requires_grad=True)
    none = colour_loss(logits, torch.full((4,), -1))
    none.backward()
    assert none.item() == 0
    assert not logits.grad.any()  # type: ignore[union-attr]
    some = torch.tensor([2, -1, 0, -1])
    wanted = torch.nn.functional.cross_entropy(logits[[0, 2]], some[[0, 2]])
    torch.testing.assert_close(colour_loss(logits, some), wanted)


def test_image_without_objects() -> None:
    nothing = Objects.unstack({**stack_objects([some_objects(2)]), "counts": np.array([0, 2])})[0]
    batch = collate(
        [(np.zeros((SIDE, SIDE, 3), np.uint8), nothing), (np.zeros((SIDE, SIDE, 3), np.uint8), some_objects())]
    )
    assert batch["targets"].heat[0].max() == 0
    assert (batch["targets"].cells[:, 0] == 1).all()
    assert batch["pixels"].shape == (2, SIDE, SIDE, 3)


def test_stacked_objects_come_apart_again() -> None:
    images = [some_objects(3), some_objects(0), some_objects(5, seed=2)]
    for one, other in zip(images, Objects.unstack(stack_objects(images)), strict=True):
        np.testing.assert_array_equal(one.quads, other.quads)
        np.testing.assert_array_equal(one.ids, other.ids)


def painted() -> tuple[np.ndarray, Objects]:
    """An image in which object k's whole box has the value k + 1."""
    objects = some_objects()
    boxes = np.round(objects.boxes)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(boxes.astype(int)):
        image[y1:y2, x1:x2] = number + 1
    told = (objects.categories, objects.colours, objects.ids, objects.headings)
    return image, Objects(boxes, objects.quads, *told)


@pytest.mark.parametrize("attitude", range(8))
def test_attitudes_turn_pixels_boxes_and_quads_alike(attitude: int) -> None:
    image, objects = painted()
    seen, told = turned(image, objects, attitude)
    for number, box in enumerate(told.boxes):
        rows, columns = np.nonzero(seen[..., 0] == number + 1)
        np.testing.assert_allclose(box, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), atol=1e-4)
    assert (area(told.quads) > 0).all(), "clockwise"
    np.testing.assert_allclose(area(told.quads), area(objects.quads), rtol=1e-4)
    low, high = told.quads.min(1), told.quads.max(1)
    np.testing.assert_allclose(np.concatenate([low, high], 1), told.boxes, atol=0.51)  # boxes were rounded


@pytest.mark.parametrize("attitude", range(8))
def test_attitudes_turn_ways_to_point(attitude: int) -> None:
    """What points away from the middle still does."""
    angles = np.radians(22.5 + 45 * np.arange(8))
    centres = SIDE / 2 + 30 * np.stack([np.sin(angles), -np.cos(angles)], -1)
    boxes = np.concatenate([centres - 3, centres + 3], -1).astype(np.float32)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    numbers, none = np.arange(8), np.full(8, -1)
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    _, told = turned(image, Objects(boxes, corners, numbers, numbers, numbers, numbers), attitude)
    out = (told.boxes[:, :2] + told.boxes[:, 2:]) / 2 - SIDE / 2
    pointed = np.degrees(np.arctan2(out[:, 0], -out[:, 1])) % 360 // 45
    assert told.headings.tolist() == pointed.astype(int).tolist()
    _, nowhere = turned(image, Objects(boxes, corners, numbers, numbers, numbers, none), attitude)
    assert nowhere.headings.tolist() == none.tolist()


def test_every_attitude_is_undone_by_another_and_none_equals_another() -> None:
    image, objects = painted()
    seen = [turned(image, objects, attitude)[0] for attitude in range(8)]
    assert len({each.tobytes() for each in seen}) == 8
    for attitude in range(8):
        once, told = turned(image, objects, attitude)
        back = [turned(once, told, other) for other in range(8)]
        undone = [(pixels, boxes) for pixels, boxes in back if (pixels == image).all()]
        assert len(undone) == 1
        np.testing.assert_allclose(undone[0][1].boxes, objects.boxes, atol=1e-4)
        for mine, wanted in zip(undone[0][1].quads, objects.quads, strict=True):
            assert min(np.abs(np.roll(mine, k, 0) - wanted).max() for k in range(4)) < 1e-3
