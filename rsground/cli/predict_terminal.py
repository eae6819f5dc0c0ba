"""Answers as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rsground.cli.predict_answers import Answer, Scene
from rsground.regions import area_of, hbb_of, quad_of
from rsground.types import ISSUE_CODES, Region, Task

_REGIONS = 12


def show(system: str, scene: Scene, answers: Sequence[Answer]) -> None:
    """Print every region, what was wrong with an answer, and what it cost."""
    console = Console()
    height, width = scene.size
    names = " -> ".join(PurePath(path).name for path in scene.paths)
    part = "" if scene.window is None else f", window at {scene.offset[0]},{scene.offset[1]}"
    console.print(f"[bold]{escape(names)}[/] {width}x{height}{part}  [dim]{escape(system)}[/]", highlight=False)
    for answer in answers:
        console.print()
        console.print(_headline(answer), highlight=False, soft_wrap=True)
        if answer.found.regions:
            console.print(_table(answer))
        for code, detail, _ in answer.found.issues:
            if answer.found.error is None:
                rule = escape(ISSUE_CODES.get(code, code))
                console.print(f"  [yellow]{rule}:[/] {escape(detail)}", highlight=False, soft_wrap=True)
    console.print()


def _headline(answer: Answer) -> str:
    found, usage = answer.found, answer.found.usage
    if found.error is not None:
        state = f"[red]failed:[/] {escape(found.error)}"
    elif not found.parsed:
        state = f"[yellow]cannot be read:[/] {escape(repr(found.text[:80]))}"
    elif answer.task in (Task.CAPTION, Task.REGION_CAPTION, Task.VQA, Task.SCENE):
        state = escape(found.text)
    else:
        count = len(found.regions)
        state = f"[green]{count} region{'s' if count != 1 else ''}[/]" if count else "[cyan]nothing there[/]"
        if answer.task == Task.GCG and found.text:
            state += f"\n  {escape(' '.join(found.text.split()))}"
    cost = [f"{usage.time_s:.2f} s"] if usage.time_s is not None else []
    cost += [f"{usage.output_tokens} tokens"] if usage.output_tokens is not None else []
    facts = ", ".join([answer.task.value, *cost])
    return f"[bold]{escape(answer.expression)}[/] [dim]({facts})[/]  {state}"


def _table(answer: Answer) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 2))
    labelled = any(answer.phrase(region) for region in answer.found.regions)
    if labelled:
        table.add_column("what")
    table.add_column("quad x,y" if answer.task == Task.OBB else "box x1 y1 x2 y2")
    table.add_column("area px", justify="right")
    table.add_column("score", justify="right")
    for region in answer.found.regions[:_REGIONS]:
        score = "-" if region.score is None else f"{region.score:.3f}"
        cells = [_place(region, answer.task), f"{area_of(region):,.0f}", score]
        table.add_row(*([escape(answer.phrase(region) or "")] if labelled else []), *cells)
    rest = len(answer.found.regions) - _REGIONS
    if rest > 0:
        table.add_row(f"and {rest} more")
    return table


def _place(region: Region, task: Task) -> str:
    if task == Task.OBB:
        quad = quad_of(region)
        return "-" if quad is None else "  ".join(f"{x:.1f},{y:.1f}" for x, y in quad)
    box = hbb_of(region)
    return "-" if box is None else " ".join(f"{value:.1f}" for value in box)
