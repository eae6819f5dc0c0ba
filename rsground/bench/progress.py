"""What a run looks like while it goes on: bars in a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rsground.bench.plan import NO_LIMIT, Plan
from rsground.bench.runner import Watcher
from rsground.contracts import Notice, Outcome

_BAR_EVERY_S = 0.1
_LINE_EVERY_S = 10.0
_FEW = 8
"""Up to so many systems have a bar each; more share one per data set."""


class Counter(Watcher):
    """Counts answers per bar and hands the counts on at a bearable pace.

    Args:
        every_s: seconds between two calls of :meth:`show`.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s, self._shown = every_s, 0.0
        self.bars: dict[str, int] = {}
        """Title → answers stored, in the plan's order."""
        self.totals: dict[str, int | None] = {}
        """Title → answers wanted, None while a size is unknown."""
        self.failed = self.broken = 0

    def begin(self, plan: Plan, kept: dict[str, int]) -> None:
        """Lay out the bars."""
        each = len(plan.systems) <= _FEW
        self._title: dict[str, str] = {}
        self._jobs: dict[str, list[tuple[str, int]]] = {}
        for planned in plan.jobs:
            data, entry = plan.datasets[planned.dataset], plan.systems[planned.system].entry
            title = f"{data.choice.label}: {entry.label}" if each else data.choice.label
            job = planned.job
            self._title[job.key] = title
            self._jobs.setdefault(data.key, []).append((title, job.stop))
            self.bars[title] = self.bars.get(title, 0) + kept[job.key]
            size = data.size_hint if job.stop == NO_LIMIT else min(job.stop, data.size_hint or job.stop)
            before = self.totals.get(title, 0)
            self.totals[title] = None if size is None or before is None else before + size
        self.started(sum(kept.values()))

    def outcome(self, outcome: Outcome) -> None:
        """Count an answer."""
        self.bars[self._title[outcome.job]] += 1
        found = outcome.record["prediction"]
        self.failed += found is not None and found["error"] is not None
        now = time.monotonic()
        if now - self._shown >= self._every_s:
            self._shown = now
            self.show()

    def notice(self, notice: Notice) -> None:
        """Count a broken record, or correct what is wanted now that the size is known."""
        if notice.broken is not None:
            self.broken += 1
        elif notice.size is not None:
            sizes: dict[str, int] = {}
            for title, stop in self._jobs.get(notice.dataset, []):
                sizes[title] = sizes.get(title, 0) + min(stop, notice.size)
            self.totals.update(sizes)

    def end(self) -> None:
        """Show the last state."""
        self.show()

    def started(self, kept: int) -> None:
        """The bars are known; ``kept`` answers are there already."""

    def show(self) -> None:
        """Show where the run is."""


class Lines(Counter):
    """A plain line every ten seconds, for logs.

    Args:
        write: takes a line.
    """

    def __init__(self, write: Callable[[str], object], every_s: float = _LINE_EVERY_S) -> None:
        super().__init__(every_s)
        self._write = write

    def started(self, kept: int) -> None:
        """Note when and where the run began."""
        self._shown = self._began = time.monotonic()
        self._kept = kept

    def show(self) -> None:
        """One line: how many answers, how fast, how long still."""
        stored, wanted = sum(self.bars.values()), list(self.totals.values())
        rate = (stored - self._kept) / max(time.monotonic() - self._began, 1e-9)
        line = f"{stored:,} answers"
        if wanted and None not in wanted:
            total = sum(size for size in wanted if size is not None)
            line = f"{stored:,} of {total:,} answers"
            if rate > 0 and total > stored:
                line += f", {(total - stored) / rate:.0f} s left"
        self._write(f"{line}, {rate:,.0f}/s, {self.failed} failed, {self.broken} broken records")


class Bars(Counter):
    """Bars that move, drawn by rich on stderr."""

    def __init__(self) -> None:
        super().__init__(_BAR_EVERY_S)
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        class Speed(ProgressColumn):
            """Answers a second."""

            def render(self, task: Task) -> Text:
                return Text(f"{task.speed or 0:,.0f}/s" if not task.finished else "")

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            Speed(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="red", markup=False),
            console=Console(stderr=True),
            speed_estimate_period=10.0,
        )

    def started(self, kept: int) -> None:
        """Draw the bars."""
        del kept
        self._tasks = {
            title: self._progress.add_task(title, total=self.totals[title], completed=stored, note="")
            for title, stored in self.bars.items()
        }
        self._progress.start()

    def show(self) -> None:
        """Move the bars."""
        note = f"{self.failed} failed" if self.failed else ""
        for title, task in self._tasks.items():
            self._progress.update(task, completed=self.bars[title], total=self.totals[title], note=note)

    def end(self) -> None:
        """Leave the bars as they are."""
        if hasattr(self, "_tasks"):
            self.show()
        self._progress.stop()


def watcher(*, quiet: bool) -> Watcher:
    """What suits standard error: bars in a terminal, lines in a log, nothing when ``quiet``."""
    if quiet:
        return Watcher()
    if sys.stderr.isatty():
        return Bars()
    return Lines(lambda line: sys.stderr.write(line + "\n"))
