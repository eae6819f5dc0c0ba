"""Feed every codec's reader with broken answers: nothing may raise, hang or go unexplained.

    python benchmarks/fuzz_codecs.py --n 100000

Answers are valid ones with cuts, swaps, repeats and insertions, answers in another codec's format, token soup, and
hand-made hostile texts (huge numbers, deep nesting, megabytes, lone surrogates, digits of other scripts). Prints how
often each issue was reported, the slowest reading, and fails if any reading raised, took longer than --deadline
seconds, left the image, or neither parsed nor gave a reason.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np

from rsground.builtin.codecs import CODECS
from rsground.codecs import Codec, Reading, read_any, sniff
from rsground.registry import construct
from rsground.types import ISSUE_CODES, Region, Size

SIZE: Size = (96, 128)
TOKENS = (
    "<box>", "</box>", "<seg>", "</seg>", "<obb>", "</obb>", "<poly>", "</poly>", "[", "]", "[[", "]]", "{", "}", "{<",
    "><", ">}", "|<", "(", ")", ",", ", ", ";", "; ", ":", "|", "| ", " *", "*", "\n", "\n ", "\r\n", " ", "0", "1",
    "7", "12", "999", "1000", "-5", "0.5", ".", "-", "e9", "1e400", "nan", "-inf", "NaN", "others", "ship", "none",
    "<p>", "</p>", "<ref>", "</ref>", "<loc_", "<loc_12>", "<patch_index_0001>", "<object>", "</object>", '"bbox_2d"',
    '"label"', '"', ":", "<|box_start|>", "<|box_end|>", "<delim>", "\x00", "\ud800", "\u202e", "\uff11", "\u0967",
    "\U0001f6a2", "\\", "%", "&lt;", "[SEG]",
)  # fmt: skip


def hostile() -> list[str]:
    """Texts made to break readers; some are a megabyte long."""
    return [
        "",
        "\n" * 50_000,
        "[" * 100_000,
        "[[" * 50_000 + "1,2,3,4" + "]]" * 50_000,
        "<box>" * 60_000,
        "{(" * 60_000,
        "9" * 1_000_000,
        "<box>[[" + "9" * 500_000 + ",1,2,3]]</box>",
        "1e" + "9" * 100_000,
        "." * 200_000,
        "-" * 200_000,
        "1," * 400_000,
        "<seg>" + "1 *99999999| " * 20_000 + "</seg>",
        "<seg>" + "1 *1\n " * 60_000 + "</seg>",
        "<seg>" + "|" * 200_000,
        "<poly>" + "1,2 " * 60_000 + "</poly>",
        "<poly>1,2,3,4:" + "z" * 199_000 + "</poly>",
        "<poly>" + "|;" * 90_000,
        "<loc_1>" * 30_000,
        "<p>" + "a" * 150_000 + "</p> {<1><2><3><4>|<5>}",
        "<p>" * 60_000,
        '"bbox_2d"' * 20_000,
        '{"bbox_2d": [' + "1," * 90_000,
        "\ud800" * 10_000,
        "\uff11,\uff12,\uff13,\uff14",
        "\x00" * 10_000,
        " " * 1_000_000,
        "{<1><2><3><4>|<" + "-" * 1000 + ">}",
    ]


def answers(codecs: list[Codec], n: int, seed: int) -> Iterator[str]:
    """``n`` broken answers."""
    rng = np.random.default_rng(seed)
    valid = [_valid(codec, rng) for codec in codecs for _ in range(6)]
    for count in range(n):
        kind = count % 4
        if kind == 0:
            yield "".join(TOKENS[int(k)] for k in rng.integers(len(TOKENS), size=int(rng.integers(1, 60))))
        elif kind == 1:
            yield valid[int(rng.integers(len(valid)))]
        else:
            yield _mutated(valid[int(rng.integers(len(valid)))], rng, hard=kind == 3)


def _valid(codec: Codec, rng: np.random.Generator) -> str:
    if rng.random() < 0.5:
        return codec.grammar(SIZE).sample(rng, stop=0.3)
    boxes = rng.uniform(0, 90, (int(rng.integers(0, 4)), 2))
    regions = [Region(hbb=(x, y, x + 9.5, y + 21.25), label="ship") for x, y in boxes.tolist()]
    return codec.write(regions, SIZE)


def _mutated(text: str, rng: np.random.Generator, hard: bool) -> str:
    for _ in range(int(rng.integers(1, 9 if hard else 3))):
        start = int(rng.integers(len(text) + 1))
        stop = min(len(text), start + int(rng.integers(0, 12)))
        token = TOKENS[int(rng.integers(len(TOKENS)))]
        change = int(rng.integers(5))
        if change == 0:
            text = text[:start]  # cut off
        elif change == 1:
            text = text[:start] + text[stop:]
        elif change == 2:
            text = text[:start] + token + text[stop:]
        elif change == 3:
            text = text[:stop] + text[start:stop] * int(rng.integers(1, 4)) + text[stop:]
        else:
            text = text[:start] + text[start:stop][::-1] + text[stop:]
    return text


def complaint(reading: Reading) -> str | None:
    """What is wrong with a reading, or None."""
    if not reading.parsed and not reading.issues:
        return "neither parsed nor explained"
    if not reading.parsed and reading.regions:
        return "regions, but not parsed"
    unknown = set(reading.codes) - set(ISSUE_CODES)
    if unknown:
        return f"undocumented codes {unknown}"
    for region in reading.regions:
        if not region.is_located:
            return "a region that is nowhere"
        corners = [*(region.quad or ()), *(region.points or ()), *(p for ring in region.polygons or () for p in ring)]
        values = [*(region.hbb or ()), *(value for corner in corners for value in corner)]
        if not all(math.isfinite(value) and abs(value) < 1e4 for value in values):
            return f"coordinates {values[:8]}"
    return None


def run(
    n: int, seed: int, deadline: float, hostile_texts: bool = True
) -> tuple[Counter[str], list[str], tuple[float, str]]:
    """Issue counts, failures, and the slowest reading with its codec."""
    codecs: list[Codec] = [construct(spec) for spec in CODECS]
    counts: Counter[str] = Counter()
    failures: list[str] = []
    slowest = (0.0, "")
    texts = [(text, True) for text in hostile()] if hostile_texts else []
    for count, (text, everywhere) in enumerate((*texts, *((text, False) for text in answers(codecs, n, seed)))):
        chosen = codecs if everywhere else [codecs[count % len(codecs)]]
        for codec in chosen:
            began = time.perf_counter()
            try:
                reading = codec.read(text, SIZE)
                if count % 16 == 0 and not everywhere:
                    sniff(text, SIZE)
                    reading = read_any(text, SIZE, asked=codec)
            except Exception as error:
                failures.append(f"{codec.name} raised {type(error).__name__}: {error} on {text[:120]!r}")
                continue
            spent = time.perf_counter() - began
            slowest = max(slowest, (spent, f"{codec.name} on {text[:40]!r} ({len(text)} characters)"))
            wrong = complaint(reading) or (f"took {spent:.1f} s" if spent > deadline else None)
            if wrong:
                failures.append(f"{codec.name}: {wrong} on {text[:120]!r}")
            counts.update(reading.codes)
            counts["(parsed)" if reading.parsed else "(not parsed)"] += 1
    return counts, failures, slowest


def main() -> int:
    """Run and report; 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="generated answers (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds a reading may take (default %(default)s)")
    options = parser.parse_args()
    began = time.perf_counter()
    counts, failures, slowest = run(options.n, options.seed, options.deadline)
    for code, count in counts.most_common():
        print(f"{count:>9}  {code}")
    print(f"slowest reading {slowest[0]:.3f} s: {slowest[1]}")
    print(f"{options.n} answers, {len(failures)} failures, {time.perf_counter() - began:.0f} s")
    for failure in failures[:20]:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
