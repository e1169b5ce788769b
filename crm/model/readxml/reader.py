"""What all readers of a CIB share: the problems found so far, references by id, safe values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from lxml import etree

from crm.model import options
from crm.model.score import Score
from crm.plumbing import errors
from crm.plumbing.errors import Problem

Value = TypeVar("Value")


class Reader:
    """Collects problems while a document is read, and finds what `id-ref` points at."""

    def __init__(self, root: etree._Element) -> None:
        self.root = root
        self.problems: list[Problem] = []
        self._by_id: dict[str, etree._Element] | None = None

    def complain(self, code: str, subject: str, message: str, hint: str = "") -> None:
        """Note something that is left out of what was read."""
        self.problems.append(errors.warning(code, subject, message, hint))

    def resolve(self, element: etree._Element) -> etree._Element | None:
        """Follow `id-ref` to the element of the same tag that it names."""
        reference = element.get("id-ref")
        if reference is None:
            return element
        if self._by_id is None:
            self._by_id = {}
            for found in self.root.iter():
                if isinstance(found.tag, str) and (key := found.get("id")):
                    self._by_id.setdefault(f"{found.tag}\n{key}", found)
        target = self._by_id.get(f"{element.tag}\n{reference}")
        if target is None:
            self.complain(
                "dangling-reference", reference, f"no {element.tag} has the id '{reference}'"
            )
        return target

    def value(self, text: str, subject: str, read: Callable[[str], Value], default: Value) -> Value:
        """Read one value, or complain and give the default."""
        try:
            return read(text)
        except ValueError as problem:
            self.complain("bad-value", subject, f"{subject}: {problem}")
            return default

    def score(self, element: etree._Element, default: Score, name: str = "score") -> Score:
        """Read a score attribute."""
        text = element.get(name)
        if text is None:
            return default
        return self.value(text, element.get("id", str(element.tag)), options.as_score, default)

    def boolean(self, element: etree._Element, name: str, default: bool) -> bool:
        """Read a boolean attribute."""
        text = element.get(name)
        if text is None:
            return default
        return self.value(text, element.get("id", str(element.tag)), options.as_bool, default)


def children(element: etree._Element | None, *tags: str) -> Iterator[etree._Element]:
    """Walk over the child elements with one of the tags (all of them without tags)."""
    if element is None:
        return
    for child in element:
        if isinstance(child.tag, str) and (not tags or child.tag in tags):
            yield child
