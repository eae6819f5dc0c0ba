"""A whole campaign on a simulated cluster: real plan, feed, desk, leases and store; only the models' time is made up.

    python benchmarks/scale_simulation.py                         15 systems, 10 data sets, 3 seeds, 1,000,350 answers
    python benchmarks/scale_simulation.py --samples 20 --gpus 1 4 16
    python benchmarks/scale_simulation.py --no-store              answers are counted, not stored

Each answer takes a simulated time drawn (log-normally, from its sample and system) around the mean of its paradigm and
backbone. Workers die at random, and a share of the answers is measured alone on its card. Printed per number of GPUs:
hours predicted by the cost model of docs/explanation/scale.md, hours simulated, and peak memory of this process at a
tenth of the way and at the end.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent / "performance"))
import noop

from rsground.bench.drive import drive
from rsground.bench.messages import Report
from rsground.bench.plan import Plan, make_plan
from rsground.bench.pool import Lost
from rsground.bench.results import Run
from rsground.bench.scores import summaries
from rsground.bench.store import Store
from rsground.bench.suite_check import checked
from rsground.bench.suite_reader import read_suite
from rsground.bench.work import Item, Task, Workbench
from rsground.contracts import Job, Notice
from rsground_ray.desk import AHEAD, Desk, back_off
from rsground_ray.leases import LeaseBook, claim

PARADIGMS = {"text-box": 1.2, "text-mask": 4.0, "seg-token": 0.7, "point-set": 2.0, "mag-crop": 1.6}
"""Mean seconds of an answer on a backbone of weight 1: what a paradigm writes decides."""
BACKBONES = {"small": 0.4, "middle": 1.0, "large": 2.2}
LOAD_S = {"small": 20.0, "middle": 60.0, "large": 150.0}
SPREAD = 0.4
"""Standard deviation of the logarithm of a time."""
MIB = 1 << 20


class Model(NamedTuple):
    """What the campaign is made of.

    Attributes:
        gpus: cards; ``share`` of one that each worker has.
        every: every so-manieth answer is measured alone; 0: none.
        crowd: how much longer an answer takes when all workers of a card work, over one working alone, per worker: 1
            means that sharing gains nothing, ``share`` that it is free.
        deaths_per_hour: of each worker.
    """

    gpus: int
    share: float
    every: int
    crowd: float
    deaths_per_hour: float

    @property
    def per_card(self) -> int:
        """Workers on one card."""
        return int(1 / self.share)


def mean_s(label: str) -> float:
    """Mean seconds of a system's answer, working alone."""
    paradigm, backbone = label.split("/")
    return PARADIGMS[paradigm] * BACKBONES[backbone]


def took_s(label: str, seed: int, place: int) -> float:
    """Seconds of one answer: the same whenever it is asked."""
    draw = random.Random(f"{label}|{seed}|{place}").gauss(0.0, SPREAD)
    return mean_s(label) * math.exp(draw - SPREAD**2 / 2)


class Worker:
    """A simulated worker: its card, the system it has loaded, what it does until when."""

    def __init__(self, number: int, card: str) -> None:
        self.number, self.card = number, card
        self.loaded: tuple[str, int] | None = None
        self.epoch = 0
        self.is_up = True
        self.working = False
        self.dies_at = math.inf


class Cluster:
    """A crew (see ``rsground.bench.drive``) whose workers live in simulated time."""

    def __init__(self, jobs: Sequence[Job], model: Model, seed: int) -> None:
        self.now = 0.0
        self.busy_s = 0.0
        self.deaths = 0
        self._jobs, self._model, self._rng = jobs, model, random.Random(seed)
        self._bench = Workbench([replace(job, system={**job.system, "light": True}) for job in jobs])
        self._desk = Desk(3, lambda: self.now)
        self._book = LeaseBook()
        self._events: list[tuple[float, int, int, int, str]] = []
        self._count = 0
        self._plans: dict[int, Iterator[tuple[bool, float]]] = {}
        self._part_s: dict[int, float] = {}
        self._open: dict[int, None] = {}
        self._workers = [
            Worker(number, f"gpu:{number // model.per_card}") for number in range(model.gpus * model.per_card)
        ]
        for worker in self._workers:
            self._doom(worker)

    # the crew's side -------------------------------------------------------------------------------------------------

    @property
    def is_free(self) -> bool:
        """Whether a worker can take a task."""
        while (worker := self._freest()) is not None and (task := self._desk.due()) is not None:
            self._hand(worker, task)
        return self._freest() is not None

    @property
    def is_busy(self) -> bool:
        """Whether anything is in flight."""
        return self._desk.is_busy

    def give(self, items: Sequence[Item], batch: int) -> None:
        """Hand a task to a worker."""
        worker = self._freest()
        assert worker is not None
        self._hand(worker, self._desk.task(items, batch))

    def collect(self) -> Iterator[tuple[Task, Report] | Lost]:
        """The next thing that happens; the clock jumps there."""
        if not self._events:
            self.now += self._desk.next_due_s or 0.0
            return
        self.now, _, number, epoch, what = heapq.heappop(self._events)
        worker = self._workers[number]
        if worker.epoch != epoch:
            return
        if what == "up":
            worker.is_up = True
            self._doom(worker)
        elif what == "die":
            yield from self._died(worker)
        else:
            yield from self._part_done(worker)

    def stop(self) -> None:
        """Nothing is left running."""

    def kill(self) -> None:
        """Nothing is left running."""
        self._bench.close()

    # what workers do -------------------------------------------------------------------------------------------------

    def _freest(self) -> Worker | None:
        number = next(iter(self._open), None)
        return None if number is None else self._workers[number]

    def _mark(self, worker: Worker) -> None:
        """Keep the list of workers that can take a task; the idle stand in front."""
        self._open.pop(worker.number, None)
        if worker.is_up and self._desk.load(worker.number) < AHEAD:
            self._open[worker.number] = None

    def _hand(self, worker: Worker, task: Task) -> None:
        self._desk.assign(worker.number, task)
        self._mark(worker)
        if not worker.working:
            self._begin(worker)

    def _begin(self, worker: Worker) -> None:
        task = self._desk.held(worker.number)[0]
        worker.working = True
        self._plans[worker.number] = iter(self._parts(worker, task))
        self._next_part(worker)

    def _parts(self, worker: Worker, task: Task) -> Iterator[tuple[bool, float]]:
        """(alone, seconds) of each stretch of a task: loading beside others, then measured and unmeasured answers."""
        steps = task.steps()
        job = self._jobs[steps[0].job]
        label = str(job.system["label"])
        if worker.loaded != (label, job.seed):
            worker.loaded = (label, job.seed)
            yield False, LOAD_S[label.split("/")[1]]
        crowd = max(1.0, self._model.crowd * self._model.per_card)
        stretch: tuple[bool, float] | None = None
        for step in steps:
            place = task.items[step.items[0]].place
            alone = self._model.every > 0 and place % self._model.every == 0
            seconds = took_s(label, job.seed, place) * (1.0 if alone else crowd)
            if stretch is not None and stretch[0] == alone:
                stretch = (alone, stretch[1] + seconds)
                continue
            if stretch is not None:
                yield stretch
            stretch = (alone, seconds)
        if stretch is not None:
            yield stretch

    def _next_part(self, worker: Worker) -> None:
        alone, seconds = next(self._plans[worker.number], (False, -1.0))
        if seconds < 0:
            self._push(self.now, worker, "done")
            return
        self._part_s[worker.number] = seconds
        self._book.ask(claim(worker.number, [worker.card], alone=alone))
        self._granted()

    def _granted(self) -> None:
        for holder in self._book.grant():
            assert isinstance(holder, int)
            seconds = self._part_s[holder]
            self.busy_s += seconds
            self._push(self.now + seconds, self._workers[holder], "part")

    def _part_done(self, worker: Worker) -> Iterator[tuple[Task, Report]]:
        if self._book.is_granted(worker.number):
            self._book.drop(worker.number)
            self._granted()
            self._next_part(worker)
            return
        task = self._desk.held(worker.number)[0]
        self._desk.done(worker.number, task.number)
        worker.working = False
        self._mark(worker)
        if self._desk.load(worker.number):
            self._begin(worker)
        steps = task.steps()
        job = self._jobs[steps[0].job]
        seconds = sum(took_s(str(job.system["label"]), job.seed, item.place) for item in task.items)
        records = [(number, list(self._bench.answer(task, step))) for number, step in enumerate(steps)]
        yield task, Report(task.number, records, seconds, finished=True)

    def _died(self, worker: Worker) -> Iterator[Lost]:
        self.deaths += 1
        worker.epoch += 1
        worker.loaded, worker.is_up, worker.working = None, False, False
        self._book.drop(worker.number)
        self._granted()
        yield from self._desk.lost(worker.number, "died")
        self._mark(worker)
        self._push(self.now + 10.0 + back_off(1), worker, "up")

    def _doom(self, worker: Worker) -> None:
        if self._model.deaths_per_hour > 0:
            self._push(self.now + self._rng.expovariate(self._model.deaths_per_hour / 3600), worker, "die")
        self._mark(worker)

    def _push(self, when: float, worker: Worker, what: str) -> None:
        self._count += 1
        heapq.heappush(self._events, (when, self._count, worker.number, worker.epoch, what))


def predicted_hours(model: Model, samples: int, datasets: int, seeds: int) -> float:
    """The cost model of docs/explanation/scale.md, evaluated."""
    answers = samples * datasets * seeds
    work = answers * sum(mean_s(label) for label in labels())
    measured = 1 / model.every if model.every else 0.0
    beside = max(1.0, model.crowd * model.per_card) / model.per_card
    card_s = work * (measured + (1 - measured) * beside)
    workers = model.gpus * model.per_card
    loads = datasets * seeds * sum(LOAD_S[label.split("/")[1]] for label in labels()) * workers
    loads_s = loads / workers
    run_s = card_s / model.gpus + loads_s
    each = sum(LOAD_S.values()) / len(LOAD_S)
    lost = model.deaths_per_hour / 3600 * (10.5 + each)
    return run_s * (1 + lost) / 3600


def labels() -> list[str]:
    """Systems of the campaign."""
    return [f"{paradigm}/{backbone}" for paradigm in PARADIGMS for backbone in BACKBONES]


def campaign(samples: int, datasets: int, seeds: int) -> Plan:
    """The plan: 15 systems on so many data sets."""
    entries = ", ".join(
        f'{{label = "{label}", head = {{name = "noop", rounds = {place}}}, backbone = "noop"}}'
        for place, label in enumerate(labels())
    )
    data = "".join(
        f'[[dataset]]\nname = "noop"\nlabel = "set {number}"\ncount = {samples + number}\nlimit = {samples}\n'
        for number in range(datasets)
    )
    text = f'metrics = ["noop"]\nseeds = {list(range(seeds))}\nentry = [{entries}]\n{data}'
    return make_plan(checked(read_suite(text, "campaign.toml")))


def simulate(plan: Plan, model: Model, folder: Path | None, seed: int) -> dict[str, Any]:
    """Run the campaign in simulated time; hours, answers, deaths and memory."""
    jobs = [heavy(planned.job) for planned in plan.jobs]
    wanted = plan.wanted() or 0
    cluster = Cluster(jobs, model, seed)
    early = 0
    stored = 0
    began = time.monotonic()
    store = None if folder is None else Store(folder)
    if store is not None:
        store.begin(plan, {})
    try:
        for found in drive(jobs, {} if store is None else store.done, lambda: cluster):
            if isinstance(found, Notice):
                if store is not None:
                    store.note(found)
                continue
            if store is None or store.add(found):
                stored += 1
            if stored * 10 >= wanted and not early:
                early = peak()
        if store is not None:
            store.finish()
    finally:
        if store is not None:
            store.close()
    assert stored == wanted, f"{wanted - stored:,} answers are missing"
    return {
        "hours": cluster.now / 3600,
        "answers": stored,
        "deaths": cluster.deaths,
        "early": early,
        "late": peak(),
        "wall_s": time.monotonic() - began,
    }


def heavy(job: Job) -> Job:
    """The job with its system taken for one that needs a process, and a card, of its own."""
    return replace(job, system={**job.system, "light": False})


def peak() -> int:
    """Highest resident memory of this process so far, bytes (Linux counts it in KiB, macOS in bytes)."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, and print predicted beside simulated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2223, help="of each data set (2223: 1,000,350 answers in all)")
    parser.add_argument("--datasets", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--gpus", type=int, nargs="+", default=[8], help="simulate for each of these (8)")
    parser.add_argument("--share", type=float, default=0.5, help="of a card that a worker has (0.5)")
    parser.add_argument("--every", type=int, default=10, help="every so-manieth answer is measured alone; 0: none (10)")
    parser.add_argument("--crowd", type=float, default=0.7, help="see the cost model (0.7)")
    parser.add_argument("--deaths", type=float, default=0.05, help="of a worker, per hour (0.05)")
    parser.add_argument("--no-store", action="store_true", help="count answers, do not store them")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    with noop.installed():
        began = time.monotonic()
        plan = campaign(args.samples, args.datasets, args.seeds)
        print(
            f"planned {len(plan.jobs)} jobs, {plan.wanted():,} answers in {time.monotonic() - began:.1f} s", flush=True
        )
        print("GPUs  predicted h  simulated h  off by   answers   deaths  wall s  peak MiB at 10 %, at end")
        for gpus in args.gpus:
            model = Model(gpus, args.share, args.every, args.crowd, args.deaths)
            wanted = predicted_hours(model, args.samples, args.datasets, args.seeds)
            with tempfile.TemporaryDirectory() as folder:
                run = None if args.no_store else Path(folder) / "run"
                got = simulate(plan, model, run, args.seed)
                off = 100 * (got["hours"] / wanted - 1)
                print(
                    f"{gpus:4d} {wanted:12.2f} {got['hours']:12.2f} {off:+6.1f} % {got['answers']:10,} "
                    f"{got['deaths']:7d} {got['wall_s']:7.0f} {got['early'] / MIB:9.0f}, {got['late'] / MIB:.0f}",
                    flush=True,
                )
                if run is not None:
                    report(run)
    return 0


def report(folder: Path) -> None:
    """Read the run back as a report does: every score with its interval, every cost column."""
    began = time.monotonic()
    with closing(Run.open(folder)) as opened:
        found = summaries(opened, replicates=100)
        answered = sum(len(opened.usage(s.label, d.label)["index"]) for s in opened.systems for d in opened.datasets)
    print(
        f"     reported: {len(found)} scores of {answered:,} answers in {time.monotonic() - began:.0f} s, "
        f"peak {peak() / MIB:.0f} MiB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
