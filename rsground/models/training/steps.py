"""What an expression chooses among and what it starts from: steps on the way to its targets, for the judge to learn.

"The third ship from the left" chooses among the ships; "the tank nearest to the court" among the tanks, from the court.
Only expressions with a logical form tell; what people wrote does not.
"""

from __future__ import annotations

from rsground.datasets.refer import SceneGraph, evaluate
from rsground.datasets.refer.engine import Expression
from rsground.datasets.refer.query import Extreme, Nearest, Rank, Related

Steps = tuple[tuple[int, ...], tuple[int, ...]]
"""Numbers of the objects that are chosen among, and of those that the choice starts from."""


def steps_of(expression: Expression, graph: SceneGraph) -> Steps:
    """Ids of both; where nothing is chosen among, the targets themselves."""
    match expression.query:
        case Rank(source=source) | Extreme(source=source):
            return evaluate(source, graph), ()
        case Related(source=source, anchor=anchor) | Nearest(source=source, anchor=anchor):
            return evaluate(source, graph), evaluate(anchor, graph)
    return expression.target_ids, ()
