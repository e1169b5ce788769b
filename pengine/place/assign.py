"""Chooses a node for every instance, the important ones first.

Placing one thing first places everything it wants to be with; loops of colocations are broken
where they are entered. A member is never placed before its group or clone asks for it.
"""

from __future__ import annotations

from msgspec.structs import replace

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
    instances_of,
)
from pengine.place import passes, promotion
from pengine.place.choosing import Chooser
from pengine.place.clones import Copy, share_out
from pengine.place.company import Company
from pengine.place.following import Following
from pengine.place.ledger import Ledger
from pengine.place.placement import Choice, Placement, PromotionLine, ScoreTable
from pengine.place.promotion import Promoting
from pengine.place.standing import in_placing_order
from pengine.place.tally import Tally
from pengine.place.ties import Tie, Ties
from pengine.place.utilization import Room, importance
from pengine.place.wishes import Wishes


def place(facts: Facts) -> Placement:
    """Choose a node, or none, for every instance."""
    tally = Tally(facts)
    passes.all_passes(facts, tally)
    placing = _Placing(facts, tally)
    ordered = placing.in_order()
    for item in facts.everything:
        # Connections first: where they go decides which nodes there are for the others.
        if item.id in facts.connections:
            placing.place_item(item, placing.target_of(item))
    for item in ordered:
        if isinstance(item, BundleInstance) and placing.ledger.is_settled(item):
            tally.record("bundle", item)  # It is looked at again (case bundle-order-fencing).
        placing.place_item(item)
    for instance in facts.removed:
        placing.place_item(instance)
    table = ScoreTable(tuple(tally.contributions), tuple(tally.lines), tuple(placing.promotions))
    return Placement(
        placing.choices,
        table,
        tuple(placing.ledger.nodes.values()),
        placing.copies,
        tuple(item.id for item in ordered),
    )


class _Placing:
    """The choices made so far; it does not leave the stage."""

    def __init__(self, facts: Facts, tally: Tally) -> None:
        self.facts = facts
        self.tally = tally
        self.ledger = Ledger(facts, tally)
        self.ties = Ties(self.ledger)
        self.room = Room(facts.utilization, self.ledger.nodes)
        self.chooser = Chooser(self.ledger, self.room)
        self.wishes = Wishes(self.ledger, self.ties)
        self.following = Following(self.ledger, self.chooser, self._refuse)
        self.company = Company(self.ledger, self.ties, self.following)
        self.promoting = Promoting(self.ledger, self.ties, self.wishes, self.following)
        self.choices: dict[str, Choice] = {}
        self.copies: dict[str, tuple[str, ...]] = {}
        self.promotions: list[PromotionLine] = []

    def in_order(self) -> list[Placeable]:
        """List the items as they are placed; with a placement strategy by their scores as well."""
        items = list(self.facts.items)
        if not self.room.matters:
            return items
        plain = {node.name: self.ledger.worth(node.name) for node in self.facts.nodes}
        names = self.chooser.sorted(plain, plain)

        def key(item: Placeable) -> tuple[int, ...]:
            return importance(item, self.wishes.standing(item), self.ledger.here(item), names)

        return sorted(items, key=key)

    def target_of(self, item: Placeable) -> str:
        """Name the node a connection is half-way migrated to, or ""."""
        migrating = self.facts.activity[item.id].migrating if isinstance(item, Instance) else None
        return migrating[1] if migrating is not None else ""

    # --- what is placed when ----------------------------------------------------------------

    def place_item(self, item: Placeable, prefer: str = "", *, final: bool = True) -> str | None:
        """Place something with all that is in it; what it is part of goes first.

        A choice that is not final leaves the role open, so that it can be made again.
        """
        match item:
            case Instance():
                return self._place_instance(item, prefer, final=final)
            case GroupInstance():
                return self._place_group(item, prefer, final=final)
            case CloneInstance():
                self._place_clone(item, prefer)
                return None
            case BundleInstance():
                self._place_bundle(item, prefer)
                return None

    def _place_group(self, group: GroupInstance, prefer: str, *, final: bool) -> str | None:
        if self.ledger.is_settled(group) or group.id in self.ledger.busy:
            return None
        self.ledger.busy.add(group.id)
        self.tally.record("group", group)
        nodes = [self.place_item(member, prefer, final=final) for member in group.members]
        self.ledger.busy.discard(group.id)
        self.ledger.shared.add(group.id)
        return next((node for node in nodes if node is not None), None)

    def _place_clone(self, clone: CloneInstance, prefer: str) -> None:
        if self.ledger.is_settled(clone) or clone.id in self.ledger.busy:
            return
        if clone.promotable:
            promotion.attract(self.ledger, clone)
        self.ledger.busy.add(clone.id)
        for tie in self.ties.with_others(clone):
            self.place_item(tie.primary, prefer)
        for tie in self.ties.others_with(clone):
            self.wishes.hear(clone, tie)
        self.tally.record("clone", clone)
        copies = in_placing_order(self.ledger, self.wishes, clone.id, clone.copies)
        share_out(self, clone.id, copies, clone.clone_max, clone.node_max)
        self.ledger.shared.add(clone.id)
        if clone.promotable:
            copies = self._promote(clone, copies)
        self.copies[clone.id] = tuple(copy.id for copy in copies)
        self.ledger.busy.discard(clone.id)

    def _place_bundle(self, bundle: BundleInstance, prefer: str) -> None:
        """Place the containers like copies, then what goes with each, then what runs inside."""
        if self.ledger.is_settled(bundle) or bundle.id in self.ledger.busy:
            return
        self.ledger.busy.add(bundle.id)
        self.tally.record("bundle", bundle)
        containers = in_placing_order(self.ledger, self.wishes, bundle.id, bundle.copies)
        share_out(self, bundle.id, containers, bundle.clone_max, bundle.node_max)
        for replica in bundle.replicas:
            if replica.node:
                self.tally.hosts[replica.node] = self.ledger.node_of.get(replica.container.id) or ""
        for replica in bundle.replicas:
            self._place_replica(replica, bundle.clone, prefer)
        if bundle.clone is not None:
            table = self.tally.scores[bundle.clone.id]
            own = {replica.node for replica in bundle.replicas}
            self.tally.scores[bundle.clone.id] = {
                node: ZERO if node in own else MINUS_INFINITY for node in table
            }
            self._place_clone(bundle.clone, prefer)
        self.ledger.busy.discard(bundle.id)
        self.ledger.shared.add(bundle.id)

    def _place_replica(self, replica: Replica, clone: CloneInstance | None, prefer: str) -> None:
        """Place what goes with a container that is placed."""
        if replica.address is not None:
            for node in self.tally.hosts:
                text = "an address is outside of containers"
                self.tally.ban(replica.address.id, node, "bundle", "bundle", text)
            self.place_item(replica.address, prefer)
        if replica.connection is not None:
            self._stay_with_host(replica)
            self.place_item(replica.connection, prefer)
        if replica.copy is not None and clone is not None:
            self.ledger.busy.add(clone.id)
            self._settle_inside(replica.copy, replica.node)
            self.ledger.busy.discard(clone.id)

    def _stay_with_host(self, replica: Replica) -> None:
        """Keep a connection into a container on a remote node on the member that reaches that.

        A remote node answers one member only (case nested-remote-recovery).
        """
        host = self.ledger.node_of.get(replica.container.id)
        if host is None or replica.connection is None:
            return
        if not self.ledger.nodes[host].is_remote:
            return
        member = self.ledger.node_of.get(self.ledger.nodes[host].connection)
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
        self.place_item(copy, node)

    def _promote(self, clone: CloneInstance, copies: tuple[Copy, ...]) -> tuple[Copy, ...]:
        ranked = self.promoting.promote(clone, copies)
        for found in ranked:
            moment = len(self.tally.lines)
            line = PromotionLine(
                found.copy.id, found.node or "", found.total, moment, found.because
            )
            self.promotions.append(line)
            for instance in instances_of(found.copy):
                choice = self.choices[instance.id]
                if choice.node is not None:
                    role = Role.PROMOTED if found.is_promoted else Role.UNPROMOTED
                    self.choices[instance.id] = replace(choice, role=role)
        return tuple(found.copy for found in ranked)

    def place_copy(self, copy: Copy, prefer: str, *, final: bool) -> str | None:
        """Place one copy of a clone, at `prefer` if that is as good as any."""
        return self.place_item(copy, prefer, final=final)

    def take_back(self, copy: Copy, *, with_members: bool = True) -> None:
        """Undo the placing of a copy, and of what is in it."""
        self.ledger.shared.discard(copy.id)
        for instance in instances_of(copy) if with_members else ():
            self.choices.pop(instance.id, None)
            node = self.ledger.unsettle(instance)
            if node is not None:
                self.room.give_back(instance.id, node)

    # --- one instance -----------------------------------------------------------------------

    def _place_instance(self, instance: Instance, prefer: str, *, final: bool) -> str | None:
        parent = self.ledger.parents.get(instance.id)
        if parent is not None and parent.id not in self.ledger.busy:
            self.place_item(parent, prefer, final=final)
        if self.ledger.is_settled(instance):
            return self.ledger.node_of[instance.id]
        if instance.id in self.ledger.busy:
            return None
        self.ledger.busy.add(instance.id)
        self._merge(instance)
        self._judge_role(instance)
        self.tally.record("primitive", instance)
        if not self.ledger.is_settled(instance):
            self._settle(instance, self._choose(instance, prefer), final=final)
        self.ledger.busy.discard(instance.id)
        if instance.id in self.facts.connections:
            self._connect(instance)
        return self.ledger.node_of[instance.id]

    def _merge(self, instance: Instance) -> None:
        """Merge ties in both directions, the mandatory ones first."""
        mine, theirs = self.ties.with_others(instance), self.ties.others_with(instance)
        for mandatory in (True, False):
            for tie in mine:
                if tie.is_mandatory is mandatory:
                    self._follow(instance, tie)
            for tie in theirs:
                if tie.is_mandatory is mandatory:
                    self.wishes.hear(instance, tie)

    def _follow(self, instance: Instance, tie: Tie) -> None:
        """Let a tie change the scores of a dependent, unless it would leave it nowhere to go."""
        scores = self.tally.scores
        may_undo = tie.dependent_role is Role.PROMOTED or (tie.score < 0 and not tie.is_mandatory)
        before = dict(scores[instance.id]) if may_undo else None
        if not self.ledger.is_settled(tie.primary):
            self.place_item(tie.primary)
        mark = len(self.tally.contributions)
        self.following.apply(instance, tie.primary, tie)
        if before is not None and not self.ledger.any_available(scores[instance.id]):
            scores[instance.id] = before
            del self.tally.contributions[mark:]

    def _judge_role(self, instance: Instance) -> None:
        """Let the role an instance is to have limit where it may go."""
        if self.ledger.next_role.get(instance.id) is Role.STOPPED:
            source, text = self._why_stopped(instance)
            self.tally.ban_everywhere(instance.id, "role", source, text)

    def _why_stopped(self, instance: Instance) -> tuple[str, str]:
        """Name the source of the role Stopped, and say it in words."""
        if instance.meta.must_stop:
            return "target-role", "its target-role is Stopped"
        state = self.facts.activity[instance.id]
        if state.must_stop and not state.failed:
            return "node", "it goes with its node"
        if state.must_stop or state.limit is Role.STOPPED:
            return "on-fail", "its failure asks for a stop"
        return "colocation", "nothing it has to be with can be had"

    def _refuse(self, instance: Instance) -> None:
        """Settle that an instance goes nowhere, before its scores are looked at."""
        self.ledger.next_role[instance.id] = Role.STOPPED
        scores = dict(self.tally.scores[instance.id])
        text = "no copy it has to be with can be had"
        self._settle(instance, Choice(instance.id, None, Role.STOPPED, text, scores), final=True)

    def _settle(self, instance: Instance, choice: Choice, *, final: bool) -> None:
        self.choices[instance.id] = choice
        node = choice.node
        weight = choice.final_scores.get(node, ZERO) if node is not None else ZERO
        if node is not None and not self.facts.is_managed(instance):
            weight = self.ledger.worth(node)
        self.ledger.settle(instance, node, weight)
        if node is not None:
            self.room.take(instance.id, node)
        elif final:
            self.ledger.next_role[instance.id] = Role.STOPPED
        if not self.facts.is_managed(instance) and node is not None:
            self.ledger.next_role[instance.id] = self._role_left(instance, choice)

    def _role_left(self, instance: Instance, choice: Choice) -> Role:
        """Give the role of what is left alone; a copy that was never demoted counts as started."""
        told = self.facts.activity[instance.id].at(choice.node or "")
        if choice.role is not Role.UNPROMOTED or told is None:
            return choice.role
        steps = [e.operation for e in told.entries if e.operation in ("start", "demote")]
        return choice.role if steps[-1:] == ["demote"] else Role.STARTED

    def _connect(self, instance: Instance) -> None:
        """Open or close the node behind a connection, now that its place is known."""
        node = self.ledger.nodes.get(instance.id)
        if node is None:
            return
        if self.ledger.node_of[instance.id] is None:
            node = replace(node, shutting_down=True)
        else:
            # Nobody has to fence what can be asked in a moment.
            unclean = node.unclean and not node.is_unseen
            node = replace(node, online=True, unclean=unclean)
        self.ledger.nodes[node.name] = node
        self.ledger.may_run.discard(node.name)
        if node.may_run:
            self.ledger.may_run.add(node.name)

    # --- the choice ---------------------------------------------------------------------------

    def _choose(self, instance: Instance, prefer: str) -> Choice:
        scores = dict(self.tally.scores[instance.id])
        state = self.facts.activity[instance.id]
        if not self.facts.is_managed(instance):
            role = state.role if state.here is not None else Role.STOPPED
            return Choice(instance.id, state.here, role, self._why_unmanaged(instance), scores)
        if self.facts.settings.stop_all:
            text = "stop-all-resources is set"
            return Choice(instance.id, None, Role.STOPPED, text, scores)
        if instance.is_removed and instance.number is None:
            text = "it is no longer configured"
            return Choice(instance.id, None, Role.STOPPED, text, scores)
        roomy = self._make_room(instance, scores)
        node = self.chooser.best(instance, scores, prefer or roomy)
        if node is None:
            return Choice(instance.id, None, Role.STOPPED, self._why_nowhere(instance), scores)
        return Choice(instance.id, node, Role.STARTED, self._why(instance, node, scores), scores)

    def _make_room(self, instance: Instance, scores: dict[str, Score]) -> str:
        """Ban nodes without room; name the one to prefer if none has enough for all."""
        if not self.room.matters:
            return ""
        nodes = [name for name in scores if self.ledger.is_available(name, scores)]
        lacking, most = self.room.judge(instance.id, self.company.of(instance), nodes)
        for node in lacking:
            text = "not enough room is left"
            self.tally.ban(instance.id, node, "utilization", "placement-strategy", text)
            scores[node] = self.tally.scores[instance.id][node]
        return most

    def _why_unmanaged(self, instance: Instance) -> str:
        if not self.facts.may_start_anything:
            return "fencing is enabled and no fencing device is configured"
        if self.facts.activity[instance.id].blocked:
            return "a failure blocks it"
        return "it is not managed"

    def _why_nowhere(self, instance: Instance) -> str:
        if self.ledger.next_role.get(instance.id) is Role.STOPPED:
            return self._why_stopped(instance)[1]
        meta, state = instance.meta, self.facts.activity[instance.id]
        if len(state.nodes) > 1 and meta.multiple_active is MultipleActive.STOP_ONLY:
            return "it was active more than once (multiple-active=stop_only)"
        return "no node may run it"

    def _why(self, instance: Instance, node: str, scores: dict[str, Score]) -> str:
        usable = [n for n in scores if self.ledger.is_available(n, scores)]
        if len(usable) == 1:
            return "no other node may run it"
        equal = [n for n in usable if scores[n] == scores[node]]
        if len(equal) == 1:
            return "its score is the highest there"
        if node in self.facts.activity[instance.id].nodes:
            return "it is there already and no node is better"
        return "no node is better and fewer resources are there"
