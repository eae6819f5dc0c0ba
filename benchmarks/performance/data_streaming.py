"""Reading large annotation files: time and peak memory against loading them whole, on generated files.

Three files are made in a temporary folder: a list of conversations (as GeoChat_Instruct), a COCO file (as iSAID's) and
a REFER pickle (as RRSIS-D's). Each is read by our reader's machinery and by what people use today (json.load,
pickle.load), each in a process of its own, best of several rounds.

    python benchmarks/performance/data_streaming.py
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import pickle
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def make_conversations(path: Path, count: int) -> None:
    """``count`` records of about 900 bytes."""
    rng = random.Random(0)
    with path.open("w") as stream:
        stream.write("[")
        for k in range(count):
            turns = [
                {"from": who, "value": " ".join(rng.choices(("ship", "the", "near", "<p>", "[refer]"), k=60))}
                for who in ("human", "gpt")
            ]
            stream.write(("," if k else "") + json.dumps({"id": f"{k}", "image": f"{k}.png", "conversations": turns}))
        stream.write("]")


def make_coco(path: Path, count: int) -> None:
    """``count`` annotations with a polygon of 20 points, 50 to an image."""
    rng = random.Random(0)
    images = [{"id": k, "file_name": f"{k}.png", "width": 800, "height": 800} for k in range(count // 50 + 1)]
    with path.open("w") as stream:
        categories = [{"id": 1, "name": "ship"}]
        stream.write(f'{{"images": {json.dumps(images)}, "categories": {json.dumps(categories)}, "annotations": [')
        for k in range(count):
            ring = [round(rng.uniform(0, 800), 1) for _ in range(40)]
            row = {"id": k, "image_id": k // 50, "category_id": 1, "segmentation": [ring], "bbox": [1, 2, 3, 4]}
            stream.write(("," if k else "") + json.dumps(row))
        stream.write("]}")


def make_pickle(path: Path, count: int) -> None:
    """``count`` references with one sentence each."""
    rows = []
    for k in range(count):
        words = ["the", "ship", f"number{k}", "at", "the", "top"]
        sentence = {"sent_id": k, "raw": " ".join(words), "sent": " ".join(words), "tokens": words}
        rows.append(
            {"ref_id": k, "ann_id": k, "image_id": k, "category_id": 1, "split": "train", "sentences": [sentence]}
        )
    path.write_bytes(pickle.dumps(rows, protocol=2))


def ours_json(path: Path) -> int:
    """Every element, one after the other."""
    from rsground.datasets.json_stream import scan

    return sum(1 for _ in scan(path))


def theirs_json(path: Path) -> int:
    """The whole file."""
    with path.open() as stream:
        return len(json.load(stream))


def ours_coco(path: Path) -> int:
    """Index the file, then every annotation by image."""
    from rsground.datasets.coco import CocoIndex

    index = CocoIndex(path)
    with path.open("rb") as stream:
        return sum(1 for image in index.images.values() for _ in index.of_image(image, stream))


def theirs_coco(path: Path) -> int:
    """pycocotools' way: load whole, group in dicts."""
    with path.open() as stream:
        document = json.load(stream)
    by_image: dict[int, list[Any]] = {}
    for annotation in document["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    return sum(len(found) for found in by_image.values())


def ours_pickle(path: Path) -> int:
    """The interpreter that cannot call anything."""
    from rsground.datasets.pickle_safe import load_plain_pickle

    return len(load_plain_pickle(path))


def theirs_pickle(path: Path) -> int:
    """pickle.load, which runs whatever the file asks for."""
    with path.open("rb") as stream:
        return len(pickle.load(stream))


def measured(read: Callable[[Path], int], path: Path) -> tuple[int, float, float]:
    """(records, seconds, MB above an empty process), in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_inside, (read, path))


def _inside(read: Callable[[Path], int], path: Path) -> tuple[int, float, float]:
    import rsground.datasets.coco
    import rsground.datasets.pickle_safe  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    count = read(path)
    seconds = time.perf_counter() - start
    return count, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    """Make the files, read them both ways, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the size of the published files, nearly")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    jobs = (
        ("conversations", make_conversations, 300_000, ours_json, theirs_json),
        ("coco", make_coco, 300_000, ours_coco, theirs_coco),
        ("refer pickle", make_pickle, 17_402, ours_pickle, theirs_pickle),
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, make, full, ours, theirs in jobs:
            path = Path(folder) / f"{name}.json"
            make(path, max(int(full * args.scale), 1))
            rounds = [(measured(ours, path), measured(theirs, path)) for _ in range(args.rounds)]
            assert all(one[0] == two[0] for one, two in rounds)
            t1, t2 = (min(pair[k][1] for pair in rounds) for k in (0, 1))
            m1, m2 = (min(pair[k][2] for pair in rounds) for k in (0, 1))
            megabytes = path.stat().st_size / 1e6
            print(
                f"{name:14} {rounds[0][0][0]:7} records, {megabytes:6.0f} MB file | ours {t1:6.2f} s, {m1:6.0f} MB | "
                f"whole {t2:6.2f} s, {m2:6.0f} MB | time x{t1 / t2:.2f}, memory x{m1 / max(m2, 1):.3f}"
            )
            path.unlink()


if __name__ == "__main__":
    main()
