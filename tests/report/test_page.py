import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import Markup

from sequnet_pl.errors import UserError
from sequnet_pl.report import page

NASTY = "</script><img src=x onerror=\"alert('1')\">&amp;"


class Content(HTMLParser):
    """Tags, attributes and text that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize(
    "part",
    [
        page.heading(NASTY),
        page.paragraph(NASTY),
        page.note(NASTY),
        page.warning(NASTY),
        page.badge(NASTY, NASTY),
        page.link("#here", NASTY),
        page.file_name(NASTY),
        page.table([NASTY], [[NASTY]], NASTY),
        page.explained(NASTY, NASTY),
        page.columns([page.paragraph(NASTY)]),
        page.facts([(NASTY, NASTY)]),
        page.command(NASTY),
        page.more(NASTY, [page.paragraph(NASTY)]),
        page.card([page.paragraph(NASTY)]),
        page.pairs([[page.paragraph(NASTY)]]),
    ],
)
def test_text_stays_text(part: Markup) -> None:
    content = Content(part)
    assert "onerror" not in dict(content.attributes) and "script" not in content.tags
    assert NASTY in "".join(content.texts)


def test_page_is_whole_and_asks_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run" / "report.html"
    page.write_page(path, NASTY, [page.heading("Curves"), page.warning("odd")])
    text = path.read_text(encoding="utf-8")
    content = Content(text)
    assert content.tags[:2] == ["html", "head"] and content.tags.count("h1") == 1 and "link" in content.tags
    assert ("name", "viewport") in content.attributes
    assert "".join(content.texts).count(NASTY) == 2  # in the title and the heading
    fetched = [value for name, value in content.attributes if name in ("src", "href") and value]
    assert all(value.startswith(("data:", "#")) for value in fetched)
    assert not re.search(r"@import|url\(\s*['\"]?http", text)
    assert list(path.parent.iterdir()) == [path]


def test_page_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot make"):
        page.write_page(tmp_path / "file" / "index.html", "clips", [])


def test_names_that_are_not_utf8_do_not_stop_the_page(tmp_path: Path) -> None:
    page.write_page(tmp_path / "index.html", "\udcff.wav", [page.paragraph("\udcff")])
    assert "\\udcff.wav" in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("a/clip.wav", "clip.wav"),
        ("b/1 #2?%.wav", "../b/1%20%232%3F%25.wav"),
        ("a/c:d.wav", "c%3Ad.wav"),
        ("a/\udcff.wav", "%FF.wav"),
    ],
)
def test_addresses_are_relative_and_quoted(target: str, address: str) -> None:
    assert page.relative_address(Path(target), Path("a/index.html")) == address


def test_tables_align_numbers_right() -> None:
    table = page.table(
        ["name", "bits", "left"], [["a", "1.25", ""], ["b", "–", "2"], ["c", "1,000", ""], ["d", "5 %", ""]]
    )
    assert table.count('class="number"') == 5
    assert "<th>name</th>" in table and '<th class="number">bits</th>' in table and "<th>left</th>" in table


def test_numbers_may_have_an_error_or_a_remark() -> None:
    table = page.table(["a", "b", "c"], [["1.2 ± 0.1", "3 (1 without)", "3 clips"], ["–", "– (4 without)", "4 clips"]])
    assert table.count('class="number"') == 6 and "<th>c</th>" in table


def test_tables_may_be_empty() -> None:
    assert "<th" in page.table(["name"], [])


def test_pages_link_each_other_but_not_themselves(tmp_path: Path) -> None:
    path = tmp_path / "run" / "test.html"
    page.write_page(path, "test", [], [("report", path.with_name("report.html")), ("test", path)])
    assert re.findall(r"<nav.*?</nav>", path.read_text(encoding="utf-8")) == [
        '<nav aria-label="pages"><a href="report.html">report</a></nav>'
    ]


def test_command_is_copied_as_it_is() -> None:
    text = "python sample.py  --prompt 'my  file.wav' --seed 1"
    assert "".join(Content(page.command(text)).texts) == text + "Copy"
