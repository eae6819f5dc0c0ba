"""Questions composed of parts, for training: what is wanted, said with many verbs, frames and courtesies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rsground.types import Task

COURTESY = ("", "", "", "Please ", "Can you ", "Could you ", "I want you to ", "Kindly ", "You should ", "Now ")
GIVE = ("give", "output", "provide", "return", "predict", "show me", "tell me", "write", "report", "generate", "find")
PICTURE = (
    "the image", "this image", "the picture", "this scene", "the aerial image", "this satellite image", "the photo",
    "this aerial photograph", "the remote sensing image", "this view", "the overhead image",
)  # fmt: skip
WHERE = ("", "", "", " in the image", " in this picture", " in the given image", " in the scene", " here")
THINGS = (
    "car", "building", "ship", "plane", "storage tank", "tree", "truck", "bus", "tennis court", "road", "bridge",
    "house", "roof", "swimming pool", "helicopter", "container", "river", "water area", "vehicle", "stadium",
)  # fmt: skip
COLOURS = ("red", "white", "blue", "large", "small", "gray", "commercial", "residential")
BOX = (
    "bounding box", "box", "horizontal bounding box", "coordinates", "location", "position", "rectangle", "bbox",
    "box coordinates", "enclosing rectangle", "corner coordinates",
)  # fmt: skip
TURNED = (
    "oriented bounding box", "rotated box", "oriented box", "four corners", "rotated rectangle", "corners", "tight box",
    "rotated bounding box", "corner points", "oriented rectangle", "angle and size",
)  # fmt: skip
MASK = (
    "segmentation mask", "mask", "binary mask", "pixel mask", "segmentation", "outline", "exact outline", "contour",
    "pixel-level mask", "silhouette", "pixels", "polygon mask", "segmentation map", "area in pixels",
)  # fmt: skip
LOCATE = ("locate", "find", "detect", "localize", "point to", "indicate", "spot", "search for", "ground", "box")
SEGMENT = ("segment", "mask", "outline", "highlight the pixels of", "extract the mask of", "trace", "segment out")
DESCRIBE = ("describe", "caption", "summarize", "explain", "write about", "characterize", "comment on")
ACCOUNT = ("caption", "description", "summary", "short description", "detailed description", "one-sentence caption")
MANNER = ("", "", " in one sentence", " briefly", " in detail", " in a few words", " as a whole", " in your own words")
CLASS = ("scene class", "scene category", "land use type", "type of scene", "category", "class", "scene label", "theme")
SCENES = ("airport", "beach", "farmland", "forest", "harbor", "residential", "industrial", "stadium", "desert", "park")
GROUNDED = (
    "with segmentation masks", "with a mask for every object", "with interleaved segmentation masks",
    "and segment what you mention", "and ground every phrase", "grounding each phrase with a mask",
    "and give the masks of the objects", "and output the corresponding masks", "linking phrases to masks",
)  # fmt: skip
CHANGED = (
    "changes", "differences between the two images", "changed area", "what changed", "new buildings", "change",
    "demolished houses", "what was built between the dates", "pixels that changed", "construction",
)  # fmt: skip

Draw = Callable[[Sequence[str]], str]


def composed(task: Task, rng: np.random.Generator) -> str:
    """One question for the task; ``{x}`` stands for an expression where there is room for one."""

    def draw(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    text = _MAKERS[task](draw, rng)
    opening = draw(COURTESY) if text[:1].islower() else ""
    text = opening + text
    text = text[:1].upper() + text[1:] if rng.random() < 0.8 and not text.startswith("{") else text
    end = text[-1]
    return text if end in ".?:" else text + draw(("", ".", ".", "?" if opening.startswith(("C",)) else "."))


def _form(nouns: Sequence[str], draw: Draw) -> str:
    noun = draw(nouns)
    frames = (
        f"{draw(GIVE)} the {noun} of {{x}}{draw(WHERE)}",
        f"{draw(GIVE)} the {noun} for {{x}}{draw(WHERE)}",
        f"{draw(GIVE)} a {noun} for {{x}}",
        f"What is the {noun} of {{x}}?",
        f"{{x}}: {draw(GIVE)} its {noun}",
        f"{noun} of {{x}}",
        f"I need the {noun} of {{x}}",
        f"{draw(GIVE)} {{x}} as a {noun}",
    )
    return draw(frames)


def _hbb(draw: Draw, rng: np.random.Generator) -> str:
    frames = (
        f"{draw(LOCATE)} {{x}}{draw(WHERE)}",
        f"{draw(LOCATE)} {{x}} with a {draw(BOX)}",
        f"{draw(LOCATE)} {{x}} and {draw(GIVE)} its {draw(BOX)}",
        f"draw a {draw(BOX)} around {{x}}",
        f"Where is {{x}}{draw(WHERE)}?",
        f"Where can {{x}} be found{draw(WHERE)}?",
        f"In which part of {draw(PICTURE)} is {{x}}?",
    )
    return _form(BOX, draw) if rng.random() < 0.5 else draw(frames)


def _obb(draw: Draw, rng: np.random.Generator) -> str:
    frames = (
        f"{draw(LOCATE)} {{x}} with {draw(('an oriented box', 'a rotated box', 'four corners', 'a turned box'))}",
        f"{draw(LOCATE)} {{x}} and {draw(GIVE)} its {draw(TURNED)}",
        f"draw a rotated rectangle around {{x}}{draw(WHERE)}",
    )
    return _form(TURNED, draw) if rng.random() < 0.7 else draw(frames)


def _mask(draw: Draw, rng: np.random.Generator) -> str:
    frames = (
        f"{draw(SEGMENT)} {{x}}{draw(WHERE)}",
        f"{draw(SEGMENT)} {{x}} and {draw(GIVE)} the {draw(MASK)}",
        f"{draw(LOCATE)} {{x}} and {draw(GIVE)} its {draw(MASK)}",
        f"Which pixels belong to {{x}}{draw(WHERE)}?",
        f"{draw(('mark', 'colour', 'highlight', 'select'))} {draw(('all', 'the', 'every one of the'))} pixels of {{x}}",
    )
    return _form(MASK, draw) if rng.random() < 0.5 else draw(frames)


def _caption(draw: Draw, rng: np.random.Generator) -> str:
    frames = (
        f"{draw(DESCRIBE)} {draw(PICTURE)}{draw(MANNER)}",
        f"{draw(DESCRIBE)} {draw(PICTURE)}{draw(MANNER)}",
        f"{draw(GIVE)} a {draw(ACCOUNT)} of {draw(PICTURE)}",
        f"{draw(GIVE)} a {draw(ACCOUNT)} for {draw(PICTURE)}",
        f"What {draw(('does', 'can'))} {draw(PICTURE)} {draw(('show', 'depict', 'tell', 'contain'))}?",
        f"What is {draw(('shown', 'depicted', 'happening', 'visible'))} in {draw(PICTURE)}?",
        f"What do you see in {draw(PICTURE)}?",
        f"{draw(GIVE)} an overall impression of {draw(PICTURE)}",
    )
    del rng
    return draw(frames)


def _scene(draw: Draw, rng: np.random.Generator) -> str:
    some = [SCENES[int(place)] for place in rng.permutation(len(SCENES))[: int(rng.integers(2, 6))]]
    frames = (
        f"{draw(GIVE)} the {draw(CLASS)} of {draw(PICTURE)}",
        f"What is the {draw(CLASS)} of {draw(PICTURE)}?",
        f"Which {draw(CLASS)} does {draw(PICTURE)} belong to?",
        f"Which {draw(CLASS)} fits {draw(PICTURE)} best?",
        f"classify {draw(PICTURE)}",
        f"classify {draw(PICTURE)} as {' or '.join(some)}",
        f"choose the {draw(CLASS)} of {draw(PICTURE)} from: {', '.join(some)}",
        f"Does {draw(PICTURE)} show a {some[0]} or a {some[1]}?",
        f"Is this a {some[0]} or a {some[1]} scene?",
        f"What {draw(('kind', 'type', 'sort'))} of {draw(('place', 'scene', 'area', 'region', 'environment'))} is "
        f"{draw(('this', 'shown', 'depicted in ' + draw(PICTURE)))}?",
    )
    return draw(frames)


def _vqa(draw: Draw, rng: np.random.Generator) -> str:
    one, other = draw(THINGS), draw(THINGS)
    kind = draw(COLOURS)
    frames = (
        f"How many {one}s are there{draw(WHERE)}?",
        f"count the {kind} {one}s{draw(WHERE)}",
        f"What is the number of {one}s{draw(WHERE)}?",
        f"Is there a {kind} {one}{draw(WHERE)}?",
        f"Is a {kind} {one} present{draw(WHERE)}?",
        f"Are there any {one}s{draw(WHERE)}?",
        f"Are there more {one}s than {other}s?",
        f"Is the number of {one}s {draw(('equal to', 'less than', 'greater than'))} the number of {other}s?",
        f"What is the {draw(('colour', 'color', 'shape', 'size', 'material'))} of the {one}?",
        f"What {draw(('colour', 'color', 'shape'))} is {{x}}?",
        f"What is {draw(('next to', 'left of', 'behind', 'above'))} {{x}}?",
        f"Is {{x}} {draw(('moving', 'parked', 'damaged', kind))}?",
        f"Is {{x}} {draw(('next to', 'larger than', 'left of'))} the {other}?",
        f"What {draw(('class', 'category', 'object', 'type of object'))} is {{x}}?",
        f"Do you see a {one} near the {other}?",
    )
    del rng
    return draw(frames)


def _region(draw: Draw, rng: np.random.Generator) -> str:
    box = _box(draw, rng)
    frames = (
        f"What is {draw(('in', 'inside', 'at', 'within'))} {box}?",
        f"describe {draw(('the object', 'the region', 'what is', 'the target'))} in {box}",
        f"{draw(GIVE)} a referring expression for {box}",
        f"{draw(GIVE)} the {draw(('class', 'category', 'name'))} of the object in {box}",
        f"Which object is {draw(('in', 'inside', 'marked by'))} {box}?",
        f"[refer] {draw(('what is', 'describe', 'identify'))} {box}",
        f"identify the object at {box}",
    )
    return draw(frames)


def _box(draw: Draw, rng: np.random.Generator) -> str:
    a, b, c, d = (int(value) for value in rng.integers(0, 1000, 4))
    listed = f"[{a}, {b}, {c}, {d}]" if rng.random() < 0.7 else f"[{a / 1e3}, {b / 1e3}, {c / 1e3}, {d / 1e3}]"
    forms = (
        listed,
        f"the box {listed}",
        f"the region {listed}",
        f"<box>[[{a},{b},{c},{d}]]</box>",
        f"({a},{b},{c},{d})",
    )
    return draw((*forms, f"{{<{a}><{b}><{c}><{d}>}}", f"the rectangle {listed}", "the marked box", "the red rectangle"))


def _gcg(draw: Draw, rng: np.random.Generator) -> str:
    return _caption(draw, rng).rstrip("?.") + f" {draw(GROUNDED)}"


def _change(draw: Draw, rng: np.random.Generator) -> str:
    frames = (
        f"{draw(SEGMENT)} the {draw(CHANGED)}",
        f"{draw(GIVE)} a {draw(MASK)} of the {draw(CHANGED)}",
        f"{draw(GIVE)} the {draw(('change mask', 'change map', 'mask of the changes'))} for {{x}}",
        f"{draw(SEGMENT)} the {draw(CHANGED)}: {{x}}",
        "Which pixels changed between the two images?",
    )
    del rng
    return draw(frames)


_MAKERS: Mapping[Task, Callable[[Draw, np.random.Generator], str]] = {
    Task.HBB: _hbb,
    Task.OBB: _obb,
    Task.MASK: _mask,
    Task.CAPTION: _caption,
    Task.SCENE: _scene,
    Task.VQA: _vqa,
    Task.REGION_CAPTION: _region,
    Task.GCG: _gcg,
    Task.CHANGE: _change,
}
