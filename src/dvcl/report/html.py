"""One self-contained page: styles, script and pictures inside, opens offline and can be mailed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, NewType

from dvcl.files import write_text
from dvcl.report.figures import DPI
from dvcl.report.tables import TextTable

# HTML that one of the builders here made: everything in it is escaped.
Section = NewType("Section", str)

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def write_page(
    path: Path | str, title: str, sections: Iterable[Section], subtitle: str = ""
) -> None:
    """Write a page atomically.

    Args:
        path: The .html file.
        title: Heading of the page and of the browser's tab.
        sections: From the builders of this module, top to bottom.
        subtitle: One line below the title.
    """
    lead = f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else ""
    write_text(
        path,
        f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{_packaged("page.css")}</style>
</head>
<body>
<main>
<header><h1>{escape(title)}</h1>{lead}</header>
{chr(10).join(sections)}
</main>
<script>
{_packaged("page.js")}</script>
</body>
</html>
""",
    )


def heading(text: str, level: int = 2) -> Section:
    """A section heading, or one of level 3 within a section."""
    return Section(f"<h{level}>{escape(text)}</h{level}>")


def text(paragraphs: str) -> Section:
    """Plain text; an empty line starts a new paragraph."""
    parts = (part.strip() for part in paragraphs.split("\n\n"))
    return Section("\n".join(f"<p>{escape(part)}</p>" for part in parts if part))


def table(table: TextTable) -> Section:
    """A table with its caption: names to the left, numbers aligned, best values in bold."""
    first_mean = len(table.rows) - table.means
    more_names = range(1, table.names)  # the first are headings of their rows
    kinds = [' class="name"' if at in more_names else "" for at in range(len(table.columns))]
    head = "".join(
        f'<th scope="col"{kind}>{escape(column)}</th>'
        for kind, column in zip(kinds, table.columns, strict=True)
    )
    rows = []
    for index, (name, *cells) in enumerate(table.rows):
        values = (
            f"<b>{escape(cell)}</b>" if (index, column) in table.strong else escape(cell)
            for column, cell in enumerate(cells, start=1)
        )
        inner = f'<th scope="row">{escape(name)}</th>' + "".join(
            f"<td{kind}>{value}</td>" for kind, value in zip(kinds[1:], values, strict=True)
        )
        kind = ' class="means"' if index == first_mean else ""
        rows.append(f"<tr{kind}>{inner}</tr>")
    caption = f"<figcaption>{escape(table.caption)}</figcaption>" if table.caption else ""
    lines = "\n".join(rows)
    return Section(
        f'<figure class="table"><div class="scroll" tabindex="0"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{lines}\n</tbody>\n</table></div>{caption}</figure>"
    )


def chart(png: bytes | Path, caption: str) -> Section:
    """A picture of lines and letters on white, which dark pages show light on dark."""
    return _figure(png, caption, "chart")


def picture(png: bytes | Path, caption: str) -> Section:
    """A PNG picture, given as bytes or file, with a caption that also serves screen readers.

    It takes the page's width at most; a click shows every pixel of it, another one shrinks it.

    Raises:
        ValueError: When it is no PNG.
    """
    return _figure(png, caption, "picture")


def _figure(png: bytes | Path, caption: str, kind: str) -> Section:
    data = png if isinstance(png, bytes) else png.read_bytes()
    if not data.startswith(PNG_SIGNATURE):
        raise ValueError(f"not a PNG picture: it starts with {data[:8]!r}")
    # Letters in all figures have one size: a point of the figure is a point of the page.
    width = round(int.from_bytes(data[16:20]) * 96 / DPI)
    source = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
    return Section(
        f'<figure class="{kind}"><label class="zoom"><input type="checkbox" aria-label="Full size">'
        f'<img width="{width}" src="{source}" alt="{escape(caption)}"></label>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def settings(values: Mapping[str, Any], title: str = "Settings") -> Section:
    """Names and values, folded away until asked for; nested mappings become dotted names."""
    return folded(title, facts(values))


def facts(values: Mapping[str, Any]) -> Section:
    """Names and values below each other; nested mappings become dotted names."""
    rows = "\n".join(
        f"<dt>{escape(name)}</dt><dd>{escape(_shown(value))}</dd>"
        for name, value in _flat(values).items()
    )
    return Section(f"<dl>\n{rows}\n</dl>")


def folded(title: str, *sections: Section) -> Section:
    """Sections behind a line that opens them."""
    inner = "\n".join(sections)
    return Section(f"<details><summary>{escape(title)}</summary>\n{inner}\n</details>")


def _packaged(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat |= _flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return flat


def _shown(value: Any) -> str:
    """Text as it is, other values as in JSON; what JSON lacks (a path) by its own text."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
