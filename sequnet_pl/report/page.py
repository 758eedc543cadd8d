"""Pages: jinja2 templates with styles, scripts and charts written into each file, so that a page needs nothing else."""

import base64
import os
from collections.abc import Iterable
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sequnet_pl import atomic


@cache
def _static(name: str) -> Markup:
    return Markup((files("sequnet_pl.report") / "static" / name).read_text(encoding="utf-8"))


@cache
def _bokeh() -> Markup:
    """BokehJS and its plotting interface, as the installed package has them."""
    folder = files("bokeh") / "server" / "static" / "js"
    names = ("bokeh.min.js", "bokeh-api.min.js")
    return Markup("\n").join(Markup((folder / name).read_text(encoding="utf-8")) for name in names)


def data_uri(data: bytes, kind: str) -> str:
    """The bytes themselves as an address."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _relative_url(folder: Path, target: Path) -> str:
    """The address of a file on a page in a folder; any file name is quoted."""
    return quote(os.fsencode(Path(os.path.relpath(target, folder)).as_posix()))


def duration(hours: float | None) -> str:
    """Hours, or minutes below one hour; "–" for None."""
    return "–" if hours is None else f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with fixed digits after the point; "–" for None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(share: float | None) -> str:
    """A share in percent; "–" for None."""
    return "–" if share is None else f"{100 * share:.2f} %"


def receptive_field(samples: int | None, rate: int) -> str:
    """Return a receptive field in samples and in seconds at `rate` Hz; None is unbounded."""
    return "unbounded" if samples is None else f"{samples:,} samples, {samples / rate:.3g} s"


@cache
def _environment() -> Environment:
    loader = PackageLoader("sequnet_pl.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"static": _static, "bokeh": _bokeh}
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters["fixed"] = fixed
    return environment


def write_page(path: Path, template: str, title: str, links: Iterable[tuple[str, Path]] = (), **values: Any) -> None:
    """Render a template to one HTML file. Raises UserError if it cannot be written.

    Args:
        path: The page.
        template: File name in templates/.
        title: Heading and title.
        links: Other pages by name; a link to the page itself is left out.
        values: Variables of the template, which also has `url`, the relative address of a file.
    """
    others = [(name, target) for name, target in links if target.resolve() != path.resolve()]
    url = partial(_relative_url, path.parent)
    atomic.write_text(path, _environment().get_template(template).render(title=title, links=others, url=url, **values))
