"""A comparison of two runs as JUnit XML: a test case per score and cost, for the pages that CI systems make of it.

The dialect is what Jenkins, GitLab and GitHub actions read alike: ``testsuites/testsuite/testcase`` with ``failure``,
``skipped`` and ``system-out``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from rsground.bench.comparison import Change, Comparison, Missing, Verdict
from rsground.report import comparison_words as words
from rsground.report.text import visible

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) has no place for, not even escaped."""


def render(found: Comparison) -> str:
    """The XML text."""
    root = ET.Element("testsuites", name=_text(f"rsground {found.run.suite}"))
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in (*found.scores, *found.costs):
        groups.setdefault((change.dataset, change.metric), []).append(change)
    for (dataset, metric), changes in groups.items():
        suite = _suite(root, f"{dataset} / {metric}", found)
        for change in changes:
            _case(suite, change, found)
        _counted(suite)
    if found.missing:
        suite = _suite(root, "not compared", found)
        for one in found.missing:
            _skipped(suite, one)
        _counted(suite)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, name: str, found: Comparison) -> ET.Element:
    suite = ET.SubElement(root, "testsuite", name=_text(name), timestamp=_text(found.run.created))
    properties = ET.SubElement(suite, "properties")
    facts = [("run", found.run.folder), ("run.version", found.run.version), ("baseline", found.baseline.folder)]
    facts += [("baseline.version", found.baseline.version), ("rule", words.rule_words(found))]
    for key, value in facts + [("note", note) for note in found.notes]:
        ET.SubElement(properties, "property", name=key, value=_text(value))
    return suite


def _case(suite: ET.Element, change: Change, found: Comparison) -> None:
    place = f"{found.run.suite}.{change.dataset}.{change.metric}"
    case = ET.SubElement(suite, "testcase", classname=_text(place), name=_text(words.title(change)), time="0")
    told = words.sentence(change)
    if change.regression:
        failure = ET.SubElement(case, "failure", type="regression", message=_text(_short(change)))
        failure.text = _text(f"{told}\n{words.rule_words(found)}")
    elif change.verdict is Verdict.UNTESTED:
        ET.SubElement(case, "skipped", message=_text("no test: the score is missing on one side, or nothing pairs it"))
    ET.SubElement(case, "system-out").text = _text(f"{words.verdict(change)}: {told}")


def _short(change: Change) -> str:
    before, after = words.before_after(change)
    p = words.p_words(change)
    return f"{change.name} {before} → {after} ({words.difference(change)}), p {p if p.startswith('<') else f'= {p}'}"


def _skipped(suite: ET.Element, missing: Missing) -> None:
    name = f"{missing.what} {missing.where} {missing.dataset}".strip()
    case = ET.SubElement(suite, "testcase", classname="not compared", name=_text(name), time="0")
    ET.SubElement(case, "skipped", message=_text(words.missing_words(missing)))


def _counted(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    counts = {"tests": len(cases), "errors": 0}
    counts |= {f"{tag}s" if tag == "failure" else tag: _with(cases, tag) for tag in ("failure", "skipped")}
    for name, count in counts.items():
        suite.set(name, str(count))


def _with(cases: Iterable[ET.Element], tag: str) -> int:
    return sum(case.find(tag) is not None for case in cases)


def _text(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", visible(text))
