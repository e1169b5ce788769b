"""The grammar of the CIB explains itself: no element, attribute or definition without a text."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "schemas" / "cib").rglob("*.rng"))
RNG = "{http://relaxng.org/ns/structure/1.0}"
TEXT = "{http://relaxng.org/ns/compatibility/annotations/1.0}documentation"


def text_of(pattern: etree._Element) -> str:
    return " ".join((pattern.findtext(TEXT) or "").split())


def place_of(pattern: etree._Element) -> str:
    owners = [each.get("name") for each in pattern.iterancestors() if each.get("name")]
    return "/".join([*reversed(owners), pattern.get("name", "")])


def takes_away(define: etree._Element) -> bool:
    """Definitions of a later grammar that only withdraw something need no text."""
    return [child.tag for child in define] in ([f"{RNG}notAllowed"], [f"{RNG}empty"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_element_and_attribute_has_a_text(path: Path) -> None:
    root = etree.parse(path).getroot()
    named = [each for each in root.iter(f"{RNG}element", f"{RNG}attribute") if each.get("name")]

    silent = [place_of(each) for each in named if len(text_of(each).split()) < 2]
    unfinished = [place_of(each) for each in named if not text_of(each).endswith(".")]

    assert text_of(root) != ""
    assert silent == []
    assert unfinished == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_definition_of_no_element_says_what_it_is(path: Path) -> None:
    root = etree.parse(path).getroot()

    silent = [
        define.get("name")
        for define in root.iter(f"{RNG}define")
        if define.find(f"{RNG}element") is None and not text_of(define) and not takes_away(define)
    ]

    assert silent == []


def test_every_file_is_reached_from_a_grammar() -> None:
    reached = {path for path in FILES if path.name == "cib.rng"}
    pending = list(reached)
    while pending:
        path = pending.pop()
        for include in etree.parse(path).getroot().iter(f"{RNG}include"):
            target = (path.parent / include.get("href", "")).resolve()
            if target not in reached:
                reached.add(target)
                pending.append(target)

    assert sorted(reached) == FILES
