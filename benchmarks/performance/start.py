"""How long rsground takes to start, as seconds and as a ratio to an interpreter that does nothing.

Runs each command several times in fresh processes of this interpreter and keeps the fastest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import rsground": ["-c", "import rsground"],
    "rsground --help": ["-m", "rsground", "--help"],
    "rsground list": ["-m", "rsground", "list"],
    "rsground list heads": ["-m", "rsground", "list", "heads"],
    "import numpy (for scale)": ["-c", "import numpy"],
}
LIMITS = {"import rsground": 0.3, "rsground --help": 0.3, "rsground list": 0.5, "rsground list heads": 0.5}


def fastest(arguments: list[str], rounds: int) -> float:
    """Seconds of the fastest of ``rounds`` fresh processes."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> int:
    """Print the table; 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    measured = {name: fastest(arguments, rounds) for name, arguments in COMMANDS.items()}
    floor = measured["python -c pass"]
    for name, seconds in measured.items():
        limit = f"   limit {LIMITS[name] * 1000:.0f} ms" if name in LIMITS else ""
        print(f"{name:<26} {seconds * 1000:7.0f} ms   {seconds / floor:5.1f} x an empty interpreter{limit}")
    return int(any(measured[name] > limit for name, limit in LIMITS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
