"""The page: nothing is injected, nothing is loaded, and what a reader needs stands in it."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from rsground.report import html
from rsground.report.html import script_json
from rsground.report.model import ReportData, Score

VOID = {"meta", "input", "br", "img", "link", "hr", "source", "col"}
HANDLERS = re.compile(r"^on[a-z]+$")
_NAMES = (
    "html head meta title style body header h1 h2 h3 h4 p dl div dt dd bdi pre nav a main section table thead "
    "tbody tr th td small button span svg rect line path g text figure figcaption ul li ol i b sup details "
    "summary article defs image use label select option input output footer code script"
)
ALLOWED = set(_NAMES.split())


class Page(HTMLParser):
    """Collects elements, attributes and text, and checks that what opens closes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.stack: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.odd: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.odd.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] == "script":
            attrs, before = self.scripts[-1]
            self.scripts[-1] = (attrs, before + data)
        elif not self.stack or self.stack[-1] != "style":
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.odd.append(f"comment {data!r}")

    def unknown_decl(self, data: str) -> None:
        self.odd.append(f"declaration {data!r}")

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(
    params=["report", "long_report", "hostile_report", "lonely_report", "ruled_report", "long_ruled_report"]
)
def any_report(request: pytest.FixtureRequest) -> ReportData:
    return request.getfixturevalue(request.param)


def test_every_page_is_well_formed_and_holds_only_our_elements(any_report: ReportData) -> None:
    page = Page(html.render(any_report))
    assert page.odd == []
    assert page.stack == []
    assert set(page.tags) <= ALLOWED
    assert page.tags["script"] == 2
    assert page.tags["h1"] == page.tags["main"] == 1


def test_no_page_runs_or_loads_anything_foreign(any_report: ReportData) -> None:
    page = Page(html.render(any_report))
    for tag, name, value in page.attributes:
        assert not HANDLERS.match(name), f"{tag} {name}={value}"
        assert name not in {"src", "srcset", "style", "srcdoc", "action", "formaction", "xlink:href"}
        if name == "href":
            assert value.startswith(("#", "data:image/jpeg;base64,")), value
    policy = next(
        value for tag, name, value in page.attributes if tag == "meta" and name == "content" and "default-src" in value
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_ids_are_unique_and_every_reference_has_its_target(any_report: ReportData) -> None:
    page = Page(html.render(any_report))
    ids = Counter(value for _, name, value in page.attributes if name == "id")
    assert max(ids.values()) == 1
    used = {value[1:] for _, name, value in page.attributes if name == "href" and value.startswith("#")}
    used |= {value for _, name, value in page.attributes if name in ("data-filter", "data-tools")}
    assert used <= set(ids)


def test_hostile_text_is_shown_as_it_is(hostile_report: ReportData) -> None:
    page = Page(html.render(hostile_report))
    assert hostile_report.systems[0].label == "<script>alert(1)</script>0"
    assert hostile_report.systems[0].label in page.text
    assert '"onerror="alert(3)" x="3' in page.text
    assert "{{ 7 * 7 }}{% raw %}" in page.text


def test_control_and_direction_characters_are_spelled_out(hostile_report: ReportData) -> None:
    text = html.render(hostile_report)
    text.encode("utf-8")
    assert "⟨U+202E⟩" in text
    assert not set("\u202e\u2066\x00\x1b\ud800") & set(text)


def test_the_policy_names_the_scripts_and_styles_of_the_page(report: ReportData) -> None:
    import base64
    import hashlib

    text = html.render(report)
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(body) == 1
        digest = base64.b64encode(hashlib.sha256(body[0].encode()).digest()).decode()
        assert f"{rule} &#39;sha256-{digest}&#39;" in text or f"{rule} 'sha256-{digest}'" in text


def test_embedded_json_is_the_report(hostile_report: ReportData) -> None:
    page = Page(html.render(hostile_report))
    attrs, body = next(entry for entry in page.scripts if entry[0].get("type") == "application/json")
    assert attrs["id"] == "report-data"
    found = json.loads(body)
    assert [system["label"] for system in found["systems"]] == [system.label for system in hostile_report.systems]
    board = hostile_report.datasets[0].boards[0]
    label = hostile_report.systems[1].label
    assert found["datasets"][0]["boards"][0]["rows"][label]["gIoU"]["value"] == board.rows[label]["gIoU"].value


@pytest.mark.parametrize("text", ["</script>", "<!--", "]]>", "&lt;", "\u2028", "</SCRIPT "])
def test_json_cannot_leave_its_script(text: str) -> None:
    written = script_json({text: [text]})
    assert not re.search(r"[<>&\u2028]", written)
    assert json.loads(written) == {text: [text]}


def test_header_says_what_was_run(report: ReportData) -> None:
    text = Page(html.render(report)).text
    for fact in ("ceilings", "2026-03-01T10:00:00Z", report.run.command, "numpy 2.1", "1,800"):
        assert fact in text


def test_leaderboard_is_sorted_and_shows_value_and_interval(report: ReportData) -> None:
    text = Page(html.render(report)).text
    board = report.datasets[0].boards[0]
    places = []
    for label in board.ranking():
        score = board.rows[label]["gIoU"]
        assert f"[{100 * (score.low or 0):.2f}, {100 * (score.high or 0):.2f}]" in text
        places.append(text.index(f"{label}codec", text.index("res/strict")))
    assert places == sorted(places)


def test_published_figures_are_marked_and_only_where_they_belong(report: ReportData) -> None:
    text = html.render(report)
    first, second = text.split('<section id="d1">')
    assert "published figures, not measured here" in first
    assert "83.33" in first
    assert "GeoPixel-ft" in first
    assert "published" not in second.split("<footer>")[0]


def test_long_leaderboards_are_grouped_by_family(long_report: ReportData, report: ReportData) -> None:
    page = Page(html.render(long_report))
    families = [value for tag, name, value in page.attributes if tag == "tr" and name == "class" and value == "family"]
    assert len(families) == 10 * 3  # overview and two data sets
    assert 'class="family"' not in html.render(report)


def test_matrix_of_many_systems_stays_readable(long_report: ReportData) -> None:
    text = Page(html.render(long_report)).text
    assert "12 of 80 systems are compared" in text


def test_empty_states_say_why(lonely_report: ReportData) -> None:
    text = Page(html.render(lonely_report)).text
    for words in (
        "One system only",
        "No gallery",
        "No answer to show",
        "No record of any data set was skipped",
        "Every answer could be read",
        "This run is not finished: 3 of 10 samples",
    ):
        assert words in text
    assert "nan" not in text.lower().split()


def test_a_picture_that_cannot_be_read_says_why(report: ReportData) -> None:
    from dataclasses import replace

    item = replace(report.datasets[0].gallery[0], jpeg=b"", why="a.jpg is cut off")
    block = replace(report.datasets[0], gallery=(item,))
    text = Page(html.render(replace(report, datasets=(block,)))).text
    assert "The picture cannot be shown: a.jpg is cut off" in text


def test_size_stays_bounded(long_report: ReportData) -> None:
    assert len(html.render(long_report)) < 1_500_000


def test_overview_tells_protocols_apart_and_ranks_ties_alike(report: ReportData) -> None:
    from dataclasses import replace

    from rsground.report.views import overview

    block = report.datasets[0]
    first = block.boards[0]
    flat = {label: {"gIoU": Score(1.0)} for label in reversed(first.rows)}
    other = replace(first, metric="res-lisa", rows=flat)
    found = overview(replace(report, datasets=(replace(block, boards=(first, other)),)))
    assert found is not None
    assert [column.title for column in found.table.columns[2:]] == ["res/strict gIoU", "res-lisa gIoU"]
    assert found.table.labels == first.ranking()
