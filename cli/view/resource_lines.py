"""The lines of resources in a status: what each is doing, and where, as the scheduler sees it.

Responsible for the words and the layout that the classic tools share; a `Style` says what of it a
tool shows. Not responsible for what is true: that is read from `Facts` and nowhere else.

Wording and layout are those users know; the cases beside the repository hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from crm.model.outcomes import ExitCode, OperationStatus
from crm.model.roles import Role
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Meta,
    Placeable,
    Replica,
    instances_of,
)
from pengine.facts.nodes import NodeFacts, display_key

_PENDING = {
    "start": "Starting",
    "stop": "Stopping",
    "promote": "Promoting",
    "demote": "Demoting",
    "migrate_to": "Migrating",
    "migrate_from": "Migrating",
}
_UNABLE = {ExitCode.NOT_INSTALLED: "Not installed", ExitCode.INVALID_PARAMETER: "Invalid parameter"}


class Style(msgspec.Struct, frozen=True):
    """What of a resource is shown.

    `places` names the nodes of what runs; lists of copies name them in any case. With `classic`
    what only the maintenance of its node or of the cluster keeps is "unmanaged", and the lack of a
    fence device is not told of, as it was before release 2.1.6.
    """

    places: bool = True
    classic: bool = False
    descriptions: Mapping[str, str] = {}
    """What the configuration says of primitives, by id; it ends their lines."""


def is_disabled(meta: Meta, is_promotable: bool) -> bool:
    """Tell whether the wish for a role keeps something below what it could be."""
    return meta.must_stop or (is_promotable and meta.target_role is Role.UNPROMOTED)


def is_managed(facts: Facts, instance: Instance, *, classic: bool = False) -> bool:
    """Tell whether the cluster looks after an instance.

    With `classic` the lack of a fence device, which only keeps things from starting, is no reason.
    """
    if classic and not facts.may_start_anything:
        return not facts.is_held(instance)
    return facts.is_looked_after(instance)


def shown_items(facts: Facts) -> list[Placeable]:
    """List what a status shows: all that is configured, and of what is not, what still runs."""
    shown: list[Placeable] = [
        item
        for item in facts.items
        if not (isinstance(item, Instance) and facts.is_invented(item.id))
    ]
    shown += [instance for instance in facts.removed if facts.activity[instance.id].nodes]
    return shown


class Lines:
    """Writes the lines of resources; `depth` counts indentations of two blanks."""

    def __init__(self, facts: Facts, style: Style = Style()) -> None:  # noqa: B008 - it is frozen
        self.facts = facts
        self.style = style

    def all(self, depth: int) -> Iterator[str]:
        """Yield the lines of everything."""
        shown = shown_items(self.facts)
        for item in shown:
            yield from self.of(item, depth)
        if not shown:
            yield f"{'  ' * depth}* No resources"

    def of(self, item: Placeable, depth: int) -> Iterator[str]:
        """Yield the lines of one thing: a title, if it has parts, and the parts."""
        indent = "  " * depth
        if isinstance(item, Instance):
            yield f"{indent}* {self.instance(item)}"
            return
        yield f"{indent}* {self._title(item)}"
        yield from self.inside(item, depth + 1)

    def inside(self, item: Placeable, depth: int) -> Iterator[str]:
        """Yield the lines below the title of what has one; all of it, if it has none."""
        indent = "  " * depth
        match item:
            case Instance():
                yield f"{indent}* {self.instance(item)}"
            case GroupInstance():
                yield from (f"{indent}* {self.instance(member)}" for member in item.members)
            case CloneInstance():
                yield from self._copies(item, depth)
            case BundleInstance():
                yield from (f"{indent}* {self._replica(replica)}" for replica in item.replicas)

    def _title(self, item: GroupInstance | CloneInstance | BundleInstance) -> str:
        flags = _flags_text(self._collective_flags(item))
        match item:
            case GroupInstance():
                return f"Resource Group: {item.id}{flags}:"
            case CloneInstance():
                return f"Clone Set: {item.id} [{item.child_id}]{flags}:"
            case BundleInstance():
                word = "Container bundle set" if len(item.replicas) > 1 else "Container bundle"
                return f"{word}: {item.id} [{item.image}]{flags}:"

    def _collective_flags(self, item: GroupInstance | CloneInstance | BundleInstance) -> list[str]:
        facts = self.facts
        flags = []
        if isinstance(item, CloneInstance):
            flags += ["promotable"] if item.promotable else []
            flags += ["unique"] if item.is_unique else []
        if isinstance(item, BundleInstance) and item.node_max > 1:
            flags.append("unique")
        if isinstance(item, CloneInstance):
            may_lead = item.promotable
        else:
            may_lead = _is_copy_that_may_lead(item)
        disabled = ["disabled"] if is_disabled(item.meta, may_lead) else []
        is_kept = item.meta.maintenance or facts.settings.maintenance
        if self.style.classic:
            is_free = is_kept or not item.meta.is_managed
            return [*flags, *(["unmanaged"] if is_free else []), *disabled]
        if is_kept:
            return [*flags, *disabled, "maintenance"]
        is_free = not item.meta.is_managed or not facts.may_start_anything
        return [*flags, *disabled, *(["unmanaged"] if is_free else [])]

    # --- one instance ---------------------------------------------------------------------------

    def instance(
        self, instance: Instance, name: str = "", at: tuple[str, ...] | None = None
    ) -> str:
        """Write the line of an instance; what a bundle runs has a name and place of the bundle."""
        state = self.facts.activity[instance.id]
        nodes = state.nodes if at is None else at
        if not name:
            is_plain = instance.is_removed or not instance.is_unique
            name = instance.history_id if is_plain else instance.id
        word = self._state_word(instance)
        if instance.is_removed:
            word = f"ORPHANED {word}"
        flags = self._flags(instance, nodes)
        where = f" {nodes[0]}" if len(nodes) == 1 else ""
        if not nodes and state.pending not in ("", "probe"):
            where = f" {state.pending_on}"
        lock = self.facts.locks.get(instance.id)
        if lock is not None and not lock.has_ended and not state.nodes:
            where = f" {lock.node}"
            flags.append("LOCKED")
        several = f" [ {' '.join(nodes)} ]" if len(nodes) > 1 else ""
        if not self.style.places:
            where = several = ""
        line = f"{name}\t({instance.resource.agent}):\t {word}{where}{_flags_text(flags)}{several}"
        told = self.style.descriptions.get(instance.resource.id)
        return f"{line} {told}" if told else line

    def _replica(self, replica: Replica) -> str:
        """Write what runs in a container, where the container is."""
        shown = replica.copy or replica.container
        name = replica.node or replica.container.id
        if replica.external_address:
            name = f"{name} ({replica.external_address})"
        nodes = self.facts.activity[replica.container.id].nodes
        return self.instance(shown, name, nodes)

    def _state_word(self, instance: Instance) -> str:
        state = self.facts.activity[instance.id]
        if state.failed:
            return "FAILED Promoted" if state.role is Role.PROMOTED else "FAILED"
        if state.pending in _PENDING:
            return _PENDING[state.pending]
        if not state.nodes:
            unable = self._why_unable(instance)
            return f"Stopped ({unable})" if unable else "Stopped"
        return "Started" if state.role is Role.UNKNOWN else state.role.word

    def _why_unable(self, instance: Instance, node: str = "") -> str:
        """Say what a probe said that found its agent unable to run somewhere, or ""."""
        state = self.facts.activity[instance.id]
        for failure in state.failures:
            is_probe = failure.entry.operation == "monitor" and failure.entry.interval_ms == 0
            if not is_probe or node not in ("", failure.node):
                continue
            on_node = state.at(failure.node)
            if instance.number is not None and on_node is not None:
                # Of what is in a clone only a plain copy is told of, under its plain name.
                is_plain = instance.parent == instance.top and on_node.name == instance.resource.id
                if not is_plain:
                    continue
            if failure.entry.status == OperationStatus.NOT_INSTALLED:
                return _UNABLE[ExitCode.NOT_INSTALLED]
            for code, text in _UNABLE.items():
                if failure.entry.exit_code == code:
                    return text
        return ""

    def _flags(self, instance: Instance, nodes: tuple[str, ...]) -> list[str]:
        facts = self.facts
        state = facts.activity[instance.id]
        flags = []
        if self.style.places and len(nodes) == 1 and _is_silent(facts.node(nodes[0])):
            flags.append("UNCLEAN")
        if state.pending == "monitor":
            flags.append("Monitoring")
        if instance.meta.must_stop:
            flags.append("disabled")
        elif instance.is_promotable and instance.meta.target_role is Role.UNPROMOTED:
            flags.append(f"target-role:{instance.meta.pairs.get('target-role', 'Unpromoted')}")
        if state.blocked:
            flags.append("blocked")
        elif self._is_in_maintenance(instance):
            flags.append("maintenance")
        elif not is_managed(facts, instance, classic=self.style.classic) and not (
            self._is_kept_by_no_device(instance)
        ):
            flags.append("unmanaged")
        if state.ignored:
            flags.append("failure ignored")
        return flags

    def _is_kept_by_no_device(self, instance: Instance) -> bool:
        """Tell whether only the lack of a fence device keeps a removed resource from being stopped.

        It comes up when that is checked already, so nothing is said (case remote-orphaned2).
        """
        stops = self.facts.settings.stop_removed_resources
        return instance.is_removed and stops and not self.facts.may_start_anything

    def _is_in_maintenance(self, instance: Instance) -> bool:
        if self.style.classic:
            return False
        if instance.meta.maintenance or self.facts.settings.maintenance:
            return True
        nodes = self.facts.activity[instance.id].nodes
        return any(self.facts.node(name).maintenance for name in nodes)

    # --- clones ---------------------------------------------------------------------------------

    def _copies(self, clone: CloneInstance, depth: int) -> Iterator[str]:
        lists: dict[str, list[str]] = {"Promoted": [], "Unpromoted": [], "Started": []}
        for copy in clone.copies:
            if clone.is_unique and (not copy.is_removed or self._is_active(copy)):
                yield from self.of(copy, depth)
            elif clone.is_unique:
                continue
            elif self._has_own_lines(copy):
                yield from self.of(copy, depth)
            elif self._is_active(copy):
                lists[self._listed_as(clone, copy)].append(self._places(copy)[0])
        if clone.is_unique:
            return
        indent = "  " * depth
        limit = " (target-role)" if _wanted_role(clone) is Role.UNPROMOTED else ""
        for word, names in lists.items():
            if names:
                note = limit if word == "Unpromoted" else ""
                yield f"{indent}* {word}{note}: [ {' '.join(sorted(names, key=display_key))} ]"
        if clone.clone_max > sum(map(len, lists.values())):
            yield from (f"{indent}* {line}" for line in self._stopped(clone))

    def _has_own_lines(self, copy: Instance | GroupInstance) -> bool:
        """Tell whether there is more to say of an anonymous copy than a list of nodes can."""
        parts = tuple(instances_of(copy))
        states = [self.facts.activity[i.id] for i in parts]
        if isinstance(copy, Instance) and states[0].pending not in ("", "probe"):
            return True
        if not self._is_active(copy):
            return False
        if copy.is_removed or any(state.failed for state in states):
            return True
        if not all(is_managed(self.facts, i, classic=self.style.classic) for i in parts):
            return True
        if not all(self._is_active(i) for i in parts):
            return True
        places = self._places(copy)
        return len(places) != 1 or _is_silent(self.facts.node(places[0]))

    def _is_active(self, copy: Instance | GroupInstance) -> bool:
        """Tell whether anything of a copy is active; on a node that is down for good nothing is."""
        facts = self.facts
        return any(
            facts.node(name).online or facts.node(name).unclean or not facts.is_looked_after(i)
            for i in instances_of(copy)
            for name in facts.activity[i.id].nodes
        )

    def _places(self, copy: Instance | GroupInstance) -> list[str]:
        names = (name for i in instances_of(copy) for name in self.facts.activity[i.id].nodes)
        return list(dict.fromkeys(names))

    def _listed_as(self, clone: CloneInstance, copy: Instance | GroupInstance) -> str:
        if not clone.promotable:
            return "Started"
        roles = (self.facts.activity[i.id].role for i in instances_of(copy))
        return "Promoted" if Role.PROMOTED in roles else "Unpromoted"

    def _stopped(self, clone: CloneInstance) -> Iterator[str]:
        """Yield the nodes where nothing of an anonymous clone is active, by the reason for it."""
        facts = self.facts
        busy = {name for i in instances_of(clone) for name in facts.activity[i.id].nodes}
        disabled = "disabled" if _wanted_role(clone) is Role.STOPPED else ""
        by_flag: dict[str, list[str]] = {}
        for node in facts.nodes:
            known = clone.id in facts.reserved.get(node.name, (clone.id,))
            if node.name in busy or node.is_unlisted or not known:
                continue
            reasons = (self._why_unable(i, node.name) for i in instances_of(clone))
            flag = next((r for r in reasons if r), disabled)
            by_flag.setdefault(f" ({flag})" if flag else "", []).append(node.name)
        for flag, found in sorted(by_flag.items()):
            yield f"Stopped{flag}: [ {' '.join(found)} ]"


def _is_copy_that_may_lead(item: GroupInstance | BundleInstance) -> bool:
    """Tell whether something is a group in a clone that can be promoted."""
    return isinstance(item, GroupInstance) and any(member.is_promotable for member in item.members)


def _wanted_role(clone: CloneInstance) -> Role | None:
    """Say which role the administrator wants for a clone, or else for what is in it."""
    if clone.meta.target_role is not None or not clone.copies:
        return clone.meta.target_role
    return clone.copies[0].meta.target_role


def _flags_text(flags: Iterable[str]) -> str:
    found = ", ".join(flags)
    return f" ({found})" if found else ""


def _is_silent(node: NodeFacts) -> bool:
    return node.unclean and not node.online
