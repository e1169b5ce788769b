"""The RELAX NG grammar of the CIB as a table: per element its attributes, values and children.

A validator says that a document is wrong, in words about patterns. This table is made from the
same grammar files and says in words about objects what is wrong, and what was likely meant. It is
coarser than the grammar (an element has one entry wherever it stands), so it explains errors; it
never finds that something is right.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from lxml import etree

from crm.model import options
from crm.plumbing import errors
from crm.plumbing.errors import Problem

_RNG = "{http://relaxng.org/ns/structure/1.0}"
_NCNAME = re.compile(r"[^\W\d][\w.\-·]*\Z")
_INTEGER = re.compile(r"[+-]?\d+\Z")
_COUNT = re.compile(r"\+?\d+\Z|-0+\Z")
_PATTERN = "pattern:"
_ANNOTATION = "{http://relaxng.org/ns/compatibility/annotations/1.0}documentation"


class Attribute(msgspec.Struct, frozen=True):
    """What an attribute may hold: any of `words`, or anything of one of the data `types`.

    With neither, any text. A type is one of XML Schema's names, or a regular expression as
    `pattern:EXPRESSION`. `meaning` is the documentation of the type, `documentation` that of the
    attribute.
    """

    name: str
    words: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    meaning: str = ""
    documentation: str = ""

    def admits(self, value: str) -> bool:
        """Tell whether the attribute may hold `value`."""
        if not self.words and not self.types:
            return True
        word = " ".join(value.split())
        return word in self.words or any(_is_of_type(word, value, kind) for kind in self.types)


class Branch(msgspec.Struct, frozen=True):
    """One side of a choice: names (children in <>) it may use, and those it must.

    Of each set in `any_of` it must use at least one. `attributes` says what values they may have
    on this side.
    """

    names: frozenset[str]
    needed: tuple[str, ...]
    any_of: tuple[frozenset[str], ...]
    attributes: Mapping[str, Attribute]

    def is_taken_by(self, element: etree._Element, involved: set[str], present: set[str]) -> bool:
        """Tell whether an element that has the `involved` names of the choice chose this side."""
        return (
            involved <= self.names
            and present.issuperset(self.needed)
            and not any(names.isdisjoint(present) for names in self.any_of)
            and self.suits(element, present)
        )

    def suits(self, element: etree._Element, present: set[str]) -> bool:
        """Tell whether the values an element has are possible on this side."""
        return all(
            attribute.admits(element.get(name, ""))
            for name, attribute in self.attributes.items()
            if name in present
        )

    def __str__(self) -> str:
        parts = [self._part(name) for name in dict.fromkeys(self.needed)]
        parts += [f"one of {', '.join(map(_quoted, sorted(names)))}" for names in self.any_of]
        return " and ".join(parts)

    def _part(self, name: str) -> str:
        attribute = self.attributes.get(name)
        if attribute is not None and attribute.words and not attribute.types:
            return f"{name}={'|'.join(attribute.words)}"
        return _quoted(name)


class Choice(msgspec.Struct, frozen=True):
    """Branches of which an element takes one; none only when it is optional."""

    branches: tuple[Branch, ...]
    optional: bool


class Element(msgspec.Struct):
    """What may and must stand in an element; filled while the grammar is read.

    Children in `repeated` may stand there more than once.
    """

    name: str
    documentation: str
    attributes: dict[str, Attribute] = msgspec.field(default_factory=dict)
    children: set[str] = msgspec.field(default_factory=set)
    repeated: set[str] = msgspec.field(default_factory=set)
    needed: list[str] = msgspec.field(default_factory=list)
    any_of: list[frozenset[str]] = msgspec.field(default_factory=list)
    choices: list[Choice] = msgspec.field(default_factory=list)


class _How(enum.Enum):
    """How often a part of a pattern stands in an element."""

    ONCE = enum.auto()
    AT_MOST_ONCE = enum.auto()
    AT_LEAST_ONCE = enum.auto()
    ANY = enum.auto()

    @property
    def is_needed(self) -> bool:
        return self in {_How.ONCE, _How.AT_LEAST_ONCE}

    @property
    def is_repeated(self) -> bool:
        return self in {_How.ANY, _How.AT_LEAST_ONCE}


def read_grammar(*directories: Path) -> Mapping[str, Element]:
    """Read all grammar files of directories into one table, by element name.

    Where a definition stands in several directories, that in the last one counts.
    """
    reader = _Reader()
    for directory in directories:
        for path in sorted(directory.glob("*.rng")):
            root = etree.parse(path).getroot()
            for define in root.iter(f"{_RNG}define"):
                reader.definitions[define.get("name", "")] = define
    return reader.table()


class _Reader:
    """Follows references from each element's definition until only names are left."""

    def __init__(self) -> None:
        self.definitions: dict[str, etree._Element] = {}

    def table(self) -> dict[str, Element]:
        found: dict[str, Element] = {}
        for define in self.definitions.values():
            for pattern in define.iterchildren(f"{_RNG}element"):
                if (name := pattern.get("name")) is not None:
                    found[name] = self._element(name, pattern)
        return found

    def _element(self, name: str, pattern: etree._Element) -> Element:
        element = Element(name, _documentation(pattern))
        for part in _patterns(pattern):
            self._collect(part, element, _How.ONCE)
        return element

    def _collect(self, pattern: etree._Element, into: Element, how: _How) -> None:
        match str(pattern.tag).removeprefix(_RNG):
            case "attribute" if (name := pattern.get("name")) is not None:
                known = into.attributes.get(name)
                made = self._attribute(name, pattern)
                into.attributes[name] = _either(known, made) if known else made
                if how.is_needed:
                    into.needed.append(name)
            case "ref":
                self._follow(pattern, into, how)
            case "optional":
                for part in _patterns(pattern):
                    self._collect(part, into, _How.ANY if how.is_repeated else _How.AT_MOST_ONCE)
            case "zeroOrMore":
                for part in _patterns(pattern):
                    self._collect(part, into, _How.ANY)
            case "oneOrMore":
                for part in _patterns(pattern):
                    self._collect(part, into, _How.AT_LEAST_ONCE if how.is_needed else _How.ANY)
            case "choice":
                self._collect_choice(pattern, into, how)
            case "group" | "interleave":
                for part in _patterns(pattern):
                    self._collect(part, into, how)

    def _follow(self, pattern: etree._Element, into: Element, how: _How) -> None:
        definition = self.definitions[pattern.get("name", "")]
        child = definition.find(f"{_RNG}element")
        if child is None:
            for part in _patterns(definition):
                self._collect(part, into, how)
        elif (name := child.get("name")) is not None:
            into.children.add(name)
            if how.is_repeated:
                into.repeated.add(name)
            if how.is_needed:
                into.needed.append(f"<{name}>")

    def _collect_choice(self, pattern: etree._Element, into: Element, how: _How) -> None:
        branches: list[Branch] = []
        for part in _patterns(pattern):
            self._collect(part, into, _How.ANY if how.is_repeated else _How.AT_MOST_ONCE)
            alone = Element("", "")
            self._collect(part, alone, _How.ONCE)
            names = {*alone.attributes, *(f"<{child}>" for child in alone.children)}
            branches.append(
                Branch(frozenset(names), tuple(alone.needed), tuple(alone.any_of), alone.attributes)
            )
        if how is _How.AT_LEAST_ONCE:
            into.any_of.append(frozenset(name for branch in branches for name in branch.names))
        if how.is_repeated or not all(branch.needed for branch in branches):
            return
        into.choices.append(Choice(tuple(branches), optional=not how.is_needed))
        if how.is_needed:
            common = [
                name
                for name in branches[0].needed
                if all(name in branch.needed for branch in branches)
            ]
            into.needed.extend(common)

    def _attribute(self, name: str, pattern: etree._Element) -> Attribute:
        words: list[str] = []
        types: list[str] = []
        meaning = ""
        pending = _patterns(pattern)
        while pending:
            part = pending.pop(0)
            match str(part.tag).removeprefix(_RNG):
                case "value":
                    words.append((part.text or "").strip())
                case "data":
                    pattern_text = part.findtext(f"{_RNG}param[@name='pattern']")
                    kind = f"{_PATTERN}{pattern_text}" if pattern_text else part.get("type", "")
                    types.append(kind)
                case "choice":
                    pending = _patterns(part) + pending
                case "ref":
                    definition = self.definitions[part.get("name", "")]
                    meaning = _documentation(definition)
                    pending = _patterns(definition) + pending
        return Attribute(name, tuple(words), tuple(types), meaning, _documentation(pattern))


def _patterns(parent: etree._Element) -> list[etree._Element]:
    return [child for child in parent if str(child.tag).startswith(_RNG)]


def _documentation(pattern: etree._Element) -> str:
    return " ".join((pattern.findtext(_ANNOTATION) or "").split())


def _either(left: Attribute, right: Attribute) -> Attribute:
    if not (left.words or left.types) or not (right.words or right.types):
        return Attribute(left.name, documentation=left.documentation)
    words = tuple(dict.fromkeys(left.words + right.words))
    types = tuple(dict.fromkeys(left.types + right.types))
    return Attribute(left.name, words, types, left.meaning, left.documentation)


def _is_of_type(word: str, value: str, kind: str) -> bool:
    """Tell whether a value is of a type; a `word` is the value without space around it."""
    if kind.startswith(_PATTERN):
        return re.fullmatch(kind.removeprefix(_PATTERN), value) is not None
    match kind:
        case "NCName":
            return _NCNAME.match(word) is not None
        case "integer":
            return _INTEGER.match(word) is not None
        case "nonNegativeInteger":
            return _COUNT.match(word) is not None
        case "positiveInteger":
            return _COUNT.match(word) is not None and word.strip("+-0") != ""
        case _:
            return True


# --- explaining -----------------------------------------------------------------------------


def explain(root: etree._Element, grammar: Mapping[str, Element]) -> Iterator[Problem]:
    """Say what is wrong in a document, object by object, as far as the table can tell."""
    pending = [root]
    while pending:
        element = pending.pop()
        rules = grammar.get(str(element.tag))
        if rules is None:
            continue
        yield from _explain_attributes(element, rules)
        yield from _explain_needs(element, rules, grammar)
        yield from _explain_choices(element, rules)
        below = [child for child in element if isinstance(child.tag, str)]
        if element.text is not None and element.text.strip():
            yield errors.error(
                "unexpected-text",
                _subject(element),
                f"{_name(element)} holds the text '{element.text.strip()[:40]}'",
                "remove it: only elements stand in a CIB",
            )
        for child in below:
            if child.tag not in rules.children:
                yield _misplaced(child, element, rules, grammar)
        for tag in sorted({str(child.tag) for child in below} & rules.children - rules.repeated):
            if sum(child.tag == tag for child in below) > 1:
                yield errors.error(
                    "repeated-element",
                    _subject(element),
                    f"{_name(element)} has more than one <{tag}>",
                    "leave one, or put them into a <group>"
                    if tag == "primitive" and "group" in rules.children
                    else "leave one of them",
                )
        pending += [child for child in reversed(below) if child.tag in rules.children]


def _explain_attributes(element: etree._Element, rules: Element) -> Iterator[Problem]:
    for raw_name, raw_value in element.attrib.items():
        name, value = str(raw_name), str(raw_value)
        attribute = rules.attributes.get(name)
        if attribute is None:
            near = options.nearest(name.replace("_", "-"), rules.attributes)
            yield errors.error(
                "unknown-attribute",
                _subject(element),
                f"{_name(element)} has an attribute '{name}', which does not exist",
                f"there is an attribute '{near}'" if near else _list_attributes(rules),
            )
        elif not attribute.admits(value):
            yield errors.error(
                "bad-value",
                _subject(element),
                f"{_name(element)}: '{value}' is no value of '{name}'",
                _wanted(attribute, value),
            )


def _wanted(attribute: Attribute, value: str) -> str:
    near = options.nearest(value, attribute.words)
    if near is not None and len(attribute.words) > 2:
        return f"did you mean '{near}'? possible are: {', '.join(attribute.words)}"
    if attribute.types and attribute.meaning:
        return f"expected {attribute.meaning}"
    return f"possible are: {', '.join(attribute.words)}"


def _list_attributes(rules: Element) -> str:
    if not rules.attributes:
        return f"<{rules.name}> has no attributes"
    return f"possible are: {', '.join(sorted(rules.attributes))}"


def _explain_needs(
    element: etree._Element, rules: Element, grammar: Mapping[str, Element]
) -> Iterator[Problem]:
    present = _present(element, rules)
    chosen = {
        name for choice in rules.choices for branch in choice.branches for name in branch.names
    }
    for needed in dict.fromkeys(rules.needed):
        if needed not in present and needed not in chosen:
            what = "an element" if needed.startswith("<") else "an attribute"
            yield errors.error(
                "missing-part",
                _subject(element),
                f"{_name(element)} lacks {what} {_quoted(needed)}",
                f"add it: {_explained(needed, rules, grammar)}",
            )
    for names in rules.any_of:
        if names.isdisjoint(present):
            yield errors.error(
                "missing-part",
                _subject(element),
                f"{_name(element)} lacks one of {', '.join(map(_quoted, sorted(names)))}",
                "; ".join(
                    f"{_quoted(name)}: {_explained(name, rules, grammar)}" for name in sorted(names)
                ),
            )


def _explained(name: str, rules: Element, grammar: Mapping[str, Element]) -> str:
    """Say what an attribute or an element (in <>) is for, as the grammar does."""
    if name.startswith("<"):
        below = grammar.get(name[1:-1])
        text = below.documentation if below is not None else ""
    else:
        text = rules.attributes[name].documentation
    return text[:1].lower() + text[1:].rstrip(".")


def _present(element: etree._Element, rules: Element) -> set[str]:
    """List what is there; what is misspelt counts as what was meant, or it would be told twice."""
    names = {str(name) for name in element.attrib}
    for name in names - rules.attributes.keys():
        if near := options.nearest(name.replace("_", "-"), rules.attributes):
            names = {*names, near}
    return names | {f"<{child.tag}>" for child in element if isinstance(child.tag, str)}


def _explain_choices(element: etree._Element, rules: Element) -> Iterator[Problem]:
    present = _present(element, rules)
    for choice in rules.choices:
        involved = {name for branch in choice.branches for name in branch.names if name in present}
        if any(_is_bad(element, name, rules) for name in involved):
            continue  # said already, value by value
        if (choice.optional and not involved) or any(
            branch.is_taken_by(element, involved, present) for branch in choice.branches
        ):
            continue
        message, hint = _clash(element, choice, involved, present)
        yield errors.error(
            "wrong-combination", _subject(element), f"{_name(element)} {message}", hint
        )


def _clash(
    element: etree._Element, choice: Choice, involved: set[str], present: set[str]
) -> tuple[str, str]:
    """Say what is there, what is missing beside it or does not go with it; and what may be."""
    near = [
        branch
        for branch in choice.branches
        if involved and involved <= branch.names and branch.suits(element, present)
    ]
    possible = ", or ".join(dict.fromkeys(map(str, near or choice.branches)))
    if not involved:
        sides = dict.fromkeys(" and ".join(map(_quoted, each.needed)) for each in choice.branches)
        return f"has neither {' nor '.join(sides)}", f"expected {possible}"
    shown = sorted(involved - {"id"}) or sorted(involved)
    has = " and ".join(_shown(name, element) for name in shown)
    if not near:
        return f"has {has}, which do not go together", f"leave one side: {possible}"
    fewest = min((_lacking(branch, present) for branch in near), key=lambda missing: len(missing))
    lacking = " and ".join(map(_quoted, fewest))
    if involved == {"id"}:
        return f"lacks {lacking}", f"expected {possible}"
    return f"has {has} without {lacking}", f"expected {possible}"


def _lacking(branch: Branch, present: set[str]) -> list[str]:
    missing = [name for name in dict.fromkeys(branch.needed) if name not in present]
    return missing + [
        "one of " + ", ".join(sorted(names)) for names in branch.any_of if names.isdisjoint(present)
    ]


def _is_bad(element: etree._Element, name: str, rules: Element) -> bool:
    value = element.get(name)
    return value is not None and not rules.attributes[name].admits(value)


def _shown(name: str, element: etree._Element) -> str:
    return name if name.startswith("<") else f"{name}='{element.get(name)}'"


def _misplaced(
    child: etree._Element, parent: etree._Element, rules: Element, grammar: Mapping[str, Element]
) -> Problem:
    tag = str(child.tag)
    homes = sorted(name for name, other in grammar.items() if tag in other.children)
    near = options.nearest(tag.replace("_", "-"), rules.children)
    if homes:
        hint = f"it belongs into {' or '.join(f'<{home}>' for home in homes)}"
    elif near:
        hint = f"did you mean <{near}>?"
    else:
        hint = f"possible are: {', '.join(f'<{name}>' for name in sorted(rules.children))}"
    return errors.error(
        "misplaced-element" if homes else "unknown-element",
        _subject(child),
        f"{_name(child)} may not stand in {_name(parent)}",
        hint,
    )


def _quoted(name: str) -> str:
    return name if name.startswith("<") else f"'{name}'"


def _name(element: etree._Element) -> str:
    identity = element.get("id") or element.get("id-ref")
    return f"{element.tag} '{identity}'" if identity else f"<{element.tag}>"


def _subject(element: etree._Element) -> str:
    for candidate in (element, *element.iterancestors()):
        if identity := candidate.get("id"):
            return identity
    return str(element.tag)
