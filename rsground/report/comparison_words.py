"""The words and numbers of a comparison of two runs, alike in every format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rsground.bench.comparison import Change, Comparison, Missing, Verdict
from rsground.bench.roles import Role
from rsground.report.text import interval, is_share, memory, number, one_line, p_value, seconds, significant


def headline(found: Comparison) -> str:
    """``2 regressions``, ``no regression``."""
    return counted(len(found.regressions), "regression") if found.regressions else "no regression"


def lead(found: Comparison) -> str:
    """One sentence: what was compared, and how it went."""
    verdicts = [change.verdict for change in found.scores]
    worse, better = verdicts.count(Verdict.WORSE), verdicts.count(Verdict.BETTER)
    other = len(verdicts) - worse - better
    return (
        f"{counted(len(verdicts), 'score')} of {_count(found)} compared: "
        f"{worse} significantly worse, {better} better, {other} not significantly different."
    )


def _count(found: Comparison) -> str:
    return counted(len({change.system for change in found.scores}), "system")


def system(change: Change) -> str:
    """Its label, and what it is where it is no system."""
    return change.system if change.role == Role.SYSTEM else f"{change.system} ({change.role})"


def systems_first(changes: Iterable[Change]) -> list[Change]:
    """The same, with what is no system at the end."""
    return sorted(changes, key=lambda change: change.role != Role.SYSTEM)


def before_after(change: Change) -> tuple[str, str]:
    """The values, in the unit that reads best."""
    return _value(change, change.before), _value(change, change.after)


def difference(change: Change) -> str:
    """``−2.10`` points for a share, ``×1.25`` for a cost."""
    if change.is_cost:
        return f"×{significant(change.change, 3)}"
    return _signed(number(change.change, is_share(change.name)))


def bounds(change: Change) -> str:
    """The interval of the difference, empty where there is none."""
    if change.low is None or change.high is None:
        return ""
    if change.is_cost:
        return f"[×{significant(change.low, 3)}, ×{significant(change.high, 3)}]"
    return interval(change.low, change.high, is_share(change.name))


def p_words(change: Change) -> str:
    """The corrected p-value, or that there is none."""
    return "–" if change.p_adjusted is None else p_value(change.p_adjusted)


def verdict(change: Change) -> str:
    """``regression``, ``worse`` (within the tolerance, or a cost that does not count), ``better``, ``same`` ..."""
    return "regression" if change.regression else change.verdict.value


def title(change: Change) -> str:
    """``system: score`` on one line."""
    return f"{one_line(change.system)}: {one_line(change.name)}"


def sentence(change: Change) -> str:
    """``Acc@0.5 of a on scenes (rec-hbb): 61.20 before, 55.00 after, −6.20 [−8.10, −4.32], p < 0.001, ...``."""
    before, after = before_after(change)
    p = "no test" if change.p_adjusted is None else f"p {_equals(p_words(change))} after Holm's correction"
    if change.p is not None:
        p += f" ({p_value(change.p)} alone)"
    moved = " ".join(word for word in (difference(change), bounds(change)) if word)
    where = f"{one_line(change.name)} of {one_line(system(change))} on {one_line(change.dataset)}"
    protocol = "" if change.is_cost else f" ({one_line(change.metric)})"
    text = f"{where}{protocol}: {before} before, {after} after, {moved}, {p}"
    text += f", {change.n:,} answers on {change.images:,} images"
    return text + (f"; tested by the mean of {change.tested}" if change.tested else "")


def _equals(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def counted(count: int, what: str) -> str:
    """``1 score``, ``2 scores``."""
    return f"{count:,} {what}{'s' if count != 1 else ''}"


def rule_words(found: Comparison) -> str:
    """The rule that was applied, in a sentence or two."""
    rules = found.rules
    level = f"{100 * rules.level:g} %"
    beyond = f" by more than {rules.tolerance:g} (on the score's own scale)" if rules.tolerance else ""
    costs = "costs are shown and never one"
    if rules.costs_count:
        costs = f"a cost is one when it is significantly higher, and by more than {100 * rules.cost_tolerance:g} %"
    return (
        f"A score is a regression when it is significantly worse{beyond}; {costs}. "
        f"Significant: p < {rules.alpha:g} in a paired permutation test clustered by image, "
        "after Holm's correction over all scores (all costs). "
        f"Brackets hold {level} bootstrap intervals of the difference."
    )


def missing_words(found: Missing, most: int = 20) -> str:
    """``2 systems only in the baseline: a, b``; at most so many names."""
    plain = {"system": "systems", "data set": "data sets", "protocol": "protocols"}.get(found.what, found.what)
    if found.total == 1:
        plain = "sample" if found.what == "samples" else found.what
    of = f"{one_line(found.dataset)}: " if found.dataset else ""
    where = {"run": "only in the run", "baseline": "only in the baseline"}.get(found.where, "not the same in both")
    names = ", ".join(one_line(name, 80) for name in found.names[:most])
    more = found.total - len(found.names[:most])
    return f"{of}{found.total:,} {plain} {where}: {names}" + (f" and {more:,} more" if more else "")


def unpaired_words(found: Comparison) -> Iterator[str]:
    """Where only one of the runs answered."""
    seen = set()
    for change in found.scores:
        key = (change.system, change.dataset, change.metric)
        if change.left_out and key not in seen:
            seen.add(key)
            where = f"{one_line(change.dataset)}, {one_line(change.metric)}"
            yield f"{one_line(change.system)} ({where}): {change.left_out:,} answers have no partner in the other run"


def _value(change: Change, value: float) -> str:
    if not change.is_cost:
        return number(value, is_share(change.name))
    if change.name in ("latency", "time per answer"):
        return seconds(value)
    return memory(value) if change.name == "peak memory" else significant(value)


def _signed(shown: str) -> str:
    plain = shown.strip("0.")
    return shown if shown.startswith(("−", "–")) or not plain else f"+{shown}"
