"""How fast unambiguous expressions are made, and the resolver as a ratio to proving the margin by trial.

Scenes of boxes at random. "By trial" is the obvious way: evaluate every query plainly on the scene and on a number of
randomly perturbed copies; it proves less than the resolver does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rsground.datasets.refer import Margin, SceneGraph, SceneObject, describe, evaluate, expressions
from rsground.datasets.refer.resolve import Resolver
from rsground.datasets.refer.tables import SceneTables
from rsground.types import Region

SIDES = {"car": 9, "truck": 14, "ship": 22, "airplane": 24, "storage tank": 18, "harbor": 50, "bridge": 40}
TRIALS = 8


def scene(seed: int, n: int, side: int = 256) -> SceneGraph:
    """``n`` boxes of up to five categories."""
    rng = np.random.default_rng(seed)
    names = rng.choice(sorted(SIDES), size=5, replace=False)
    items = []
    for i in range(n):
        name = str(rng.choice(names))
        w, h = (float(v) for v in SIDES[name] * rng.uniform(0.6, 1.4, size=2))
        x, y = float(rng.uniform(0, side - w)), float(rng.uniform(0, side - h))
        seen = {"colour": str(rng.choice(["white", "red", "blue", "green"]))} if name in ("car", "truck") else {}
        box = (x, y, x + w, y + h)
        items.append(SceneObject(i, name, box, w * h, Region(hbb=box), attributes=seen))
    return SceneGraph(side, side, tuple(items), frozenset({*SIDES, "swimming pool", "roundabout"}))


def shifted(graph: SceneGraph, rng: np.random.Generator) -> SceneGraph:
    """The graph with every box moved by up to four pixels."""
    moves = rng.uniform(-4, 4, size=(len(graph.objects), 2)).tolist()
    boxes = [
        (o.hbb[0] + x, o.hbb[1] + y, o.hbb[2] + x, o.hbb[3] + y) for o, (x, y) in zip(graph.objects, moves, strict=True)
    ]
    return replace(graph, objects=tuple(replace(o, hbb=box) for o, box in zip(graph.objects, boxes, strict=True)))


def best(rounds: int, work: Callable[[], object]) -> float:
    """Processor seconds of the fastest of several rounds."""
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--objects", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    graphs = [scene(seed, args.objects) for seed in range(args.scenes)]
    for limit in (4, 12, None):

        def make(limit: int | None = limit) -> list[int]:
            return [len(expressions(g, np.random.default_rng(i), limit=limit)) for i, g in enumerate(graphs)]

        count, seconds = sum(make()), best(args.rounds, make)
        print(
            f"limit {limit!s:>4}: {seconds / count * 1e3:.3f} ms an expression, "
            f"{seconds / len(graphs) * 1e3:.2f} ms a scene of {args.objects} objects"
        )
    seconds = best(args.rounds, lambda: [describe(g, np.random.default_rng(i)) for i, g in enumerate(graphs)])
    print(f"describe: {seconds / len(graphs) * 1e3:.2f} ms a scene")
    queries = [[e.query for e in expressions(g, np.random.default_rng(i))] for i, g in enumerate(graphs[:20])]
    copies = [[shifted(g, np.random.default_rng(i + k)) for k in range(TRIALS)] for i, g in enumerate(graphs[:20])]

    def resolve() -> None:
        for graph, asked in zip(graphs, queries, strict=False):
            resolver = Resolver(SceneTables(graph, Margin()))
            for query in asked:
                resolver(query)

    def by_trial() -> None:
        for graph, others, asked in zip(graphs, copies, queries, strict=False):
            for query in asked:
                expected = evaluate(query, graph)
                all(evaluate(query, other) == expected for other in others)

    ours, plain = best(args.rounds, resolve), best(args.rounds, by_trial)
    count = sum(map(len, queries))
    ours, plain = ours / count * 1e6, plain / count * 1e6
    print(f"deciding a query: {ours:.1f} us, by {TRIALS} trials {plain:.1f} us: {plain / ours:.1f} x")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
