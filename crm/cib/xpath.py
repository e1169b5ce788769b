"""XPath on a large tree, with bounded work: an event loop must not stand still for a query.

libxml2 joins the nodes that each step selects by looking each of them up among all the others, so
`//*//*` takes seconds where `//*` takes milliseconds. Responsible for selecting the same nodes with
work that grows with the tree, where the expression allows that; and for saying so where it does
not, before anything is evaluated. Not responsible for what is done with what is selected.

How: a path is cut into legs, at each `//`. What a leg selects anywhere is asked of libxml2 by
itself, which is one walk; that it stands inside of what the legs before have selected is looked up
here. Parents (`..`) at the end and alternatives (`|`) are joined here, too. Anything else is given
to libxml2 as it is, if the work it would make is within `MAX_WORK`; that is estimated from what
the parts select by themselves.

Source: XPath 1.0, section 2.5 (`//` stands for `/descendant-or-self::node()/`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from lxml import etree

from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError, error

MAX_WORK = 20_000_000
"""So many nodes may be looked at: some tens of milliseconds."""

MAX_CHARS = 20_000

FEW = 50
"""In so many elements is looked one by one; else what is found anywhere is sorted out."""

_FAR = re.compile(
    r"//|\b(?P<near>descendant(?:-or-self)?|ancestor(?:-or-self)?)\s*::"
    r"|\b(?:following|preceding)(?:-sibling)?\s*::"
)
_NAME = re.compile(r"\s*(?P<name>[\w.-]+|\*)")
_PLAIN = re.compile(r"(?!\.\.?\Z)[\w.-]+")
_PLAIN_NAME = re.compile(r"(?!\.\.?\Z)[\w.-]+|\*")
_SIMPLE = re.compile(
    r"//([\w-]+|\*)(\[@[\w-]+(='[^']*'|=\"[^\"]*\")?\])*(/([\w-]+|\*)(\[@[\w-]+(='[^']*'|=\"[^\"]*\")?\])*)*"
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class TooMuchWork(ConfigurationError):
    """An XPath would take too long; `problems` says how to ask otherwise."""


def evaluate(root: etree._Element, expression: str) -> list[etree._Element]:
    """Select elements, in the order of the document; attributes and text stand for theirs.

    Raises: XPathError if the expression is malformed; TooMuchWork.
    """
    if len(expression) > MAX_CHARS:
        raise etree.XPathEvalError(f"an XPath of more than {MAX_CHARS} characters")
    masked = _QUOTED.sub(lambda found: "_" * len(found.group()), expression)
    alternatives = list(_cut(expression, masked, "|"))
    tree = _Tree(root)
    if len(alternatives) == 1:
        return tree.path(*alternatives[0])
    chosen = {element for text, mask in alternatives for element in tree.path(text, mask)}
    return tree.in_order(chosen)


def _cut(text: str, masked: str, separator: str) -> Iterator[tuple[str, str]]:
    """Cut a text where a separator stands outside of brackets and quotes; with its mask."""
    depth = begin = place = 0
    while place < len(masked):
        if depth == 0 and masked.startswith(separator, place):
            yield text[begin:place], masked[begin:place]
            place += len(separator)
            begin = place
            continue
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(masked[place], 0)
        place += 1
    yield text[begin:], masked[begin:]


def _elements(found: object) -> list[etree._Element]:
    """Take what libxml2 selected, as elements, each once."""
    if not isinstance(found, list):
        return []
    chosen: dict[etree._Element, None] = {}
    for item in found:
        if isinstance(item, tuple):
            continue  # a namespace, which belongs to no element
        # Any: attributes and text come as strings that know where they stand.
        element: Any = item if isinstance(item, etree._Element) else item.getparent()
        if element is not None and isinstance(element.tag, str):
            chosen[cast("etree._Element", element)] = None
    return list(chosen)


@dataclass(frozen=True, slots=True)
class _Condition:
    """A predicate: where its bracket opens, and the name of the elements it tests (or `*`)."""

    begin: int
    about: str


@dataclass(slots=True)
class _Tree:
    """One tree that is asked, and what is known of it."""

    root: etree._Element
    _counts: dict[str, int] = field(default_factory=dict)

    def path(self, text: str, masked: str) -> list[etree._Element]:
        """Select by one path, or by anything else that stands alone."""
        text, masked = text.strip(), masked.strip()
        if masked.startswith("/") and "::" not in masked:
            legs = list(_cut(text, masked, "//"))
            ups = 0
            while legs[-1][0].endswith("/.."):
                legs[-1] = legs[-1][0][:-3], legs[-1][1][:-3]
                ups += 1
            if (ups or len(legs) > 2) and _are_plain([mask for _, mask in legs], ups):
                return self._parents(self._by_legs(legs), ups)
        self._refuse_work(text, masked)
        return _elements(self._ask(text))

    def _ask(self, text: str, below: etree._Element | None = None) -> object:
        try:
            if below is not None:
                quick = hastened("//" + text)
                return below.xpath(quick[1:] if quick[1] == "d" else "." + quick)
            return self.root.getroottree().xpath(hastened(text))
        except ValueError as problem:  # a character that no XML has
            raise etree.XPathEvalError(str(problem)) from problem

    def in_order(self, chosen: set[etree._Element]) -> list[etree._Element]:
        """Put elements into the order of the document."""
        if len(chosen) < 2:
            return list(chosen)
        return [element for element in self.root.iter(etree.Element) if element in chosen]

    def _by_legs(self, legs: list[tuple[str, str]]) -> list[etree._Element]:
        """Select leg by leg; the first begins at the root, each other one somewhere below."""
        selected: list[etree._Element] | None = None
        for number, (leg, mask) in enumerate(legs):
            if not leg and number == 0:
                continue
            if selected is not None and len(selected) <= FEW:
                selected = self._below(selected, leg, mask)
                continue
            text = "//" + leg if number else leg
            self._refuse_work(text, "//" + mask if number else mask)
            found = _elements(self._ask(text))
            selected = found if selected is None else _inside(found, mask, set(selected))
        return selected or []

    def _below(self, holders: list[etree._Element], leg: str, mask: str) -> list[etree._Element]:
        """Select inside of a few elements; of two in each other the outer one has all."""
        self._refuse_work("//" + leg, "//" + mask)
        chosen = set(holders)
        outermost = [each for each in holders if chosen.isdisjoint(each.iterancestors())]
        if not outermost:
            self._ask("//" + leg)  # it may be malformed
        return [each for holder in outermost for each in _elements(self._ask(leg, holder))]

    def _parents(self, selected: list[etree._Element], ups: int) -> list[etree._Element]:
        if not ups:
            return selected
        chosen = set(selected)
        for _ in range(ups):
            above = (element.getparent() for element in chosen)
            chosen = {element for element in above if element is not None}
        return self.in_order(chosen)

    # --- how much work it is ----------------------------------------------------------------

    def _refuse_work(self, text: str, masked: str) -> None:
        far = list(_FAR.finditer(masked))
        conditions = list(_conditions_around(masked, [found.start() for found in far]))
        if len(far) < 2 and not any(conditions):
            return
        if self._work(masked, far, conditions) > MAX_WORK:
            message = f"'{text[:200]}' would look at too much of the CIB"
            hint = (
                "say what is wanted by name or id instead of '*', and with one '//':"
                " //primitive[@id='db']/operations/op"
            )
            raise TooMuchWork(message, [error("xpath-too-costly", "xpath", message, hint)])

    def _work(
        self, masked: str, far: list[re.Match[str]], conditions: list[_Condition | None]
    ) -> int:
        """Estimate how many nodes libxml2 looks at, from above; not beyond what is too much."""
        everything = self._count("*")
        work, known = everything, 1
        inner = 0
        group: _Condition | None = None
        for found, condition in zip(far, conditions, strict=True):
            if work > MAX_WORK:
                break
            start = found.start()
            if condition is None:
                here = self._count(_name_after(masked, found.end()))
                work += known * here
                known = here
                continue
            if condition != group:
                group = condition
                tested = self._count(condition.about)
                is_near = found["near"] is not None or masked[start - 1] not in "[( ,=!<>+-*|"
                seen = tested * everything
                if is_near:
                    seen = min(seen, everything * xml.ORDINARY.depth)
                inner = seen
            else:
                inner *= everything
            work += inner
        return work

    def _count(self, name: str) -> int:
        known = self._counts.get(name)
        if known is None:
            counted = cast("float", self.root.getroottree().xpath(f"count(//{name})"))
            known = self._counts[name] = int(counted)
        return known


def hastened(xpath: str) -> str:
    """Write an XPath that begins with `//` so that no list of all nodes is made for it.

    `//a[1]` is not `/descendant::a[1]`, so this is for predicates about attributes only.
    """
    return f"/descendant::{xpath[2:]}" if _SIMPLE.fullmatch(xpath) else xpath


def _are_plain(legs: list[str], ups: int) -> bool:
    """Tell whether legs are nothing but names with conditions.

    An attribute may end the last one: below it and above it is something else than of an element.
    """
    first, *others = legs
    body, separator, end = legs[-1].rpartition("/")
    if separator and end.startswith("@") and not ups:
        others = [*others[:-1], f"{body}/{end[1:]}"]
    whole = [first.removeprefix("/"), *others] if first else others
    steps = [step for leg in whole for step, _ in _cut(leg, leg, "/")]
    return all(map(_is_plain_step, steps))


def _is_plain_step(step: str) -> bool:
    """Tell whether a step is a name with conditions: nothing stands between or behind these.

    `a[@x]=` is not, nor `a[@x]and`: there an operator follows, and what is selected is compared.
    """
    name = _PLAIN_NAME.match(step)
    rest = "" if name is None else step[name.end() :]
    depth = 0
    for sign in rest:
        if depth == 0 and sign != "[":
            return False
        depth += {"[": 1, "]": -1}.get(sign, 0)
    return name is not None and depth == 0


def _inside(
    selected: Iterable[etree._Element], mask: str, holders: set[etree._Element]
) -> list[etree._Element]:
    """Keep what a leg has selected that begins below one of the holders."""
    steps = sum(1 for _ in _cut(mask, mask, "/")) - 1
    if mask.rpartition("/")[2].startswith("@"):
        steps -= 1  # its element is what was selected
    known: dict[etree._Element, bool] = {}
    kept = []
    for element in selected:
        begin: etree._Element | None = element
        for _ in range(steps):
            begin = None if begin is None else begin.getparent()
        above = None if begin is None else begin.getparent()
        if above is not None and _is_within(above, holders, known):
            kept.append(element)
    return kept


def _is_within(
    element: etree._Element, holders: set[etree._Element], known: dict[etree._Element, bool]
) -> bool:
    """Tell whether an element is a holder or stands in one; each is looked at once."""
    passed = []
    step: etree._Element | None = element
    answer = False
    while step is not None:
        if step in known:
            answer = known[step]
            break
        passed.append(step)
        if step in holders:
            answer = True
            break
        step = step.getparent()
    known.update(dict.fromkeys(passed, answer))
    return answer


def _conditions_around(masked: str, places: list[int]) -> Iterator[_Condition | None]:
    """Find the outermost condition around each of some ascending places, in one pass."""
    depth = begin = step = 0
    about = ""
    outermost: _Condition | None = None
    for place in places:
        for at in range(begin, place):
            sign = masked[at]
            if sign == "[":
                if depth == 0:
                    about = about or masked[step:at].strip()
                    outermost = _Condition(at, about if _PLAIN.fullmatch(about) else "*")
                depth += 1
            elif sign == "]":
                depth -= 1
            elif depth == 0 and sign in "/:@":
                step, about = at + 1, ""
            elif depth == 0 and about and not sign.isspace():
                about = "*"  # something else has begun, which is no step
        begin = place
        yield outermost if depth > 0 else None


def _name_after(masked: str, place: int) -> str:
    found = _NAME.match(masked, place)
    is_call = found is not None and masked[found.end() :].lstrip().startswith(("(", ":"))
    return "*" if found is None or is_call else found["name"]
