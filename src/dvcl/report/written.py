"""A document of paragraphs and tables, written as Markdown and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dvcl.files import write_text
from dvcl.report import html
from dvcl.report.tables import TextTable, to_markdown


@dataclass(frozen=True)
class Chapter:
    """A heading and what stands below it, paragraphs and tables."""

    title: str
    parts: tuple[str | TextTable, ...]


def write_document(path: Path, title: str, chapters: Sequence[Chapter]) -> Path:
    """Write ``path`` (.md) and the same as a page (.html) beside it, atomically.

    Returns:
        The page.
    """
    write_text(path, _markdown(title, chapters))
    page = path.with_suffix(".html")
    sections = [section for chapter in chapters for section in _sections(chapter)]
    html.write_page(page, title, sections)
    return page


def _markdown(title: str, chapters: Sequence[Chapter]) -> str:
    parts = [f"# {title}"]
    for chapter in chapters:
        parts.append(f"## {chapter.title}")
        parts += [
            part if isinstance(part, str) else to_markdown(part).strip() for part in chapter.parts
        ]
    return "\n\n".join(parts) + "\n"


def _sections(chapter: Chapter) -> list[html.Section]:
    return [
        html.heading(chapter.title),
        *(html.text(part) if isinstance(part, str) else html.table(part) for part in chapter.parts),
    ]
