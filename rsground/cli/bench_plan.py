"""What ``rsground bench --dry-run`` prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rsground.cli.output import print_json

if TYPE_CHECKING:
    from rsground.bench.plan import Plan


def print_plan(plan: Plan, folder: Path, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "suite": plan.suite.name,
                "source": plan.suite.source,
                "key": plan.key,
                "folder": str(folder),
                "systems": [{"key": s.key, **s.entry.to_json()} for s in plan.systems],
                "datasets": [
                    {"key": d.key, "size": d.size_hint, "limit": d.choice.limit, **d.choice.to_json()}
                    for d in plan.datasets
                ],
                "metrics": [dict(m.spec) for m in plan.metrics],
                "seeds": list(plan.suite.seeds),
                "jobs": len(plan.jobs),
                "notes": list(plan.suite.notes),
            }
        )
        return
    lines = [f"suite     {plan.suite.name} ({plan.suite.source})", f"folder    {folder}"]
    for data in plan.datasets:
        size = "unknown size" if data.size_hint is None else f"about {data.size_hint:,} samples"
        limit = "" if data.choice.limit is None else f", the first {data.choice.limit:,} asked"
        lines.append(f"data      {data.choice.label}: {data.choice.name} {data.choice.split}, {size}{limit}")
    lines += [f"metric    {metric.label}: {metric.spec['summary']}" for metric in plan.metrics]
    lines += [f"system    {system.entry.label}" for system in plan.systems]
    lines += [f"note      {note}" for note in plan.suite.notes]
    wanted = plan.wanted()
    lines.append(
        f"in all    {len(plan.jobs)} jobs, {'an unknown number of' if wanted is None else f'{wanted:,}'} answers"
    )
    print("\n".join(lines))  # noqa: T201
