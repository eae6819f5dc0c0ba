"""Fill the disk under a run at random moments, make room, run on, and compare with a run that nobody disturbed.

    python benchmarks/disk_full.py                       twenty disks
    python benchmarks/disk_full.py --times 3 --limit 40

Each disk is a file system in memory of a random size, smaller than what the whole run takes: the kernel says that it is
full, in the middle of a write. The run must end with exit status 1 and a message that says what to do. Then the disk is
made larger and the same command goes on. Passes when every run ends complete, every sample is stored once, and all
scores are identical. Exit status 0 or 1. Linux, with user namespaces (``unshare -rm``); nothing is mounted outside.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import crash_test

TOLD = "cannot be written"
"""What the run says of a full disk."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do it; 0 when the verdict is good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="disks that were too small (20)")
    parser.add_argument("--limit", type=int, default=100, help="samples asked (100)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of the disturbed runs (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the sizes")
    parser.add_argument("--inside", nargs=3, metavar=("DISK", "KIB", "COPY"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.inside:
        disk, kib, copy = args.inside
        print(json.dumps(filled(Path(disk), int(kib), Path(copy), args)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return matrix(args, Path(folder))


def matrix(args: argparse.Namespace, folder: Path) -> int:
    """All disks; 0 when nothing was lost."""
    whole = folder / "whole"
    wanted = crash_test.scores_of(crash_test.command(whole, args.limit, 0))
    size = sum(file.stat().st_size for file in whole.rglob("*")) // 1024
    rng, full, bad = random.Random(args.seed), 0, 0
    for number in range(
        3 * args.times
    ):  # a disk may turn out large enough: the log of the store is emptied now and then
        if full == args.times:
            break
        kib, torn = int(rng.uniform(0.05, 1.0) * size), folder / f"torn-{number}"
        found = disturbed(args, kib, folder / "disk", torn)
        full += found["full"]
        problems = crash_test.compare(wanted, found["scores"], whole, torn)
        if not found["full"] and found["status"]:
            problems.append(f"the first run ended with {found['status']} and said {found['said']!r}")
        bad += len(problems)
        for problem in problems:
            print(f"FAIL {kib} KiB: {problem}", flush=True)
        shutil.rmtree(torn)
    verdict = "PASS" if not bad and full == args.times else "FAIL"
    print(f"{verdict}  store: disk full: {full} of {args.times} disks of 5 to 100 % of {size} KiB were full in mid-run")
    return int(verdict == "FAIL")


def disturbed(args: argparse.Namespace, kib: int, disk: Path, copy: Path) -> Any:
    """What became of a run on a disk of so many KiB, and its store in ``copy``."""
    disk.mkdir(exist_ok=True)
    words = ["unshare", "-rm", sys.executable, __file__, "--limit", str(args.limit), "--workers", str(args.workers)]
    words += ["--inside", str(disk), str(kib), str(copy)]
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)


def filled(disk: Path, kib: int, copy: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Inside a mount namespace of our own: run on a small disk, then on a large one."""
    mount(f"size={kib}k", disk)
    command = crash_test.command(disk / "run", args.limit, args.workers)
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    mount("remount,size=256m", disk)
    scores = crash_test.scores_of(command)
    shutil.copytree(disk / "run", copy)
    full = first.returncode == 1 and TOLD in first.stderr
    return {"status": first.returncode, "said": first.stderr[-300:], "full": full, "scores": scores}


def mount(options: str, disk: Path) -> None:
    """Make a file system in memory, or change its size."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)


if __name__ == "__main__":
    sys.exit(main())
