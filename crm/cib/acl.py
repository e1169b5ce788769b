"""Access lists: what a user may see of a CIB, and which changes of it the user may make.

Responsible for reading permissions out of the `acls` section, for the level each element has for
a user, for leaving in sight only what may be seen, and for judging an edit. Pure: who the
user is and which groups the user is in is found out elsewhere (`crm.gate` by the kernel's word,
the tools by `CIB_user`).

Theory of operation
-------------------
Each permission of the user's roles selects elements. The order of roles and permissions means
nothing. What decides about an element, the nearest first:

1. the permissions that select the element itself: `deny` before `write` before `read`;
2. else what decides about its parent, and so on upwards; above the root everything is denied.

One exception: `read` on something inside what may be written takes nothing away.

*Reading.* What is denied leaves, unless something inside may be seen: then it stays as a shell,
with its id and no other attribute. *Writing.* Judged by what the operation came to: changed
attributes, removals and moves need `write` where the element stood before; a new element needs
`write` by the permissions as they select in the result. A new element without attributes (or
with an id only) needs no right outside `acls`, so that a permission for what goes inside is enough;
an id that refers to something else is content, and who has no permission at all makes nothing.
What is denied is not removed together with what it stands in, and nothing is changed into what a
permission for the element itself denies.

An XPath that cannot be read, or would take too long, selects nothing; with `deny` everything.

Source: docs/decisions/0072-rights-per-request.md; Pacemaker Explained, "Access Control Lists".
"""

from __future__ import annotations

import contextlib
import copy
import enum
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from crm.cib import document as documents
from crm.cib import edits, elements, upgrade_access, xpath
from crm.model import options
from crm.model.readxml.sets import options_in_force
from crm.model.version import Version
from crm.plumbing import errors

UNRESTRICTED = frozenset({"", "root", "hacluster"})
"""Users no access list holds for; "" is a daemon of ours."""

_OLD_WORDS = frozenset({"acl_user", "read", "write", "deny"})
_COUNTED_BY_ITSELF = frozenset({"epoch", "num_updates"})
"""Attributes of the root that go up with every change, with which they may be given."""


class Level(enum.IntEnum):
    """What a user may do with an element; a denial is the strongest word on one element."""

    READ = 1
    WRITE = 2
    DENY = 3


_Parents = Mapping[etree._Element, etree._Element]
"""Where stood what an edit took out of the tree."""

_LEVELS = {"read": Level.READ, "write": Level.WRITE, "deny": Level.DENY}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose rights are asked for."""

    user: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Permission:
    """One `acl_permission` that holds for a user."""

    id: str
    level: Level
    xpath: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The level of an element and the permission that gives it (None: no permission does)."""

    level: Level
    permission: Permission | None = None


NO_PERMISSION = Decision(Level.DENY)
"""What decides where nothing else does."""


def is_restricted(root: etree._Element, user: str, *, own_user: str = "") -> bool:
    """Tell whether access lists hold for a user: they are enabled and the user is an ordinary one.

    `own_user` is the user this process runs as, which needs no right for its own work.
    """
    return user not in UNRESTRICTED and user != own_user and is_enabled(root)


def guard_of(
    root: etree._Element, user: str, groups: Iterable[str] = (), *, own_user: str = ""
) -> Guard | None:
    """Make what stands between a user and a CIB; None if no access list holds for the user."""
    if not is_restricted(root, user, own_user=own_user):
        return None
    return Guard(root, Subject(user, frozenset(groups)))


def is_enabled(root: etree._Element) -> bool:
    """Tell whether the configuration asks for access lists (`enable-acl`)."""
    return options.is_true(options_in_force(root.find("configuration")).get("enable-acl", ""))


def permissions_of(root: etree._Element, subject: Subject) -> tuple[Permission, ...]:
    """List what the access lists of a CIB, of whatever dialect, grant a user."""
    acls = root.find("configuration/acls")
    if acls is None:
        return ()
    if any(item.tag in _OLD_WORDS for item in acls.iter(etree.Element)):
        acls = copy.deepcopy(acls)
        upgrade_access.modernise_access(acls)
    roles = {role.get("id"): role for role in acls.iterchildren("acl_role")}
    named: dict[str, None] = {}
    for holder in acls.iterchildren("acl_target", "acl_group"):
        name = holder.get("name") or holder.get("id", "")
        mine = name == subject.user if holder.tag == "acl_target" else name in subject.groups
        if mine:
            named.update(
                (reference.get("id", ""), None) for reference in holder.iterchildren("role")
            )
    return tuple(
        permission
        for role in named
        if role in roles
        for element in roles[role].iterchildren("acl_permission")
        if (permission := _permission(element)) is not None
    )


def _permission(element: etree._Element) -> Permission | None:
    level = _LEVELS.get(element.get("kind", ""))
    if level is None:
        return None
    xpath = element.get("xpath") or _xpath_of(element)
    return Permission(element.get("id", ""), level, xpath) if xpath else None


def _xpath_of(element: etree._Element) -> str:
    tag = element.get("object-type") or "*"
    if (identity := element.get("reference")) is not None:
        quote = '"' if "'" in identity else "'"
        return f"//{tag}[@id={quote}{identity}{quote}]"
    if element.get("object-type") is None:
        return ""
    attribute = element.get("attribute")
    return f"//{tag}[@{attribute}]" if attribute else f"//{tag}"


@dataclass(slots=True)
class Access:
    """What permissions say about one tree, as it is now."""

    root: etree._Element
    permissions: Sequence[Permission]
    _own: dict[etree._Element, Decision] = field(init=False, default_factory=dict)
    _denies: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Find out what each permission selects."""
        for permission in self.permissions:
            decision = Decision(permission.level, permission)
            for element in self._selected(permission):
                known = self._own.get(element)
                if known is None or known.level < permission.level:
                    self._own[element] = decision
        self._denies = any(own.level is Level.DENY for own in self._own.values())

    def _selected(self, permission: Permission) -> list[etree._Element]:
        try:
            return xpath.evaluate(self.root, permission.xpath)
        except (etree.XPathError, xpath.TooMuchWork):
            return list(self.root.iter(etree.Element)) if permission.level is Level.DENY else []

    def own(self, element: etree._Element) -> Decision | None:
        """Say what selects the element itself, if anything does."""
        return self._own.get(element)

    def of(self, element: etree._Element) -> Decision:
        """Say what decides about an element."""
        return self.of_removed(element, {})

    def of_removed(
        self, element: etree._Element, parents: Mapping[etree._Element, etree._Element]
    ) -> Decision:
        """Say what decided about an element; `parents` are those of what was taken out since."""
        reading: Decision | None = None
        step: etree._Element | None = element
        while step is not None:
            own = self._own.get(step)
            if own is not None and own.level is Level.READ:
                reading = reading or own
            elif own is not None:
                return own if own.level is Level.WRITE else reading or own
            above = step.getparent()
            step = parents.get(step) if above is None else above
        return reading or NO_PERMISSION

    def first_denied_in(self, part: etree._Element) -> tuple[etree._Element, Decision] | None:
        """Find what a permission of its own denies inside a part of the tree."""
        if not self._denies:
            return None
        for element in part.iterdescendants(etree.Element):
            own = self._own.get(element)
            if own is not None and own.level is Level.DENY:
                return element, own
        return None

    def _around(self, chosen: Iterable[etree._Element]) -> set[etree._Element]:
        """Find everything these elements stand in."""
        around: set[etree._Element] = set()  # membership only: its order is never seen
        for element in chosen:
            step = element.getparent()
            while step is not None and step not in around:
                around.add(step)
                step = step.getparent()
        return around

    @contextlib.contextmanager
    def only_visible(self) -> Iterator[Sight]:
        """Take out of the tree, for the moment, what may not be seen.

        Nothing is copied, which would take ten times as long in a large tree. Nobody else may
        use the tree meanwhile, nor change it; afterwards it is what it was.
        """
        ends, begins = self._borders()
        if not ends:
            yield Sight(self.root)
            return
        shells = self._around(begins)
        if self.root in ends and self.root not in shells:
            yield Sight(None, is_partial=True)
            return
        veil = _Veil()
        try:
            for element in ends:
                if element in shells:
                    _lay_bare(element, begins, shells, veil)
                else:
                    veil.take_out(element)
            yield Sight(self.root, is_partial=True)
        finally:
            veil.lift()

    def _borders(self) -> tuple[dict[etree._Element, None], dict[etree._Element, None]]:
        """Find where sight ends, that is what is denied in what is not, and where it begins."""
        ends: dict[etree._Element, None] = {}
        begins: dict[etree._Element, None] = {}
        if not self._denies and self.of(self.root).level is not Level.DENY:
            return ends, begins
        known: dict[etree._Element | None, bool] = {None: True}
        if self._is_denied(self.root, known):
            ends[self.root] = None
        for element, own in self._own.items():
            is_denied = own.level is Level.DENY
            if is_denied != self._is_denied(element.getparent(), known):
                (ends if is_denied else begins)[element] = None
        return ends, begins

    def _is_denied(
        self, element: etree._Element | None, known: dict[etree._Element | None, bool]
    ) -> bool:
        """Tell whether something may not be seen; what is found out on the way is noted."""
        way = []
        step = element
        while step not in known:
            assert step is not None, "above the root it is known"
            own = self._own.get(step)
            if own is not None:
                known[step] = own.level is Level.DENY
                break
            way.append(step)
            step = step.getparent()
        answer = known[step]
        known.update(dict.fromkeys(way, answer))
        return answer


def _lay_bare(
    element: etree._Element,
    begins: Container[etree._Element],
    shells: Container[etree._Element],
    veil: _Veil,
) -> None:
    """Leave of something denied what has to stay because something in it may be seen."""
    veil.bare(element)
    for child in list(element):
        if child in begins:
            if child.tail:
                veil.silence(child)
        elif child in shells:
            _lay_bare(child, begins, shells, veil)
            if child.tail:
                veil.silence(child)
        else:
            veil.take_out(child)


@dataclass(frozen=True, slots=True)
class Sight:
    """What may be seen: the root, None if that is nothing; `is_partial` if something is hidden."""

    root: etree._Element | None
    is_partial: bool = False


class _Veil:
    """What was taken out of a tree, and how to put it back."""

    def __init__(self) -> None:
        self._steps: list[tuple[Callable[..., None], tuple[Any, ...]]] = []  # Any: of each its own

    def bare(self, element: etree._Element) -> None:
        """Leave nothing of an element but its id and its children."""
        attributes = element.items()
        identity = element.get("id")
        if len(attributes) > (identity is not None):
            self._steps.append((_dress, (element, attributes)))
            element.attrib.clear()
            if identity is not None:
                element.set("id", identity)
        if element.text:
            self._steps.append((setattr, (element, "text", element.text)))
            element.text = None

    def silence(self, element: etree._Element) -> None:
        """Take away the text behind an element."""
        self._steps.append((setattr, (element, "tail", element.tail)))
        element.tail = None

    def take_out(self, element: etree._Element) -> None:
        """Take an element out of the tree, with all below it."""
        parent = element.getparent()
        assert parent is not None, "the root is shown, or nothing is"
        self._steps.append((_put_back, (parent, element.getprevious(), element)))
        parent.remove(element)

    def lift(self) -> None:
        """Put everything back, the last first."""
        while self._steps:
            step, words = self._steps.pop()
            step(*words)


def _dress(element: etree._Element, attributes: Sequence[tuple[str, str]]) -> None:
    element.attrib.clear()
    for name, value in attributes:
        element.set(name, value)


def _put_back(
    parent: etree._Element, before: etree._Element | None, element: etree._Element
) -> None:
    if before is None:
        parent.insert(0, element)
    else:
        before.addnext(element)


# --- changes -----------------------------------------------------------------------------------


class Guard:
    """Judges the edits of one user, and shows what the user may see."""

    def __init__(self, root: etree._Element, subject: Subject) -> None:
        self.subject = subject
        self.permissions = permissions_of(root, subject)
        self._root = root
        self._before: Access | None = None

    def begin(self) -> None:
        """Take note of the rights as they are before an edit."""
        self._before = Access(self._root, self.permissions)

    @property
    def _then(self) -> Access:
        assert self._before is not None, "a guard begins before the edit does"
        return self._before

    def objection(self, edit: edits.Edit) -> errors.Problem | None:
        """Say what of an edit the user had no right to, the first such thing."""
        after: Access | None = None
        counted = _COUNTED_BY_ITSELF if self._counts_on(edit) else frozenset()
        parents = {
            change.element: change.parent
            for change in edit.changes
            if isinstance(change, edits.Deleted)
        }
        for change in edit.changes:
            if isinstance(change, edits.Created):
                after = after or Access(self._root, self.permissions)
                wrong = self._creation(change, after, parents)
            elif isinstance(change, edits.Modified):
                if self._has_denials:
                    after = after or Access(self._root, self.permissions)
                wrong = self._modification(change, after, parents, counted)
            else:
                wrong = self._removal(change, parents)
            if wrong is not None:
                return wrong
        return None

    def only_visible(self) -> contextlib.AbstractContextManager[Sight]:
        """Leave in the tree, for the moment, what the user may see."""
        return Access(self._root, self.permissions).only_visible()

    def _counts_on(self, edit: edits.Edit) -> bool:
        """Tell whether the version given is at most what the change would have raised it to.

        Only then it may be given without a right to the root: who raised it without bounds, or
        without changing anything, could leave no number for the changes of others.
        """
        before, given = edit.document.version, edit.document.read_version()
        following = (
            Version(before.admin_epoch, before.epoch, before.updates + 1),
            Version(before.admin_epoch, before.epoch + 1, 1),
        )
        is_following = any(
            (given.admin_epoch, given.epoch) == (next_.admin_epoch, next_.epoch)
            and given.updates <= next_.updates
            for next_ in following
        )
        return is_following and any(
            not isinstance(change, edits.Modified) or change.element is not self._root
            for change in edit.changes
        )

    @property
    def _has_denials(self) -> bool:
        return any(each.level is Level.DENY for each in self.permissions)

    def _removal(
        self, change: edits.Deleted | edits.Moved, parents: _Parents
    ) -> errors.Problem | None:
        decision = self._then.of_removed(change.element, parents)
        if isinstance(change, edits.Moved):
            return self._need_write("move", change.element, decision)
        denied = self._then.first_denied_in(change.element)
        if denied is not None and decision.level is Level.WRITE:
            return self._need_write("remove", *denied)
        return self._need_write("remove", change.element, decision)

    def _modification(
        self,
        change: edits.Modified,
        after: Access | None,
        parents: _Parents,
        counted: frozenset[str],
    ) -> errors.Problem | None:
        names = set(change.attributes)
        if change.element is self._root:
            names -= counted
        if not names:
            return None
        what = "change " + " and ".join(f"'{name}'" for name in sorted(names)) + " of"
        decision = self._then.of_removed(change.element, parents)
        become = None if after is None else after.own(change.element)
        if become is not None and become.level is Level.DENY and decision.level is Level.WRITE:
            decision = become
        return self._need_write(what, change.element, decision)

    def _creation(
        self, change: edits.Created, after: Access, parents: _Parents
    ) -> errors.Problem | None:
        if not elements.is_element(change.element):
            above = change.element.getparent()
            home = parents.get(change.element) if above is None else above
            level = NO_PERMISSION if home is None else after.of_removed(home, parents)
            return self._need_write("create", change.element, level)
        for element in change.element.iter(etree.Element):
            is_free = self.permissions and _is_shell(element)
            if is_free and next(element.iterancestors("acls"), None) is None:
                continue
            wrong = self._need_write("create", element, after.of_removed(element, parents))
            if wrong is not None:
                return wrong
        return None

    def _need_write(
        self, verb: str, element: etree._Element, decision: Decision
    ) -> errors.Problem | None:
        if decision.level is Level.WRITE:
            return None
        identity = element.get("id") if elements.is_element(element) else None
        tag = str(element.tag) if elements.is_element(element) else "!--"
        name = f"<{tag} id='{identity}'>" if identity else f"<{tag}>"
        return refusal(self.subject, verb, name, decision, about=identity or tag)


def refusal(
    subject: Subject, verb: str, what: str, decision: Decision, *, about: str
) -> errors.Problem:
    """Say that a user may not do something with a part of the CIB, and what decides so."""
    permission = decision.permission
    kind = "read" if verb == "read" else "write"
    if permission is None:
        why = "no acl_permission lets the user"
    elif decision.level is Level.DENY:
        why = f"the acl_permission '{permission.id}' denies it"
    else:
        why = f"the acl_permission '{permission.id}' lets the user read it only"
    return errors.error(
        "access-denied",
        about,
        f"the user '{subject.user}' may not {verb} {what}: {why}",
        "cibadmin --query --show-access --user NAME shows a user's rights; they are given by"
        f" an acl_permission of the kind {kind} in an acl_role of the user's acl_target",
    )


def _is_shell(element: etree._Element) -> bool:
    if element.tag in documents.REFERENCES:
        return False
    return all(name == "id" for name in element.attrib)
