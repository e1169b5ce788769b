"""The lines of resources in a status: what each is doing, and where, as the scheduler sees it.

Responsible for the words and the layout that the classic tools share; a `Style` says what of it a
tool shows. Not responsible for what is true: that is read from `Facts` and nowhere else.

Wording and layout are those users know; the cases beside the repository hold them.
"""

from __future__ import annotations

from collections import Counter
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

PENDING = {
    "start": "Starting",
    "stop": "Stopping",
    "promote": "Promoting",
    "demote": "Demoting",
    "migrate_to": "Migrating",
    "migrate_from": "Migrating",
}
_UNABLE = {ExitCode.NOT_INSTALLED: "Not installed", ExitCode.INVALID_PARAMETER: "Invalid parameter"}


class Scope(msgspec.Struct, frozen=True):
    """Which resources and nodes a person wants to see; None means all."""

    resources: frozenset[str] | None = None
    nodes: frozenset[str] | None = None

    def names(self, item: Placeable) -> bool:
        """Tell whether a resource itself is wanted, by any of its names."""
        if self.resources is None:
            return True
        plain = item.history_id if isinstance(item, Instance) else item.id
        return not self.resources.isdisjoint((item.id, plain, configured_id(item)))

    def has_node(self, name: str) -> bool:
        """Tell whether a node is wanted."""
        return self.nodes is None or name in self.nodes

    def sees(self, facts: Facts, item: Placeable) -> bool:
        """Tell whether any part of a resource is on a wanted node, or all of it on none at all."""
        nodes = [name for i in instances_of(item) for name in facts.activity[i.id].nodes]
        return not nodes or any(self.has_node(name) for name in nodes)


def configured_id(item: Placeable) -> str:
    """Give the id something has in the configuration, where copies have no numbers."""
    match item:
        case Instance():
            return item.resource.id
        case GroupInstance() if item.number is not None:
            return item.id.removesuffix(f":{item.number}")
        case _:
            return item.id


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
    inactive: bool = True
    """Whether what runs nowhere is shown."""
    detail: bool = False
    """Whether each copy has a line of its own."""
    brief: bool = False
    """Whether primitives are counted by agent instead."""
    scope: Scope = Scope()


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


def is_fully_up(facts: Facts, item: Placeable) -> bool:
    """Tell whether all that is in a resource is active."""
    return all(facts.activity[each.id].nodes for each in instances_of(item))


def shown_items(facts: Facts) -> list[Placeable]:
    """List what a status shows: all that is configured, and of what is not, what still runs."""
    shown: list[Placeable] = [
        item
        for item in facts.items
        if not (isinstance(item, Instance) and facts.is_invented(item.id))
    ]
    shown += [instance for instance in facts.removed if is_active(facts, instance)]
    return shown


def is_active(facts: Facts, item: Placeable) -> bool:
    """Tell whether anything of an item is active; on a node that is down for good nothing is."""
    return any(
        facts.node(name).online or facts.node(name).unclean or not facts.is_looked_after(i)
        for i in instances_of(item)
        for name in facts.activity[i.id].nodes
    )


class Lines:
    """Writes the lines of resources; `depth` counts indentations of two blanks."""

    def __init__(self, facts: Facts, style: Style = Style()) -> None:  # noqa: B008 - it is frozen
        self.facts = facts
        self.style = style

    def all(self, depth: int) -> Iterator[str]:
        """Yield the lines of everything that is wanted."""
        shown = shown_items(self.facts)
        lines: list[str] = []
        if self.style.brief:
            single = [each for each in shown if isinstance(each, Instance) and self._is_shown(each)]
            lines += self._counts(single, depth, all_told=self.style.inactive)
            shown = [each for each in shown if not isinstance(each, Instance)]
        for item in shown:
            lines += self.of(item, depth)
        if not lines:
            word = "resources" if self.style.inactive else "active resources"
            lines.append(f"{'  ' * depth}* No {word}")
        yield from lines

    def of(self, item: Placeable, depth: int, *, wanted: bool = False) -> Iterator[str]:
        """Yield the lines of one thing: a title, if it has parts, and the parts.

        It is `wanted` if what it is in was named.
        """
        indent = "  " * depth
        if isinstance(item, Instance):
            if self._is_shown(item, wanted=wanted):
                yield f"{indent}* {self.instance(item)}"
            return
        lines = list(self.inside(item, depth + 1, wanted=wanted))
        if lines or (self.style.inactive and self.style.scope == Scope()):
            yield f"{indent}* {self._title(item)}"
            yield from lines

    def _is_shown(self, instance: Instance, *, wanted: bool = False) -> bool:
        if not (wanted or self.style.scope.names(instance)):
            return False
        is_up = bool(self.facts.activity[instance.id].nodes)
        return (is_up or self.style.inactive) and self.style.scope.sees(self.facts, instance)

    def inside(self, item: Placeable, depth: int, *, wanted: bool = False) -> Iterator[str]:
        """Yield the lines below the title of what has one; all of it, if it has none."""
        indent = "  " * depth
        wanted = wanted or self.style.scope.names(item)
        if not self.style.scope.sees(self.facts, item):
            return
        if isinstance(item, CloneInstance) and not (self.style.inactive or self._is_up(item)):
            return
        match item:
            case Instance():
                yield f"{indent}* {self.instance(item)}"
            case GroupInstance():
                members = [each for each in item.members if self._is_shown(each, wanted=wanted)]
                if self.style.brief:
                    yield from self._counts(item.members if members else (), depth, all_told=True)
                else:
                    yield from (f"{indent}* {self.instance(member)}" for member in members)
            case CloneInstance():
                yield from self._copies(item, depth, wanted=wanted)
            case BundleInstance():
                yield from self._replicas(item, depth, wanted=wanted)

    def _is_up(self, item: Placeable) -> bool:
        """Tell whether any part of a resource is active."""
        return any(self.facts.activity[each.id].nodes for each in instances_of(item))

    def _counts(
        self, instances: Iterable[Instance], depth: int, *, all_told: bool
    ) -> Iterator[str]:
        """Yield how many instances of each agent are active, node by node."""
        total: Counter[str] = Counter()
        active: Counter[tuple[str, str]] = Counter()
        for each in instances:
            agent = str(each.resource.agent)
            total[agent] += 1
            active.update((agent, name) for name in self.facts.activity[each.id].nodes)
        indent = "  " * depth
        for agent, count in sorted(total.items()):
            of = f"/{count}" if all_told else ""
            rows = sorted((name, up) for (each, name), up in active.items() if each == agent)
            yield from (f"{indent}* {up}{of}\t({agent}):\tActive {name}" for name, up in rows)
            if not rows:
                yield f"{indent}* 0{of}\t({agent}):\tActive"

    def _replicas(self, bundle: BundleInstance, depth: int, *, wanted: bool) -> Iterator[str]:
        indent = "  " * depth
        scope = self.style.scope
        if not (self.style.inactive or self._is_up(bundle)):
            return
        for replica in bundle.replicas:
            parts = (replica.address, replica.copy, replica.container, replica.connection)
            found = [each for each in parts if each is not None]
            named = found if wanted else [each for each in found if scope.names(each)]
            if not named or not scope.sees(self.facts, replica.container):
                continue
            if wanted and not self.style.detail:
                yield f"{indent}* {self._replica(replica)}"
                continue
            if len(bundle.replicas) > 1:
                yield f"{indent}* Replica[{replica.number}]"
            yield from (f"{indent}  * {self.instance(each)}" for each in named)

    def _title(self, item: GroupInstance | CloneInstance | BundleInstance) -> str:
        flags = _flags_text(self._collective_flags(item))
        match item:
            case GroupInstance():
                return f"Resource Group: {item.id}{self._left_out(item)}{flags}:"
            case CloneInstance():
                return f"Clone Set: {item.id} [{item.child_id}]{flags}:"
            case BundleInstance():
                word = "Container bundle set" if len(item.replicas) > 1 else "Container bundle"
                return f"{word}: {item.id} [{item.image}]{flags}:"

    def _left_out(self, group: GroupInstance) -> str:
        """Say how many members run nowhere, where they are not shown."""
        idle = sum(not self.facts.activity[each.id].nodes for each in group.members)
        if self.style.inactive or not idle:
            return ""
        return f" ({idle} member{'' if idle == 1 else 's'} inactive)"

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
        if state.pending in PENDING:
            return PENDING[state.pending]
        if not state.nodes:
            unable = self._why_unable(instance)
            unable = unable.lower() if self.style.classic else unable
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

    def _copies(self, clone: CloneInstance, depth: int, *, wanted: bool) -> Iterator[str]:
        lists: dict[str, list[str]] = {"Promoted": [], "Unpromoted": [], "Started": []}
        scope = self.style.scope
        is_meant = wanted
        for copy in clone.copies:
            if not wanted and not any(map(scope.names, (copy, *instances_of(copy)))):
                continue
            is_meant = True
            here = [name for name in self._places(copy) if scope.has_node(name)]
            if clone.is_unique and copy.is_removed and not is_active(self.facts, copy):
                continue
            if clone.is_unique or self.style.detail or self._has_own_lines(copy):
                yield from self._copy(copy, depth, wanted=wanted)
            elif is_active(self.facts, copy) and here:
                lists[self._listed_as(clone, copy)].append(here[0])
        if clone.is_unique or self.style.detail:
            return
        indent = "  " * depth
        limit = " (target-role)" if _wanted_role(clone) is Role.UNPROMOTED else ""
        for word, names in lists.items():
            if names:
                note = limit if word == "Unpromoted" else ""
                yield f"{indent}* {word}{note}: [ {' '.join(sorted(names, key=display_key))} ]"
        if is_meant and self.style.inactive and clone.clone_max > sum(map(len, lists.values())):
            yield from (f"{indent}* {line}" for line in self._stopped(clone))

    def _copy(self, copy: Instance | GroupInstance, depth: int, *, wanted: bool) -> Iterator[str]:
        """Yield the lines of one copy; a primitive has one even where it is stopped."""
        if not isinstance(copy, Instance):
            yield from self.of(copy, depth, wanted=wanted)
        elif self.style.scope.sees(self.facts, copy):
            yield f"{'  ' * depth}* {self.instance(copy)}"

    def _has_own_lines(self, copy: Instance | GroupInstance) -> bool:
        """Tell whether there is more to say of an anonymous copy than a list of nodes can."""
        parts = tuple(instances_of(copy))
        states = [self.facts.activity[i.id] for i in parts]
        if isinstance(copy, Instance) and states[0].pending not in ("", "probe"):
            return True
        if not is_active(self.facts, copy):
            return False
        if copy.is_removed or any(state.failed for state in states):
            return True
        if not all(is_managed(self.facts, i, classic=self.style.classic) for i in parts):
            return True
        if not all(is_active(self.facts, i) for i in parts):
            return True
        places = self._places(copy)
        return len(places) != 1 or _is_silent(self.facts.node(places[0]))

    def _places(self, copy: Instance | GroupInstance) -> list[str]:
        names = (name for i in instances_of(copy) for name in self.facts.activity[i.id].nodes)
        return list(dict.fromkeys(names))

    def _listed_as(self, clone: CloneInstance, copy: Instance | GroupInstance) -> str:
        roles = (self.facts.activity[i.id].role for i in instances_of(copy))
        if Role.PROMOTED in roles:
            return "Promoted"
        return "Unpromoted" if clone.promotable else "Started"

    def _may_list(self, clone: CloneInstance, node: NodeFacts) -> bool:
        """Tell whether a node is worth saying that nothing of a clone is there.

        In a cluster that is opted in to, all that is said is of nodes that know the clone.
        """
        activity = self.facts.activity
        return self.facts.settings.symmetric or any(
            activity[i.id].is_known_on(node.name) for i in instances_of(clone)
        )

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
            if not self._may_list(clone, node):
                continue
            if not self.style.scope.has_node(node.name):
                continue
            reasons = (self._why_unable(i, node.name) for i in instances_of(clone))
            flag = next((r for r in reasons if r), disabled)
            flag = flag.lower() if self.style.classic else flag
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
