"""Damage small valid data sets of every layout, thousands of times, and see that nothing breaks but the data.

Each round copies one miniature data set, damages one of its files (flipped bits, cuts, swapped types, huge numbers,
deleted or doubled keys, odd bytes ...) and reads it to the end. Whatever happens must be one of: every sample loads,
broken records are reported, or a RsgroundError is raised. Anything else, and anything slower than the limit, is a
finding; the exit status is then 1.

    python benchmarks/fuzz_data_files.py --rounds 10000
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from rsground.datasets.checking import check_split
from rsground.errors import RsgroundError
from rsground.registry import load_dataset

LAYOUTS = Path(__file__).resolve().parents[1] / "tests" / "datasets" / "layouts.py"
IMAGES = (".png", ".jpg", ".tif")
SECONDS = 20.0
"""A round that takes longer hangs."""
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, -1e308, float("nan"), float("inf"), 2**31, 2**63, 2**64, 10**400,
    "", " ", "x", "\x00", "../../x", "/etc/hosts", "a" * 5000, "\ud800", "<p>[SEG]</p>", "{<1><2><3><4>|<5>}", [], {},
    [[]], [[[]]], [None], [1, 2, 3], [1e9] * 8, ["a"] * 4, {"size": [1, 1], "counts": "1"},
    {"size": [10**9, 10**9], "counts": [10**18]},
)  # fmt: skip
"""Values that stand where another one was."""
WORDS = (b"\x00", b"\xff\xfe", b"\xf0\x9f", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 2000, b"<!DOCTYPE x>")


class TooSlowError(Exception):
    """A round took longer than :data:`SECONDS`."""


def layouts() -> ModuleType:
    """The miniature layouts of the readers' tests."""
    spec = importlib.util.spec_from_file_location("dataset_layouts", LAYOUTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault("dataset_layouts", module)
    spec.loader.exec_module(module)
    return module


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    """One to eight bits the other way round."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if damaged:
            damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def cut(data: bytes, rng: random.Random) -> bytes:
    """A part missing at the end, or in the middle."""
    start = rng.randint(0, len(data))
    return data[:start] if rng.random() < 0.5 else data[:start] + data[rng.randint(start, len(data)) :]


def insert(data: bytes, rng: random.Random) -> bytes:
    """Odd bytes in between."""
    place = rng.randint(0, len(data))
    return data[:place] + rng.choice(WORDS) + data[place:]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """A part twice."""
    start = rng.randint(0, len(data))
    stop = rng.randint(start, min(len(data), start + 400))
    return data[:stop] + data[start:]


def shuffle_lines(data: bytes, rng: random.Random) -> bytes:
    """Lines in another order, one of them lost."""
    rows = data.splitlines(keepends=True)
    rng.shuffle(rows)
    return b"".join(rows[1:])


def change_number(data: bytes, rng: random.Random) -> bytes:
    """A run of digits replaced by another number."""
    places = [k for k, byte in enumerate(data) if 48 <= byte <= 57]
    if not places:
        return flip_bits(data, rng)
    place = rng.choice(places)
    number = rng.choice([b"-1", b"0", b"1e400", b"nan", b"-9999999999", b"3.5", b"99999999999999999999", b"1_0", b""])
    return data[:place] + number + data[place + 1 :]


def nothing(data: bytes, rng: random.Random) -> bytes:
    """An empty file, or one of another kind."""
    return rng.choice([b"", b"\n", b"{}", b"[]", b"null", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", bytes(64), b"<a/>"])


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_bits, cut, insert, repeat, shuffle_lines, change_number, nothing,
)  # fmt: skip


def damage_json(data: bytes, rng: random.Random) -> bytes | None:
    """One value, somewhere in a JSON document (or in a line of JSON Lines), replaced, deleted or doubled."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        rows = data.splitlines()
        if not rows:
            return None
        place = rng.randrange(len(rows))
        try:
            document = json.loads(rows[place])
        except (ValueError, RecursionError):
            return None
        rows[place] = _dumped(_damaged(document, rng))
        return b"\n".join(rows) + b"\n"
    return _dumped(_damaged(document, rng))


def _dumped(document: Any) -> bytes:
    sys.set_int_max_str_digits(0)  # numbers of 400 digits are part of the game
    try:
        return json.dumps(document).encode()
    finally:
        sys.set_int_max_str_digits(4300)


def _damaged(document: Any, rng: random.Random) -> Any:
    places: list[tuple[Any, Any]] = []
    queue = [document]
    while queue:
        node = queue.pop()
        keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
        for key in keys:
            places.append((node, key))
            queue.append(node[key])
    if not places:
        return rng.choice(ODD)
    node, key = rng.choice(places)
    how = rng.random()
    if how < 0.2:
        del node[key]
    elif how < 0.3 and isinstance(node, list):
        node.append(node[key])
    elif how < 0.4:
        node[key] = [node[key]] if rng.random() < 0.5 else {"x": node[key]}
    else:
        node[key] = rng.choice(ODD)
    return document


def replace_image(path: Path, rng: random.Random) -> str:
    """A sound image in its place: of one colour, of another mode or size."""
    mode = rng.choice(("L", "RGB", "RGBA", "1", "I;16") if path.suffix != ".jpg" else ("L", "RGB", "CMYK"))
    try:
        with Image.open(path) as image:
            width, height = image.size
    except OSError:  # damaged before
        width, height = 40, 30
    if rng.random() < 0.3:
        width, height = rng.choice(((1, 1), (width + 1, height), (height, width)))
    Image.new(mode, (width, height), rng.choice((0, 1, "white")) if mode != "I;16" else rng.choice((0, 300))).save(path)
    return f"image {mode}"


def damage(path: Path, rng: random.Random) -> str:
    """Damage a file in one way; answers which."""
    data = path.read_bytes()
    if path.suffix in (".json", ".jsonl") and rng.random() < 0.6:
        changed = damage_json(data, rng)
        if changed is not None:
            path.write_bytes(changed)
            return "json"
    if path.suffix in IMAGES and rng.random() < 0.4:
        return replace_image(path, rng)
    how = rng.choice(BYTES)
    path.write_bytes(how(data, rng))
    return how.__name__


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise :class:`TooSlowError` when the body takes longer (where the system has alarms)."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read_all(case: Any, root: Path) -> str:
    """Read a data set to the end, images too; answers what became of it."""
    try:
        dataset = load_dataset(case.name, root, case.split, **case.options)
        found = check_split(dataset, images=True)
    except RsgroundError as error:
        if not str(error):
            raise AssertionError("an error without a message") from error
        return f"refused ({type(error).__name__})"
    if any(not (record.code and record.detail and record.path) for record in found.broken):
        raise AssertionError(f"a broken record without a reason: {found.broken}")
    if found.broken:
        return "reported"
    return "loaded" if found.samples else "loaded, nothing in this split"


def fuzz(
    rounds: int, seed: int, folder: Path, tell: Callable[[int], object] = lambda done: None
) -> tuple[Counter[str], list[str]]:
    """Run the rounds; answers how often each outcome came, and the findings."""
    module = layouts()
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    findings: list[str] = []
    masters = []
    for number, case in enumerate(module.CASES):
        master = folder / f"master-{number}"
        case.make(master)
        masters.append((case, master))
    for done in range(rounds):
        case, master = masters[done % len(masters)]
        root = folder / "now"
        shutil.copytree(master, root)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        notes = [path for path in files if path.suffix not in IMAGES]
        pool = notes if notes and rng.random() < 0.8 else files
        path = rng.choice(pool)
        how = " + ".join(damage(path, rng) for _ in range(rng.choice((1, 1, 2))))
        try:
            with warnings.catch_warnings(), deadline(SECONDS):
                warnings.simplefilter("ignore")
                outcomes[read_all(case, root)] += 1
        except Exception:  # the whole point: anything else is a finding
            outcomes["FINDING"] += 1
            kept = folder / f"finding-{done}"
            shutil.copytree(root, kept)
            where = path.relative_to(root)
            findings.append(f"round {done}, {case.id}, {where}, {how} (kept in {kept})\n{traceback.format_exc()}")
        finally:
            shutil.rmtree(root)
        tell(done + 1)
    return outcomes, findings


def main() -> int:
    """Run and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-data-"))
    start = time.perf_counter()

    def tell(done: int) -> None:
        if done % 1000 == 0:
            print(f"{done} rounds, {time.perf_counter() - start:.0f} s", file=sys.stderr)

    outcomes, findings = fuzz(args.rounds, args.seed, folder, tell)
    for name, count in sorted(outcomes.items(), key=lambda item: -item[1]):
        print(f"{count:7} {name}")
    for finding in findings[:20]:
        print(f"\n{finding}")
    if not findings:
        shutil.rmtree(folder)
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
