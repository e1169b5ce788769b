"""Chooses a node for every instance, the important ones first.

Placing one thing first places everything it wants to be with; loops of colocations are broken
where they are entered. A member is never placed before its group or clone asks for it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cmp_to_key

from crm.model import score
from crm.model.roles import Role
from crm.model.score import INFINITY, MINUS_INFINITY, ZERO, Score
from pengine.facts.facts import Facts
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    MultipleActive,
    Placeable,
    Replica,
    bundles_in,
    instances_of,
)
from pengine.facts.settings import QuorumPolicy
from pengine.facts.utilization import Strategy
from pengine.place import passes, promotion
from pengine.place.clones import Copy, in_placing_order, place_copies
from pengine.place.colocation import Merger, Ties, tie
from pengine.place.placement import Choice, Placement, PromotionLine, ScoreTable
from pengine.place.tally import Tally, everything_in
from pengine.place.utilization import Room, importance


def place(facts: Facts) -> Placement:
    """Choose a node, or none, for every instance."""
    tally = Tally(facts)
    passes.all_passes(facts, tally)
    placing = _Placing(facts, tally)
    for item in facts.everything:
        # Connections first: where they go decides which nodes there are for the others.
        if item.id in facts.connections:
            placing.place_item(item)
    ordered = placing.in_order()
    for item in ordered:
        if isinstance(item, BundleInstance) and item.id in placing.shared:
            tally.record("bundle", item)  # It is looked at again (case bundle-order-fencing).
        placing.place_item(item)
    for instance in facts.removed:
        placing.place_item(instance)
    table = ScoreTable(tuple(tally.contributions), tuple(tally.lines), tuple(placing.promotions))
    return Placement(
        placing.choices,
        table,
        tuple(placing.nodes.values()),
        placing.copies,
        tuple(item.id for item in ordered),
    )


class _Placing:
    """The choices made so far; it does not leave the stage."""

    def __init__(self, facts: Facts, tally: Tally) -> None:
        self.facts = facts
        self.tally = tally
        self.ties: Ties = tie(facts)
        self.merger = Merger(facts, tally, self.ties)
        self.choices: dict[str, Choice] = {}
        self.copies: dict[str, tuple[str, ...]] = {}
        self.promotions: list[PromotionLine] = []
        self.room = Room(facts.utilization, self.ties, (node.name for node in facts.nodes))
        self._preferred = ""
        self.load = self.merger.load = {node.name: 0 for node in facts.nodes}
        self.nodes = {node.name: node for node in facts.nodes}
        self._may_run = {node.name for node in facts.nodes if node.may_run}
        self._busy: set[str] = set()
        self._parents: dict[str, Placeable] = {}
        for item in facts.items:
            for part in everything_in(item):
                self._parents[part.id] = item
        self.shared: set[str] = set()
        self._bundle_of = {
            container.id: bundle.id
            for bundle in bundles_in(facts.items)
            for container in bundle.copies
        }

    def in_order(self) -> list[Placeable]:
        """List the items as they are placed; with a placement strategy by their scores as well."""
        items = list(self.facts.items)
        if not self.room.matters:
            return items
        names = sorted(node.name for node in self.facts.nodes)
        if self.room.strategy is Strategy.BALANCED:
            names.sort(key=cmp_to_key(self.room.compare), reverse=True)

        def key(item: Placeable) -> tuple[int, ...]:
            instances = list(instances_of(item))
            active = next(
                (a.nodes for i in instances if (a := self.facts.activity[i.id]).nodes), ()
            )
            return importance(item, self._wishes(item), active, names)

        return sorted(items, key=key)

    def _wishes(self, item: Placeable) -> dict[str, Score]:
        """Sum the scores of what an item stands for and of what it wants to be with."""
        parts = item.members if isinstance(item, GroupInstance) else (item,)
        total = dict(self.tally.scores[parts[0].id])
        for member in parts[1:]:
            _add_to(total, self.tally.scores[member.id], 1.0, None)
        seen = {part.id for part in parts}
        waiting = [(part.id, 1.0) for part in parts]
        while waiting:
            key, factor = waiting.pop(0)
            for link in self.ties.with_others.get(key, ()):
                if link.primary in seen:
                    continue
                seen.add(link.primary)
                weaker = factor * link.score / INFINITY
                # What is inside a clone has no scores but those of its copies.
                wished = self.tally.scores.get(link.primary, {})
                _add_to(total, wished, weaker, self._may_run)
                waiting.append((link.primary, weaker))
        return total

    # --- what is placed when ----------------------------------------------------------------

    def place_item(self, item: Placeable) -> None:
        """Place a top-level item with all that is in it."""
        match item:
            case Instance():
                self._place_instance(item)
            case GroupInstance():
                self._place_group(item)
            case CloneInstance():
                self._place_clone(item)
            case BundleInstance():
                self._place_bundle(item)

    def _place_bundle(self, bundle: BundleInstance) -> None:
        """Place the containers like copies, then what goes with each, then what runs inside."""
        if bundle.id in self.shared:
            return
        self.shared.add(bundle.id)
        self.tally.record("bundle", bundle)
        place_copies(self, bundle, in_placing_order(self.facts, self.tally, bundle))
        for replica in bundle.replicas:
            self._place_replica(replica)
        if bundle.clone is not None:
            table = self.tally.scores[bundle.clone.id]
            own = {replica.node for replica in bundle.replicas}
            self.tally.scores[bundle.clone.id] = {
                node: ZERO if node in own else MINUS_INFINITY for node in table
            }
            self._place_clone(bundle.clone)

    def _place_replica(self, replica: Replica) -> None:
        """Place what goes with a container that is placed."""
        host = self.merger.placed.get(replica.container.id)
        if host is not None:
            self.tally.hosts[replica.node] = host
        if replica.address is not None:
            self._place_instance(replica.address)
        if replica.connection is not None:
            self._stay_with_host(replica)
            self._place_instance(replica.connection)
        if replica.copy is not None:
            self._settle_inside(replica.copy, replica.node)

    def _stay_with_host(self, replica: Replica) -> None:
        """Keep a connection into a container on a remote node on the member that reaches that.

        A remote node answers one member only (case nested-remote-recovery).
        """
        host = self.merger.placed.get(replica.container.id)
        if host is None or replica.connection is None or not self.nodes[host].is_remote:
            return
        member = self.merger.placed.get(self.nodes[host].connection)
        for node in self.tally.scores[replica.connection.id]:
            if node != member:
                text = f"the container is reached by way of {host}"
                self.tally.ban(replica.connection.id, node, "bundle", "bundle", text)

    def _settle_inside(self, copy: Instance, node: str) -> None:
        """Place the copy in a container: on the node there, or nowhere."""
        table = self.tally.scores[copy.id]
        for name in table:
            if name != node:
                table[name] = MINUS_INFINITY
            elif table[name] > MINUS_INFINITY:
                table[name] = INFINITY
        self._place_instance(copy)

    def _place_group(self, group: GroupInstance) -> None:
        if group.id in self._busy or all(m.id in self.choices for m in group.members):
            return
        self._busy.add(group.id)
        self.tally.record("group", group)
        for member in group.members:
            self._place_instance(member)
        self._busy.discard(group.id)

    def _place_clone(self, clone: CloneInstance) -> None:
        if clone.id in self._busy or clone.id in self.copies:
            return
        self._busy.add(clone.id)
        if clone.promotable:
            promotion.attract(self.facts, self.tally, clone)
        for link in self.ties.with_others.get(clone.id, ()):
            self._place_primary(link.primary)
        for link in self.ties.others_with.get(clone.id, ()):
            self.merger.be_pulled(clone.id, link)
        self.tally.record("clone", clone)
        copies = in_placing_order(self.facts, self.tally, clone)
        if not all(self._is_settled(copy.id) for copy in copies):
            place_copies(self, clone, copies)
        if clone.promotable:
            copies = self._promote(clone, copies)
        self.copies[clone.id] = tuple(copy.id for copy in copies)
        self._busy.discard(clone.id)

    def _promote(self, clone: CloneInstance, copies: tuple[Copy, ...]) -> tuple[Copy, ...]:
        ranked = promotion.rank(self.facts, self.tally, self.merger, self.ties, clone, copies)
        for found in ranked:
            line = PromotionLine(found.copy.id, found.node or "", found.total)
            self.promotions.append(line)
            for instance in instances_of(found.copy):
                choice = self.choices[instance.id]
                if choice.node is None:
                    continue
                role = Role.PROMOTED if found.is_promoted else Role.UNPROMOTED
                self.choices[instance.id] = replace(choice, role=role)
                self.merger.roles[instance.id] = role
        return tuple(found.copy for found in ranked)

    def place_copy(self, copy: Copy, prefer: str) -> str | None:
        """Place one copy of a clone, where it runs if `prefer` is as good as any."""
        self._preferred = prefer
        if isinstance(copy, GroupInstance):
            self._place_group(copy)
        else:
            self._place_instance(copy)
        self._preferred = ""
        first = next(instances_of(copy))
        return self.choices[first.id].node if first.id in self.choices else None

    def take_back(self, copy: Copy) -> None:
        """Undo the placing of a copy."""
        for instance in instances_of(copy):
            choice = self.choices.pop(instance.id, None)
            self.merger.placed.pop(instance.id, None)
            if choice is not None and choice.node is not None:
                self.load[choice.node] -= 1
                self.room.give_back(instance.id, choice.node)

    def _place_primary(self, key: str) -> None:
        """Place what something wants to be with; its group or clone goes first."""
        item = self._parents.get(key) or self._parents.get(self.ties.items[key].id)
        if item is not None:
            self.place_item(item)

    # --- one instance -----------------------------------------------------------------------

    def _place_instance(self, instance: Instance) -> None:
        if instance.id in self.choices or instance.id in self._busy:
            return
        self._busy.add(instance.id)
        self._merge(instance)
        must_stop = self._must_stop(instance)
        if must_stop:
            self.tally.ban_everywhere(instance.id, "role", must_stop)
        self.tally.record("primitive", instance)
        choice = self._choose(instance, must_stop)
        self.choices[instance.id] = choice
        self.merger.placed[instance.id] = choice.node
        self.merger.roles[instance.id] = choice.role
        if choice.node is not None:
            self.load[choice.node] += 1
            self.room.take(instance.id, choice.node)
        if instance.id in self.facts.connections:
            self._connect(instance, choice)
        self._busy.discard(instance.id)

    def _connect(self, instance: Instance, choice: Choice) -> None:
        """Open or close the node behind a connection, now that its place is known."""
        node = self.nodes.get(instance.id)
        if node is None:
            return
        if choice.node is None:
            node = replace(node, shutting_down=True)
        else:
            # Nobody has to fence what can be asked in a moment.
            unclean = node.unclean and not node.is_unseen
            node = replace(node, online=True, unclean=unclean)
        self.nodes[node.name] = node
        for able in (self._may_run, self.merger.may_run):
            able.discard(node.name)
            if node.may_run:
                able.add(node.name)

    def _merge(self, instance: Instance) -> None:
        """Merge colocations in both directions, the mandatory ones first."""
        mine = self.ties.with_others.get(instance.id, ())
        theirs = self.ties.others_with.get(instance.id, ())
        if instance.number is not None and self._is_first_of_copy(instance):
            mine = (*mine, *self.ties.with_others.get(instance.top, ()))
        if instance.id in self._bundle_of:
            mine = (*mine, *self.ties.with_others.get(self._bundle_of[instance.id], ()))
            theirs = (*theirs, *self.ties.others_with.get(self._bundle_of[instance.id], ()))
        if instance.number is not None and self._is_last_of_copy(instance):
            theirs = (*theirs, *self.ties.others_with.get(instance.top, ()))
        for mandatory in (True, False):
            for link in mine:
                if link.is_mandatory is mandatory:
                    self._place_primary(link.primary)
                    if self._is_settled(link.primary):
                        self.merger.follow(instance.id, link)
            for link in theirs:
                if link.is_mandatory is mandatory:
                    self.merger.be_pulled(instance.id, link)

    def _is_first_of_copy(self, instance: Instance) -> bool:
        group = self.ties.items.get(instance.parent)
        return not isinstance(group, GroupInstance) or group.members[0] is instance

    def _is_last_of_copy(self, instance: Instance) -> bool:
        group = self.ties.items.get(instance.parent)
        return not isinstance(group, GroupInstance) or group.members[-1] is instance

    def _is_settled(self, key: str) -> bool:
        """Tell whether a primary is placed; in a loop it may not be."""
        item = self.ties.items[key]
        if isinstance(item, BundleInstance):
            return all(container.id in self.choices for container in item.copies)
        return all(i.id in self.choices for i in instances_of(item))

    def _must_stop(self, instance: Instance) -> str:
        """Say what forbids the instance to run anywhere, or ""."""
        if not self.facts.is_managed(instance):
            return ""
        if instance.meta.must_stop:
            return "target-role"
        if self.facts.activity[instance.id].must_stop:
            return "on-fail"
        return ""

    def _choose(self, instance: Instance, must_stop: str) -> Choice:
        scores = dict(self.tally.scores[instance.id])
        state = self.facts.activity[instance.id]
        if not self.facts.is_managed(instance):
            here = state.nodes[0] if state.nodes else None
            role = state.role if here is not None else Role.STOPPED
            return Choice(instance.id, here, role, self._why_unmanaged(instance), scores)
        refusal = must_stop or self._refusal(instance)
        if refusal:
            return Choice(instance.id, None, Role.STOPPED, refusal, scores)
        node = self._best(instance, scores)
        if node is None:
            return Choice(instance.id, None, Role.STOPPED, "no node may run it", scores)
        return Choice(instance.id, node, Role.STARTED, self._why(instance, node, scores), scores)

    def _why_unmanaged(self, instance: Instance) -> str:
        if not self.facts.may_start_anything:
            return "fencing is enabled and no fencing device is configured"
        if self.facts.activity[instance.id].blocked:
            return "a failure blocks it"
        return "it is not managed"

    def _refusal(self, instance: Instance) -> str:
        if self.facts.settings.stop_all:
            return "stop-all-resources"
        meta, state = instance.meta, self.facts.activity[instance.id]
        if len(state.nodes) > 1 and meta.multiple_active is MultipleActive.STOP_ONLY:
            return "it was active more than once (multiple-active=stop_only)"
        if instance.is_removed and instance.number is None:
            return "it is no longer configured"
        return ""

    def _best(self, instance: Instance, scores: dict[str, Score]) -> str | None:
        prefer = self._preferred or self._make_room(instance, scores) or self._half_way(instance)
        usable = [n for n, value in scores.items() if n in self._may_run and value >= 0]
        if not usable:
            return None
        here = self.facts.activity[instance.id].here

        def compare(one: str, other: str) -> int:
            if scores[one] != scores[other]:
                return scores[other] - scores[one]
            if self.room.strategy is Strategy.BALANCED and (more := self.room.compare(other, one)):
                return more
            gathers = self.room.strategy is Strategy.MINIMAL
            if not gathers and self.load[one] != self.load[other]:
                return self.load[one] - self.load[other]
            mine, theirs = (one != here, one), (other != here, other)
            return -1 if mine < theirs else 1

        best = min(usable, key=cmp_to_key(compare))
        if prefer in usable and scores[prefer] >= scores[best]:
            return prefer
        keeps = instance.number is None or not instance.is_unique
        if here in usable and here is not None and scores[here] == scores[best] > 0 and keeps:
            return here
        return best

    def _half_way(self, instance: Instance) -> str:
        """Name where a connection was migrating to: what runs behind it need not be disturbed."""
        migrating = self.facts.activity[instance.id].migrating
        return migrating[1] if migrating and instance.id in self.facts.connections else ""

    def _make_room(self, instance: Instance, scores: dict[str, Score]) -> str:
        """Ban nodes without room; name the one to prefer if none has enough for all."""
        if not self.room.matters:
            return ""
        nodes = [name for name in scores if name in self._may_run and scores[name] >= 0]
        lacking, most = self.room.judge(instance, nodes, self.merger.placed)
        for node in lacking:
            text = "not enough room is left"
            self.tally.ban(instance.id, node, "utilization", "placement-strategy", text)
            scores[node] = self.tally.scores[instance.id][node]
        return most

    def _why(self, instance: Instance, node: str, scores: dict[str, Score]) -> str:
        usable = [n for n, value in scores.items() if n in self._may_run and value >= 0]
        if len(usable) == 1:
            return "no other node may run it"
        equal = [n for n in usable if scores[n] == scores[node]]
        if len(equal) == 1:
            return "its score is the highest there"
        if node in self.facts.activity[instance.id].nodes:
            return "it is there already and no node is better"
        return "no node is better and fewer resources are there"


def _add_to(
    total: dict[str, Score], scores: dict[str, Score], factor: float, able: set[str] | None
) -> None:
    """Add weakened scores; a node that can run nothing counts as forbidden."""
    for node, value in scores.items():
        counted = value if able is None or node in able else MINUS_INFINITY
        if node in total and not (counted < 0 and factor < 0):
            total[node] = score.add(total[node], passes.times(counted, factor))


__all__ = ["QuorumPolicy", "place"]
