"""A second opinion on the expression engine: reads the *words* and finds the objects by brute force.

Knows nothing of the engine's queries: it parses English, and every comparison is written out here once more. So it
also proves that the wording says what the logical form means.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import combinations
from math import dist

import numpy as np
import pytest

from rsground.datasets.refer import KINDS, SceneGraph, SceneObject, expressions

NOUNS = {
    "airplane": {"airplane"}, "plane": {"airplane"}, "aircraft": {"airplane", "helicopter"},
    "bridge": {"bridge"}, "car": {"car"}, "truck": {"truck"}, "vehicle": {"car", "truck", "bus", "van"},
    "harbor": {"harbor"}, "ship": {"ship"}, "vessel": {"ship"}, "storage tank": {"storage tank"},
    "tank": {"storage tank"}, "tennis court": {"tennis court"},
    "swimming pool": {"swimming pool"}, "pool": {"swimming pool"}, "helipad": {"helipad"},
    "roundabout": {"roundabout"}, "traffic circle": {"roundabout"},
}  # fmt: skip
PLURALS = {(word if word == "aircraft" else word + "s"): kinds for word, kinds in NOUNS.items()}
PURPOSES = {
    "helicopter could set down": {"helipad", "open ground"}, "could a helicopter land": {"helipad", "open ground"},
    "marked": {"helipad"}, "moored": {"harbor"}, "tie up": {"harbor"}, "play tennis": {"tennis court"},
    "tie-break": {"tennis court"}, "fuel": {"storage tank"}, "oil": {"storage tank"}, "get across": {"bridge"},
    "carry a way": {"bridge"}, "fly": {"airplane"}, "sail": {"ship"}, "drive away": {"car", "truck"},
    "wheels": {"car", "truck"},
}  # fmt: skip
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
ORDINALS = {"second": 2, "third": 3, "fourth": 4, "fifth": 5}
FIRST = {
    "leftmost": "x", "rightmost": "-x", "topmost": "y", "uppermost": "y", "bottommost": "-y", "lowest": "-y",
    "largest": "-a", "biggest": "-a", "smallest": "a",
}  # fmt: skip
OF_TWO = {"left": "x", "right": "-x", "upper": "y", "higher": "y", "lower": "-y", "larger": "-a", "bigger": "-a",
          "smaller": "a"}  # fmt: skip
FROM = {"left": "x", "right": "-x", "top": "y", "bottom": "-y"}
FARTHEST = {"to the left": "x", "to the right": "-x", "up": "y", "down": "-y"}
THIRD = {
    "low": (0.0, 0.42),
    "mid": (0.32, 0.68),
    "high": (0.58, 1.0),
    "any": (0.0, 1.0),
    "half1": (0, 0.5),
    "half2": (0.5, 1),
}
COLOURS = "white|red|blue|black|green|grey|yellow"


def key(code: str) -> Callable[[SceneObject], float]:
    sign = -1 if code[0] == "-" else 1
    return lambda o: sign * {"x": o.centre[0], "y": o.centre[1], "a": o.area}[code[-1]]


def in_place(words: str, o: SceneObject, g: SceneGraph) -> bool:
    across = down = "any"
    if "half" in words:
        across = "half1" if "left" in words else "half2" if "right" in words else "any"
        down = "half1" if re.search("upper|top", words) else "half2" if re.search("lower|bottom", words) else "any"
    else:
        down = "low" if re.search("upper|top", words) else "high" if re.search("lower|bottom", words) else "any"
        across = "low" if "left" in words else "high" if "right" in words else "any"
        if "middle" in words or "central" in words:
            free = (across == "any", down == "any")
            across, down = ("mid" if free[0] else across), ("mid" if free[1] else down)
    fx, fy = o.centre[0] / g.width, o.centre[1] / g.height
    return THIRD[across][0] <= fx <= THIRD[across][1] and THIRD[down][0] <= fy <= THIRD[down][1]


def beside(words: str, o: SceneObject, a: SceneObject) -> bool:
    axis = 0 if "left" in words or "right" in words else 1
    away = o.centre[axis] - a.centre[axis]
    if away * (1 if words in ("right", "below") else -1) <= 0:
        return False
    gap = [max(o.hbb[i] - a.hbb[i + 2], a.hbb[i] - o.hbb[i + 2]) for i in (0, 1)]
    return gap[axis] >= 0 and gap[1 - axis] <= gap[axis]


class Reader:
    """Finds what an expression names in one scene."""

    def __init__(self, graph: SceneGraph) -> None:
        self.g = graph

    def __call__(self, text: str) -> list[SceneObject]:
        text = text.lower().rstrip("?")
        for words, kinds in PURPOSES.items():
            if words in text:
                return [o for o in (*self.g.objects, *self.g.places) if o.category in kinds]
        text = re.sub(r" in the (image|scene)$", "", text)
        if " and " in text:
            return [o for part in re.split(r", | and ", text) for o in self.read(part)]
        return self.read(text)

    def read(self, text: str) -> list[SceneObject]:
        if found := re.fullmatch(r"of the two (.*), the (\w+) one", text):
            return self.of_two(found[1], found[2])
        if found := re.fullmatch(r"the (\w+)(?: one)? of the two (.*)", text):
            return self.of_two(found[2], found[1])
        text = re.sub(r"^(all the|all|the|every|each|both) ", lambda m: "both " if m[1] == "both" else "", text)
        return self.phrase(text)

    def of_two(self, noun: str, word: str) -> list[SceneObject]:
        two = self.phrase(noun)
        return [min(two, key=key(OF_TWO[word]))] if len(two) == 2 else []

    def phrase(self, text: str) -> list[SceneObject]:
        if found := re.fullmatch(r"(row|group|cluster) of (\w+) (.*)", text):
            n = NUMBERS.index(found[2])
            groups = [c for c in self.clusters(self.phrase(found[3])) if len(c) == n]
            return [o for c in groups for o in c if found[1] != "row" or self.straight(c)]
        if found := re.match(r"only ", text):
            one = self.phrase(text[found.end() :])
            return one if len(one) == 1 else []
        if found := re.match(rf"({'|'.join(NUMBERS)}|both|\d+) (.*)", text):
            n = 2 if found[1] == "both" else NUMBERS.index(found[1]) if found[1] in NUMBERS else int(found[1])
            first, _, rest = found[2].partition(" ")
            if first in FIRST:
                return self.first(self.phrase(rest), FIRST[first], n)
            exactly = self.phrase(found[2])
            return exactly if len(exactly) == n else []
        first, _, rest = text.partition(" ")
        if first in ORDINALS:
            second, _, other = rest.partition(" ")
            if second in FIRST:
                return self.nth(self.phrase(other), FIRST[second], ORDINALS[first])
            found = re.search(r" from the (left|right|top|bottom)( in the row of (\w+))?", rest)
            assert found, text
            items = self.phrase(rest[: found.start()] + rest[found.end() :])
            if found[3]:
                n = NUMBERS.index(found[3])
                items = [o for c in self.clusters(items) if len(c) == n and self.straight(c) for o in c]
            return self.nth(items, FROM[found[1]], ORDINALS[first])
        if first in FIRST:
            return self.first(self.phrase(rest), FIRST[first], 1)
        if (found := re.search(r" that is (\w+)$", text)) and found[1] in FIRST:
            return self.first(self.phrase(text[: found.start()]), FIRST[found[1]], 1)
        if found := re.search(r" farthest (to the left|to the right|up|down)$", text):
            return self.first(self.phrase(text[: found.start()]), FARTHEST[found[1]], 1)
        return self.described(text)

    def described(self, text: str) -> list[SceneObject]:
        """Colour, noun, then what follows it."""
        colour = re.match(rf"({COLOURS}) ", text)
        text = text[colour.end() :] if colour else text
        table = {**NOUNS, **PLURALS}
        noun = next(w for w in sorted(table, key=len, reverse=True) if re.match(rf"{w}\b", text))
        items = [o for o in self.g.objects if o.category in table[noun]]
        if colour:
            items = [o for o in items if o.attributes.get("colour") == colour[1]]
        rest = text[len(noun) :].strip()
        return self.followed(items, rest)

    def followed(self, items: list[SceneObject], rest: str) -> list[SceneObject]:
        rest = re.sub(r"^that (is|are) ", "", rest)
        if not rest:
            return items
        if found := re.match(
            r"(?:pointing (up|down|left|right)|facing the (top|bottom|left side|right side) of the image)", rest
        ):
            word = (found[1] or found[2]).split()[0]
            to = {"up": (0, -1), "top": (0, -1), "down": (0, 1), "bottom": (0, 1), "left": (-1, 0), "right": (1, 0)}[
                word
            ]
            items = [o for o in items if self.points(o, to)]
            return self.followed(items, rest[found.end() :].strip())
        if found := re.match(r"(?:to the )?(left|right) of the (?!image|two)(.+)", rest) or re.match(
            r"(above|below) the (.+)", rest
        ):
            anchor = self.read("the " + found[2])
            return (
                [o for o in items if o is not anchor[0] and beside(found[1], o, anchor[0])] if len(anchor) == 1 else []
            )
        if found := re.match(r"(?:nearest|closest) to the (.+)", rest):
            anchor = self.read("the " + found[1])
            others = [o for o in items if o not in anchor]
            return [min(others, key=lambda o: dist(o.centre, anchor[0].centre))] if len(anchor) == 1 and others else []
        assert re.match(r"(in|on|at) the ", rest), rest
        return [o for o in items if in_place(rest.replace(" of the image", ""), o, self.g)]

    @staticmethod
    def points(o: SceneObject, to: tuple[int, int]) -> bool:
        if "heading" not in o.attributes:
            return False
        angle = np.radians(o.attributes["heading"])
        return bool(np.sin(angle) * to[0] - np.cos(angle) * to[1] > np.sqrt(0.5))

    @staticmethod
    def first(items: list[SceneObject], code: str, n: int) -> list[SceneObject]:
        return sorted(items, key=key(code))[:n]

    @staticmethod
    def nth(items: list[SceneObject], code: str, k: int) -> list[SceneObject]:
        return sorted(items, key=key(code))[k - 1 : k]

    @staticmethod
    def clusters(items: list[SceneObject]) -> list[list[SceneObject]]:
        label = {o.id: o.id for o in items}
        for _ in items:
            for a, b in combinations(items, 2):
                gap = [max(a.hbb[i] - b.hbb[i + 2], b.hbb[i] - a.hbb[i + 2], 0) for i in (0, 1)]
                side = min(max(o.hbb[2] - o.hbb[0], o.hbb[3] - o.hbb[1]) for o in (a, b))
                if np.hypot(*gap) <= 0.8 * side + 8:
                    label[a.id] = label[b.id] = min(label[a.id], label[b.id])
        return [[o for o in items if label[o.id] == name] for name in sorted(set(label.values()))]

    @staticmethod
    def straight(items: list[SceneObject]) -> bool:
        points = np.array([o.centre for o in items]) - np.mean([o.centre for o in items], axis=0)
        spread = np.linalg.svd(points, compute_uv=False)
        return bool(spread[1] < 0.35 * spread[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_pick_the_targets(kind, scene):
    seen = 0
    for seed in range(40):
        graph = scene(seed)
        reader = Reader(graph)
        for expression in expressions(graph, np.random.default_rng(seed), kinds=[kind]):
            named = {o.id for o in reader(expression.text)}
            assert named == set(expression.target_ids), f"seed {seed}: {expression}"
            seen += 1
    assert seen >= 6


def test_the_reader_can_fail(scene):
    graph = scene(1)
    texts = expressions(graph, np.random.default_rng(0), kinds=["extreme"])
    turned = [e.text.replace("left", "RIGHT").replace("Left", "Right") for e in texts if "eft" in e.text]
    assert any({o.id for o in Reader(graph)(t)} != set(e.target_ids) for t, e in zip(turned, texts, strict=False))
