"""The viewer's part of a page: the cases, and the scripts that show them when asked to."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from importlib import resources

from dvcl.report.html import Section
from dvcl.viewer.scene import Scene

FILES = resources.files(__package__)
# Up to two megabytes each: such a page can still be mailed.
MOST_SCENES = 6
ENGINE = "niivue/niivue.umd.js.gz"


def viewer(scenes: Sequence[Scene]) -> Section:
    """A viewer for a page, once at most; nothing where there is no case.

    Nothing is unpacked before a reader asks for it, so that the page opens at once. Without
    scripts or WebGL 2 it says so, and the pictures of the page remain.

    Args:
        scenes: To choose from; the first is shown first.
    """
    if not scenes:
        return Section("")
    cases = "\n".join(
        f'<script type="application/json" class="scene" data-title="{escape(scene.title)}">'
        f"{_json(scene)}</script>"
        for scene in scenes
    )
    engine = base64.b64encode(FILES.joinpath(ENGINE).read_bytes()).decode("ascii")
    return Section(
        f"<style>\n{_text('viewer.css')}</style>\n"
        '<figure class="viewer"><p class="start">Scripts are off: the pictures of this page show '
        "what there is to see.</p>\n"
        f"{cases}\n"
        f'<script type="text/plain" class="engine">{engine}</script>\n'
        f"<script>\n{_text('viewer.js')}</script></figure>"
    )


def _json(scene: Scene) -> str:
    """JSON in which nothing ends a script element."""
    return json.dumps(scene.content, separators=(",", ":")).replace("<", "\\u003c")


def _text(name: str) -> str:
    return FILES.joinpath(name).read_text(encoding="utf-8")
