# SPDX-License-Identifier: Apache-2.0
"""The site: its pages read the same on GitHub, and nothing of it comes from another host. `make check` builds it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import markdown
import pytest
import yaml
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


class Structure(HTMLParser):
    """Tags and texts of a page, in their order. A paragraph in an item of a list may have its tag or not."""

    TAGS = ("li", "ul", "ol", "pre", "table", "tr", "td", "th", "h1", "h2", "h3", "h4", "code", "a", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in self.TAGS:
            self.found.append(f"<{tag}>")

    def handle_data(self, data: str) -> None:
        self.found += data.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_reads_the_same_on_github(page: Path) -> None:
    """By CommonMark, a list in a list begins where its text does; by Python-Markdown, after four blanks."""
    text = page.read_text(encoding="utf-8")
    there = Structure(MarkdownIt("commonmark").enable("table").render(text))
    here = Structure(markdown.markdown(text, extensions=["tables", "fenced_code"]))
    assert here.found == there.found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return directory


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """Once; that each entry is a page, a strict build holds."""

    def files(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for each in entry.values() if isinstance(entry, dict) else entry:
                yield from files(each)

    assert sorted(files(CONFIG["nav"])) == [page.name for page in PAGES]
    assert all((site / page.with_suffix(".html").name).is_file() for page in PAGES)


def test_the_site_loads_nothing_from_other_hosts(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert (
            re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(?:https?:)?//[^>]*", text) == []
        )
        assert str(ROOT) not in text
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8"))
