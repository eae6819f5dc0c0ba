"""What an expression chooses among and what it starts from: steps on the way to its targets, for the judge to learn.

"The third ship from the left" chooses among the ships; "the tank nearest to the topmost court" among the tanks,
starting from a court, which is itself chosen among the courts. Only expressions with a logical form tell; what people
wrote does not.
"""

from __future__ import annotations

from rsground.datasets.refer import SceneGraph, evaluate
from rsground.datasets.refer.engine import Expression
from rsground.datasets.refer.query import Extreme, Nearest, Query, Rank, Related

Step = tuple[tuple[int, ...], tuple[int, ...]]
"""Numbers of the objects that are chosen among, and of those that are chosen."""
Steps = tuple[Step, ...]
"""The expression's own step, that of what it starts from, that of what this starts from, and so on."""


def steps_of(expression: Expression, graph: SceneGraph) -> Steps:
    """Ids of all steps; where nothing is chosen among, the targets themselves."""
    found: list[Step] = []
    query: Query | None = expression.query
    while query is not None:
        meant = evaluate(query, graph)
        match query:
            case Rank(source=source) | Extreme(source=source) | Related(source=source) | Nearest(source=source):
                found.append((evaluate(source, graph), meant))
            case _:
                found.append((meant, meant))
        query = query.anchor if isinstance(query, Related | Nearest) else None
    return tuple(found)
