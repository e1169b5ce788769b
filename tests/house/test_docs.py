"""The manual: what it points at exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/**/*.md")])
_LINK = re.compile(r"\[[^\]]+\]\(([^)#:]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"`((?:crm|pengine|lrmd|messaging|cli|tests|docs|schemas|bench)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lost = [link for link in _LINK.findall(text) if not (page.parent / link).exists()]
    lost += [
        path
        for path in _PATH.findall(text)
        if not (TOP / path).exists() and not (TOP / f"{path}.py").exists()
    ]
    assert lost == []


def test_decisions_have_numbers_of_their_own_and_say_them() -> None:
    pages = sorted((TOP / "docs/decisions").glob("[0-9]*.md"))
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)
    for page in pages:
        first = page.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(f"# {page.name[:4]}"), page.name


def test_the_glossary_is_sorted() -> None:
    rows = (TOP / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
    words = [row.split("|")[1].strip().lower() for row in rows if row.startswith("| ")][1:]
    assert words == sorted(words)


def test_every_daemon_and_tool_has_an_entry_point_that_exists() -> None:
    scripts = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["scripts"]
    for name, entry in scripts.items():
        module, function = entry.split(":")
        source = TOP / (module.replace(".", "/") + ".py")
        assert source.is_file(), name
        assert re.search(rf"^def {function}\(", source.read_text(encoding="utf-8"), re.M), name
