"""Referring expressions from what is known about an image: drawn scenes and annotated instances alike."""

from rsground.datasets.refer.description import Description, Phrase, describe
from rsground.datasets.refer.engine import KINDS, Expression, expressions
from rsground.datasets.refer.evaluate import evaluate
from rsground.datasets.refer.margins import Margin
from rsground.datasets.refer.objects import SceneGraph, SceneObject
from rsground.datasets.refer.query import AXES, Query

__all__ = [
    "AXES",
    "KINDS",
    "Description",
    "Expression",
    "Margin",
    "Phrase",
    "Query",
    "SceneGraph",
    "SceneObject",
    "describe",
    "evaluate",
    "expressions",
]
