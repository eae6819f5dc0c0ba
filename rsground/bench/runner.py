"""Run a plan: what is stored stays, what is missing is asked, and every answer is safe as soon as it is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rsground.bench.answer_cache import AnswerCache
from rsground.bench.environment import cores, environment
from rsground.bench.interrupts import Interrupts, TerminatedError
from rsground.bench.lock import LOCK
from rsground.bench.places import Places
from rsground.bench.plan import NO_LIMIT, Plan
from rsground.bench.reuse import Reuse
from rsground.bench.schema import STORE
from rsground.bench.store import Store
from rsground.bench.suite import Part
from rsground.contracts import Executor, Job, Notice, Outcome
from rsground.errors import StoreError
from rsground.registry import load

SUITE_COPY = "suite.toml"


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did.

    Attributes:
        folder: the run folder.
        answered: answers stored by this call; ``kept`` those that were there before.
        complete: whether every system has now answered every sample.
        reused: how many of ``answered`` were taken from the cache.
        cache_trouble: why the cache could not be written to the end; empty where it could, or there is none.
        interrupted: the signal's exit status (130 or 143) where a signal stopped it, else 0.
    """

    folder: Path
    answered: int
    kept: int
    complete: bool
    interrupted: int = 0
    reused: int = 0
    cache_trouble: str = ""


class Watcher:
    """Is told what happens during a run; this one does not care. Subclass for progress displays."""

    def begin(self, plan: Plan, kept: dict[str, int]) -> None:
        """The run starts; ``kept`` says per job key how many answers are there already."""

    def outcome(self, outcome: Outcome) -> None:
        """An answer was stored."""

    def notice(self, notice: Notice) -> None:
        """A record is broken, or a size became known."""

    def end(self) -> None:
        """The run is over, whatever the reason."""


def run_plan(
    plan: Plan,
    folder: Path,
    *,
    workers: int | None = None,
    fresh: bool = False,
    resume: bool = False,
    retry_failed: bool = False,
    watcher: Watcher | None = None,
    command: Iterable[str] = (),
    cache: Path | None = None,
) -> RunResult:
    """Work off a plan into a run folder, as far as it goes.

    Args:
        plan: what to do.
        folder: the run folder. What it holds of this plan is not done again.
        workers: processes; None lets :func:`good_workers` decide.
        fresh: throw away what the folder holds.
        resume: insist that a run is there.
        retry_failed: ask again where a system failed to answer.
        watcher: is told what happens.
        command: command line, for the record.
        cache: folder of answers of earlier runs. What was asked before, word for word, of the same system is taken
            from there, and new answers are put there. Latency and memory are then those of the earlier run.

    Raises:
        StoreError: the folder cannot be written, is held by another process, or has nothing to resume; or the cache
            cannot be used.
        WorkerError: worker processes do not live long enough to answer.
    """
    watcher = watcher or Watcher()
    if resume and not (folder / STORE).is_file():
        raise StoreError(f"there is no run to resume in {folder}; leave out --resume to begin one")
    if fresh:
        _clear(folder)
    store = Store(folder)
    interrupted = 0
    remembered: AnswerCache | None = None
    try:
        (folder / SUITE_COPY).write_text(plan.suite.text, "utf-8")
        store.begin(plan, environment(command))
        if retry_failed:
            store.forget_failures()
        remembered = None if cache is None else AnswerCache(cache)
        reuse = None if remembered is None else Reuse(plan, remembered)
        kept = {p.job.key: store.done[p.job.key].below(p.job.stop) for p in plan.jobs}
        with Interrupts() as interrupts:
            store.shield = interrupts.shield
            watcher.begin(plan, kept)
            try:
                if reuse is not None:
                    _recall(plan, store, reuse, watcher)
                _work(plan, store, executor_of(plan, workers), watcher, reuse)
            except KeyboardInterrupt as error:
                interrupted = 143 if isinstance(error, TerminatedError) else 130
            finally:
                watcher.end()
        complete = _missing(plan, store) == []
        if complete:
            store.finish()
        before, now = sum(kept.values()), sum(store.done[p.job.key].below(p.job.stop) for p in plan.jobs)
        if remembered is not None:
            remembered.flush()
        trouble = "" if remembered is None else remembered.trouble
        return RunResult(folder, now - before, before, complete, interrupted, store.reused, trouble)
    finally:
        store.close()
        if remembered is not None:
            remembered.close()


def executor_of(plan: Plan, workers: int | None) -> Executor:
    """The suite's executor, with so many workers."""
    part: Part = plan.suite.executor
    options = dict(part.options)
    if workers is not None or "workers" not in options:
        options["workers"] = good_workers(plan) if workers is None else workers
    found: Executor = load("executor", part.name, **options)
    return found


def good_workers(plan: Plan) -> int:
    """One process per core for parts that need nothing beyond the core; one for anything heavier; none on Windows."""
    if os.name == "nt":
        return 0
    return cores() if all(system.light for system in plan.systems) else 1


def _recall(plan: Plan, store: Store, reuse: Reuse, watcher: Watcher) -> None:
    """Store what the cache knows; broken records are counted when the rest is asked."""
    for found in reuse.outcomes(_missing(plan, store), store.done):
        if isinstance(found, Notice):
            store.note(found)
        elif store.add(found):
            watcher.outcome(found)


def _work(plan: Plan, store: Store, executor: Executor, watcher: Watcher, reuse: Reuse | None) -> None:
    stream = executor.run(_missing(plan, store), store.done)
    try:
        for found in stream:
            if isinstance(found, Notice):
                store.note(found)
                watcher.notice(found)
            elif store.add(found):
                watcher.outcome(found)
                if reuse is not None:
                    reuse.keep(found)
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def _missing(plan: Plan, store: Store) -> list[Job]:
    """Jobs that may have something left to do: all but those known to be whole."""
    sizes = store.sizes()
    return [p.job for p in plan.jobs if not _is_whole(p.job, store.done[p.job.key], *sizes[str(p.job.dataset["key"])])]


def _is_whole(job: Job, done: Places, size: int | None, ended: bool) -> bool:
    if size is None or (not ended and size < job.stop):
        return False
    wanted = min(size, job.stop)
    return job.stop != 0 and wanted < NO_LIMIT and done.below(wanted) == wanted


def _clear(folder: Path) -> None:
    """Remove a run, and nothing else, from a folder; refuses while another process writes there."""
    if not folder.exists():
        return
    if any(path.name != LOCK for path in folder.iterdir()) and not (folder / STORE).is_file():
        raise StoreError(f"{folder} holds something that is no run; --fresh would not touch it, choose another --out")
    Store(folder).close()
    for path in folder.iterdir():
        if path.name.startswith(STORE) or path.name == SUITE_COPY:
            path.unlink()
        elif path.name == "report" and path.is_dir():
            shutil.rmtree(path)
