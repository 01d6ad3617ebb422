"""The demo's page: self-contained, readable, honest."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from demo.test_report import report, table
from holdfast_local.demo import page
from holdfast_local.demo.report import Check, Table
from holdfast_local.demo.timeline import Step

CSS = Path(page.__file__).with_name("page.css").read_text()
TEXT_COLOURS = ("ink", "quiet", "good", "bad")
VOID = {"meta", "br"}


class Outline(HTMLParser):
    """Check that elements close in order, and remember what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def rendered(*tables: Table) -> str:
    made = report(*tables, checks=(Check("The schema is the same", True, "393 lines"),))
    made.steps = [Step("Restore <and> prove", 1.0, 20.0, 1000, "shop", [("Load the rows (4)", 2.0, 5.0)])]
    made.seconds = 30
    return page.render(made)


def test_the_page_is_well_formed_and_accessible() -> None:
    outline = Outline()
    outline.feed(rendered(table()))

    assert outline.open == []
    assert ("html", {"lang": "en"}) in outline.seen
    tables = [attributes for tag, attributes in outline.seen if tag == "table"]
    assert len([tag for tag, _ in outline.seen if tag == "caption"]) == len(tables) == 2
    assert all("scope" in attributes for tag, attributes in outline.seen if tag == "th")


def test_the_page_needs_no_other_file_and_no_script() -> None:
    html = rendered(table())

    assert not re.search(r"<script|<link|<img|src=|href=|url\(|@import|https?:", html)


def test_names_cannot_become_markup() -> None:
    html = rendered(Table("public.<b>", {"source": 1}, {"source": "<i>"}, {"source": None}))

    assert "<b>" not in html
    assert "<i>" not in html
    assert "Restore &lt;and&gt; prove" in html


def test_a_difference_is_told_in_words_and_values() -> None:
    html = rendered(table(), table(digest={"restored": "bb"}))

    assert "Not proven" in html
    assert "✘ differs" in html
    assert "aa<br>aa<br>bb" in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", TEXT_COLOURS)
def test_text_can_be_read_on_paper(scheme: str, name: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#\w{6})", blocks[scheme == "dark"]))

    assert contrast(colours[name], colours["paper"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours as WCAG 2 defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
