"""Examples from a run: samples for the gallery, and the worst answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsground.bench.results import Run
from rsground.report.collect_boards import paired_values
from rsground.report.gallery import gallery_item, image_name
from rsground.report.model import Board, Failure, GalleryItem
from rsground.report.tables import featured
from rsground.report.text import shorten
from rsground.types import ImageRef, Prediction

_CANDIDATES = 20_000
"""Gallery samples are picked among the first so many: drawn images are drawn again on the way to the last one."""
_FAILURES = 200
_TEXT = 600


def gallery_of(
    run: Run, dataset: str, board: Board, families: Mapping[str, str], count: int, baseline: str | None
) -> tuple[GalleryItem, ...]:
    """``count`` samples with the answers of up to six systems: where they disagree, the hardest, and typical ones."""
    shown = featured(board, families, baseline)
    if count < 1 or not shown:
        return ()
    codes = run.image_codes(dataset)
    seed = run.seeds[0] if run.seeds else None
    values = np.stack(
        [paired_values(run.columns(label, dataset, board.metric, seed), board.paired, len(codes)) for label in shown]
    )
    picks = pick(values[:, :_CANDIDATES], codes[:_CANDIDATES], count)
    answers: dict[int, dict[str, Prediction]] = {place: {} for place in picks}
    samples = dict(run.samples(dataset, picks))
    for label in shown:
        for answered in run.answers(label, dataset, picks, seed):
            answers[answered.index][label] = answered.prediction
    images: dict[int, ImageRef] = run.images(dataset, list(picks)) if picks else {}
    items = []
    for place, why in picks.items():
        sample = samples[place]
        if place in images:
            sample = replace(sample, images=(*sample.images[:-1], images[place]))
        scores = {label: _known(values[row, place]) for row, label in enumerate(shown)}
        items.append(gallery_item(sample, answers[place], scores, why))
    return tuple(items)


def pick(values: NDArray[np.float64], images: NDArray[np.int64], count: int) -> dict[int, str]:
    """Place → why it was picked, at most ``count`` of them and one per image while there are images enough.

    Args:
        values: ``(S, N)`` score of every shown system on every sample, nan where there is none.
        images: ``(N,)`` image codes.
        count: how many.
    """
    known = ~np.isnan(values)
    usable = np.flatnonzero(known.any(axis=0))
    if not len(usable):
        return {}
    part, mask = values[:, usable], known[:, usable]
    counts = mask.sum(axis=0)
    mean = np.where(mask, part, 0.0).sum(axis=0) / counts
    spread = np.where(mask, part, -np.inf).max(axis=0) - np.where(mask, part, np.inf).min(axis=0)
    evenly = np.linspace(0, len(usable) - 1, min(len(usable), 4 * count)).round().astype(int)
    orders = {
        "systems disagree": [k for k in np.argsort(-spread, kind="stable") if spread[k] > 0],
        "hard for all": list(np.argsort(mean, kind="stable")),
        "typical": list(evenly),
    }
    return _in_turns({why: [int(usable[k]) for k in order] for why, order in orders.items()}, images, count)


def _in_turns(orders: Mapping[str, Sequence[int]], images: NDArray[np.int64], count: int) -> dict[int, str]:
    """Take from each order in turn, first from images not yet shown, then from any."""
    picked: dict[int, str] = {}
    for fresh in (True, False):
        queues = {why: list(reversed(order)) for why, order in orders.items()}
        seen = {int(images[place]) for place in picked}
        while any(queues.values()) and len(picked) < count:
            for why, queue in queues.items():
                while queue and len(picked) < count:
                    place = queue.pop()
                    if place not in picked and not (fresh and int(images[place]) in seen):
                        picked[place] = why
                        seen.add(int(images[place]))
                        break
    return picked


def failures_of(
    run: Run, dataset: str, board: Board, usage: Mapping[str, Mapping[str, NDArray[Any]]]
) -> tuple[Failure, ...]:
    """The worst answers of every system, worst first: those that never came, then by score (unreadable ones have 0)."""
    each = max(3, _FAILURES // max(1, len(board.rows)))
    seed = run.seeds[0] if run.seeds else None
    size = len(run.image_codes(dataset))
    rows: list[Failure] = []
    for label in board.ranking():
        values = paired_values(run.columns(label, dataset, board.metric, seed), board.paired, size)
        places = _worst(values, usage[label], each)
        found = {one.index: one for one in run.answers(label, dataset, places, seed)}
        rows += [_failure(label, found[place], _known(values[place])) for place in places if place in found]
    return tuple(sorted(rows, key=_badness))


def _badness(row: Failure) -> tuple[int, float]:
    """Answers that never came first, unreadable ones next, then by score."""
    return (0 if row.error else 1, -1.0 if row.score is None else row.score)


def _worst(values: NDArray[np.float64], usage: Mapping[str, NDArray[Any]], count: int) -> list[int]:
    rank = np.where(np.isnan(values), np.inf, values)
    rank[np.isfinite(rank) & (rank >= 1 - 1e-9)] = np.inf
    rank[usage["index"][~np.asarray(usage["parsed"], bool)]] = -1.0
    rank[usage["index"][np.asarray(usage["failed"], bool)]] = -2.0
    order = np.argsort(rank, kind="stable")[:count]
    return [int(place) for place in order if np.isfinite(rank[place])]


def _failure(label: str, answered: Any, score: float | None) -> Failure:
    sample, prediction = answered.sample, answered.prediction
    return Failure(
        system=label,
        sample=sample.id,
        image=image_name(sample.image),
        expression=sample.expression,
        score=score,
        issues=tuple(dict.fromkeys(issue.code for issue in prediction.issues)),
        text=shorten(prediction.text, _TEXT),
        error=prediction.error,
        category=_category(sample.meta.get("category")),
    )


def _category(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value or "")


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
