"""Parts of a page and the page itself: one HTML file that needs nothing beside it and asks nothing of the network.

A part is a `Markup` string: HTML that is safe as it is. Plain strings given to the functions here are text and are
escaped, so file names and commands may hold anything; a `Markup` given in their place is taken as HTML.
"""

import base64
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from sequnet_pl.atomic import write_text
from sequnet_pl.report.script import SCRIPT
from sequnet_pl.report.style import STYLE

_PAGE = Markup("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{links}{body}
</main>
<script>{script}</script>
</body>
</html>
""")


def write_page(path: Path, title: str, parts: Iterable[Markup], links: Iterable[tuple[str, Path]] = ()) -> None:
    """Write the parts, one below the other under the title, as one HTML file. Raises UserError where that fails.

    `links` are other pages, by what they are called; one to the page itself is left out.
    """
    body = Markup("\n").join(parts)
    places = Markup(" ").join(
        link(relative_address(target, path), name) for name, target in links if target.resolve() != path.resolve()
    )
    nav = Markup('<nav aria-label="pages">{}</nav>\n').format(places) if places else ""
    page = _PAGE.format(title=title, links=nav, body=body, style=Markup(STYLE), script=Markup(SCRIPT))
    write_text(path, page)


def heading(text: str) -> Markup:
    """A heading below the title of the page."""
    return Markup("<h2>{}</h2>").format(text)


def paragraph(text: str) -> Markup:
    return Markup("<p>{}</p>").format(text)


def note(text: str) -> Markup:
    """A line that explains, set apart from the rest."""
    return Markup('<p class="note">{}</p>').format(text)


def warning(text: str) -> Markup:
    """A line that nobody should overlook."""
    return Markup('<p class="warning" role="alert">{}</p>').format(text)


def badge(text: str, meaning: str = "", warns: bool = False) -> Markup:
    """A word in a small frame; `meaning` shows when it is pointed at."""
    kind = "badge warns" if warns else "badge"
    return Markup('<span class="{}" title="{}">{}</span>').format(kind, meaning, text)


def link(target: str, text: str) -> Markup:
    """A link to an address, which must be quoted already (`relative_address`)."""
    return Markup('<a href="{}">{}</a>').format(target, text)


def relative_address(target: Path, page: Path) -> str:
    """The address of a file as seen from the page that links it; any file name is quoted rightly."""
    return quote(os.fsencode(Path(os.path.relpath(target, page.parent)).as_posix()))


def file_name(text: str) -> Markup:
    """A file name that may break after an underscore, where browsers see one long word."""
    return Markup("_<wbr>").join(text.split("_"))


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> Markup:
    """A table of text, numbers (format them first where digits matter) and `Markup` cells.

    A column of numbers is aligned right, with a "± 0.1" or "(remark)" behind them; "–" stands for a missing one. The
    table scrolls sideways on a narrow screen.
    """
    lines = [list(row) for row in rows]
    right = [all(_is_number(row[column]) for row in lines) for column in range(len(header))]
    head = _row("th", header, right)
    body = Markup("\n").join(_row("td", row, right) for row in lines)
    title = Markup("<caption>{}</caption>").format(caption) if caption else Markup()
    return Markup('<div class="scroll"><table>{}<thead>{}</thead>\n<tbody>\n{}</tbody></table></div>').format(
        title, head, body
    )


def _row(tag: str, cells: Sequence[object], right: Sequence[bool]) -> Markup:
    cell = {False: Markup(f"<{tag}>{{}}</{tag}>"), True: Markup(f'<{tag} class="number">{{}}</{tag}>')}
    return Markup("<tr>{}</tr>").format(
        Markup().join(cell[number].format(value) for value, number in zip(cells, right, strict=True))
    )


def _is_number(value: object) -> bool:
    try:
        number, _, rest = str(value).partition(" ")
        return rest[:1] in ("", "±", "(", "%") and (number == "–" or bool(float(number.replace(",", "")) or True))
    except ValueError:
        return False


def explained(name: str, meaning: str) -> Markup:
    """A name for the first column of a table, with what it means below it."""
    return Markup("{}<br><small>{}</small>").format(name, meaning)


def columns(parts: Iterable[Markup]) -> Markup:
    """Parts side by side where there is room, else one below the other."""
    return Markup('<div class="columns">{}</div>').format(Markup("\n").join(parts))


def pairs(rows: Iterable[Iterable[Markup]]) -> Markup:
    """Cards, each of parts side by side, in a grid."""
    return Markup('<div class="pairs">{}</div>').format(Markup("\n").join(card([columns(row)]) for row in rows))


def facts(pairs: Iterable[tuple[str, object]]) -> Markup:
    """Names with their values, side by side as the width allows."""
    items = Markup().join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, value) for name, value in pairs)
    return Markup('<dl class="facts">{}</dl>').format(items)


def command(text: str) -> Markup:
    """A command line with a button that copies it; it breaks between words only, never inside "--option"."""
    words = Markup(" ").join(Markup("<span>{}</span>").format(word) for word in text.split(" "))
    return Markup(
        '<div class="command"><pre><code>{}</code></pre><button type="button" data-copy>Copy</button></div>'
    ).format(words)


def more(summary: str, parts: Iterable[Markup]) -> Markup:
    """Parts that stay folded until their summary is tapped."""
    body = Markup("\n").join(parts)
    return Markup("<details><summary>{}</summary>\n{}\n</details>").format(summary, body)


def card(parts: Iterable[Markup]) -> Markup:
    """Parts that belong together, in a frame."""
    return Markup('<section class="card">\n{}\n</section>').format(Markup("\n").join(parts))


def data_address(data: bytes, kind: str) -> str:
    """The bytes themselves as an address (data: URI)."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
