"""The page: self-contained, escaped, and complete."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from dvcl.report import html
from dvcl.report.figures import png_bytes
from dvcl.report.tables import TextTable

NASTY = '<script>alert("x")</script> & more'


class Outline(HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in {"meta", "img", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def page(tmp_path: Path, *sections: html.Section, title: str = "Report") -> Outline:
    html.write_page(tmp_path / "page.html", title, sections, subtitle=NASTY)
    return Outline((tmp_path / "page.html").read_text(encoding="utf-8"))


@pytest.fixture
def png():
    figure = Figure((1, 1))
    figure.subplots()
    return png_bytes(figure)


def test_everything_is_escaped(tmp_path, png):
    outline = page(
        tmp_path,
        html.heading(NASTY),
        html.text(NASTY),
        html.table(TextTable((NASTY, NASTY), ((NASTY, NASTY),), NASTY, frozenset({(0, 1)}))),
        html.picture(png, NASTY),
        html.settings({NASTY: NASTY}, NASTY),
        html.facts({NASTY: NASTY}),
        html.heading(NASTY, level=3),
        title=NASTY,
    )
    assert outline.tags.count("script") == 1, "the page's own"
    assert outline.words.count(NASTY) == 17
    assert ("alt", NASTY) in outline.attributes


def test_columns_of_words_stand_to_the_left_and_those_of_numbers_do_not(tmp_path):
    table = TextTable(("Part", "Purpose", "Scans"), (("test", "only scored", "3"),), names=2)
    outline = page(tmp_path, html.table(table))
    assert outline.attributes.count(("class", "name")) == 2
    shown = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<td class="name">only scored</td><td>3</td>' in shown


def test_nothing_is_loaded_from_elsewhere(tmp_path, png):
    page(tmp_path, html.picture(png, "A picture"))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|@import|url\(|<link|<script ", text)


def test_pictures_are_inside_whole(tmp_path, png):
    (tmp_path / "a.png").write_bytes(png)
    outline = page(tmp_path, html.picture(png, "bytes"), html.picture(tmp_path / "a.png", "file"))
    sources = [value for name, value in outline.attributes if name == "src"]
    assert [base64.b64decode(source.split(",")[1]) for source in sources] == [png, png]
    assert ("width", "96") in outline.attributes, "an inch of the figure is an inch of the page"


def test_other_pictures_are_refused():
    with pytest.raises(ValueError, match="not a PNG"):
        html.picture(b"GIF89a", "A picture")


def test_paragraphs(tmp_path):
    outline = page(tmp_path, html.text("One\nline.\n\nTwo.\n\n"))
    assert outline.tags.count("p") == 2 + 1, "two paragraphs and the subtitle"


def test_table_stresses_the_best_and_rules_off_the_means():
    table = TextTable(("Organ", "a"), (("liver", "1.00"), ("Mean", "1.00")), "", {(0, 1)}, 1)
    section = html.table(table)
    assert '<tr><th scope="row">liver</th><td><b>1.00</b></td></tr>' in section
    assert '<tr class="means"><th scope="row">Mean</th><td>1.00</td></tr>' in section
    assert "figcaption" not in section


def test_folded_sections_wait_behind_a_line():
    section = html.folded("a & b", html.text("Inside."))
    assert section.startswith("<details><summary>a &amp; b</summary>")
    assert "<p>Inside.</p>" in section


def test_settings_are_folded_and_flat(tmp_path):
    values = {"seed": 0, "training": {"rate": 0.01, "amp": True, "patch": [64, 128]}, "empty": {}}
    outline = page(tmp_path, html.settings(values | {"path": Path("a/b"), "name": "Müller"}))
    assert "details" in outline.tags
    for shown in ("training.rate", "0.01", "true", "[64, 128]", "{}", '"a/b"', "Müller"):
        assert shown in outline.words
