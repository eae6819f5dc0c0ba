"""Ask a system about an image: where is what the expression says? Answers as a table, JSON, GeoJSON or a picture."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsground.cli.predict_files import SUFFIXES, check_places, write_files

if TYPE_CHECKING:
    from rsground.cli.predict_answers import Scene
    from rsground.models.asking import Question
    from rsground.models.grounder import Grounder

SUMMARY = "ask a system about an image: boxes, masks, GeoJSON, a picture"
EPILOG = """examples:
  rsground predict harbour.png -q "the white ship left of the pier" --system my_system/
  rsground predict harbour.png -q "the ship" -q "the longest pier" --system my_system/ --out found.png
  rsground predict scene.tif --queries wanted.txt --system my_system/ --task obb --out found.geojson --out found.json
  rsground predict before.png after.png -q "new buildings" --system my_system/ --task change --out change.png
  rsground predict huge.tif --window 2048,0,3072,1024 -q "the storage tanks" --system my_system/ --out tanks.geojson

'rsground list systems' knows the names. Queries from a file: one expression a line, or (.jsonl) one object a line
with "expression", and "id" and "task" where they matter. GeoJSON of a georeferenced TIFF is in map coordinates, in
the image's own reference system; of any other image in pixels, y downwards.

exit status: 0 every question was answered (also with "nothing there"), 1 an error, a question that failed or a file
that could not be written (the others are), 2 a bad command line.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The image, the questions, the system, where to."""
    parser.set_defaults(fail=parser.error)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image; two (before, after) for change")
    what = parser.add_argument_group("what to ask")
    what.add_argument(
        "-q", "--query", action="append", default=[], metavar="TEXT", help="expression; repeat for several"
    )
    what.add_argument("--queries", metavar="FILE", help="more of them: a .txt or .jsonl file")
    what.add_argument("--task", metavar="TASK", help="mask, obb, hbb, gcg, change ... (default: the first it serves)")
    what.add_argument("--window", type=_window, metavar="X1,Y1,X2,Y2", help="only these pixels of the image")
    who = parser.add_argument_group("whom to ask")
    who.add_argument("--system", required=True, metavar="NAME|FOLDER", help="registered system, or a system folder")
    who.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:1 ... (default: the system's own)")
    who.add_argument("--dtype", metavar="T", help="auto, float32, bfloat16, float16 (default: the system's own)")
    decoding = who.add_mutually_exclusive_group()
    decoding.add_argument("--constrained", action="store_true", default=None, help="only answers of the head's form")
    decoding.add_argument("--free", dest="constrained", action="store_false", help="any text, read as far as it goes")
    who.add_argument("--batch", type=_positive, default=8, metavar="N", help="questions at once (8)")
    who.add_argument("--seed", type=int, default=0, metavar="N", help="of systems that draw (0)")
    where = parser.add_argument_group("where to")
    where.add_argument(
        "--out", action="append", default=[], metavar="FILE", help="*.json, *.geojson or *.png; repeat for several"
    )
    where.add_argument("--json", action="store_true", help="print one JSON object on standard output, nothing else")
    where.add_argument("--quiet", action="store_true", help="no progress and no table")


def run(args: argparse.Namespace) -> int:
    """Ask, show, write."""
    from rsground.cli.predict_answers import Answer, open_scene
    from rsground.errors import StoreError
    from rsground.models.asking import sample_of

    _check(args)
    check_places(args.out)
    scene = open_scene(args.images, args.window)
    questions = _questions(args, scene)
    with _grounder(args) as grounder:
        for question in questions:
            sample_of(question, grounder.tasks)  # all can be asked, or none is
        answers = []
        with _progress(len(questions), args.quiet or args.json) as advance:
            for question, found in zip(questions, grounder.answers(questions), strict=True):
                answers.append(Answer.of(question, found, grounder.tasks))
                advance()
        system = grounder.card.name
    unwritten = write_files(args.out, system, scene, answers)  # before anything is shown: a reader may leave
    if args.json:
        from rsground.cli.predict_answers import to_json

        print(json.dumps(to_json(system, scene, answers)))  # noqa: T201
    elif not args.quiet:
        from rsground.cli.predict_terminal import show

        show(system, scene, answers)
    for file in args.out:
        if file not in unwritten:
            _say(file, args.quiet or args.json)
    if unwritten:
        raise StoreError("; ".join(unwritten.values()))
    return 1 if any(answer.found.error is not None for answer in answers) else 0


def _check(args: argparse.Namespace) -> None:
    """What can be told of the command line before anything heavy is loaded."""
    if len(args.images) > 2:
        args.fail(f"takes one image, or two for change, got {len(args.images)}")
    if len(args.images) == 2 and args.task is None:
        args.task = "change"
    if (args.task == "change") != (len(args.images) == 2):
        args.fail("--task change takes two images, before and after; every other task takes one")
    if not args.query and args.queries is None:
        args.fail("what is asked? give -q TEXT or --queries FILE")
    for file in args.out:
        if Path(file).suffix.lower() not in SUFFIXES:
            args.fail(f"--out takes {', '.join(f'*{suffix}' for suffix in SUFFIXES)}, got {file!r}")


def _questions(args: argparse.Namespace, scene: Scene) -> list[Question]:
    from rsground.cli.predict_queries import read_queries
    from rsground.errors import UnknownNameError
    from rsground.models.asking import Question
    from rsground.types import Task

    asked: list[Mapping[str, Any]] = [{"expression": text} for text in args.query]
    if args.queries is not None:
        asked += read_queries(Path(args.queries))
    for row in asked:
        if (task := row.get("task") or args.task) is not None and task not in list(Task):
            raise UnknownNameError("task", task, list(Task))
    image = scene.refs if len(scene.refs) == 2 else scene.refs[0]
    return [Question(image, row["expression"], row.get("task") or args.task, row.get("id")) for row in asked]


def _grounder(args: argparse.Namespace) -> Grounder:
    from rsground.models.grounder import Grounder

    options = {"device": args.device, "dtype": args.dtype, "constrained": args.constrained}
    return Grounder.from_pretrained(args.system, batch=args.batch, seed=args.seed, **options)


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on standard error for more than one question, in a terminal."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("asking", total=total)
        yield lambda: progress.advance(task)


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text)  # noqa: T201


def _positive(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _window(word: str) -> tuple[int, int, int, int]:
    try:
        x1, y1, x2, y2 = (int(value) for value in word.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"takes four whole numbers X1,Y1,X2,Y2, got {word!r}") from None
    if not (0 <= x1 < x2 and 0 <= y1 < y2):
        raise argparse.ArgumentTypeError(f"must have 0 <= X1 < X2 and 0 <= Y1 < Y2, got {word!r}")
    return (x1, y1, x2, y2)
