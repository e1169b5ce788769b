"""The duties of the master: one order of changes, on every member's disk before it is answered.

Theory of operation
-------------------
*Reigns.* Each mastery has a reign, greater than any this node has heard of. The master speaks
first: it hails every member. A member that has promised nothing greater makes the promise to
this reign durable and presents the standing of its copy; from then on it accepts nothing of an
earlier reign. If it has promised more, its answer says so, and the master takes a greater reign
and hails again. If its copy is the better one, the master asks for it and takes it over; if
several are, one at a time, and the next one when that fails or was not the best.

*Installing.* Every member that has presented itself gets a snapshot, and from then on each
change, numbered without gaps within the reign. A member that finds a gap, or another digest
than it is told, presents itself again and gets another snapshot. So the copy of an installed
member is always an earlier state of the master's copy.

*Changes.* A change of the status is applied, answered, and replicated in batches. A change of
the configuration waits until every member of the view has presented itself in this reign, no copy
that was presented is better than ours, and our own promise is durable ("settled"). If the view is
quorate it is stamped: the copy's warrant (`warrants`) names this reign, and the version reached.
It is answered OK when it is durable here and at every member of the view (`vouching`, which says
why nothing acknowledged is lost). Members that leave the
view are no longer waited for while the view stays quorate; when quorum is lost, what was not
answered is answered "unknown".

*Lives.* A master hails before its own promise is durable. When it dies then, its next life may take
the same reign, and number anew. So an acknowledgement names the life of the master whose snapshot
the member had, and counts in no other; what was presented to the first life is true for the second,
and stamped nothing was: that waits for the promise.

*What may be lost:* any message (hails are repeated each second, snapshots asked for again),
changes of the status that were replicated to nobody (the DC's join writes them anew), and
configuration changes that were never acknowledged.

Source: docs/protocol/cib.md, decision 4 of the design.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from crm.api import cib as api
from crm.api.membership import View
from crm.cib import drafts, objections, operations, wire
from crm.cib.bettercopies import FETCH_S, BetterCopies
from crm.cib.disk import Disk, Mark
from crm.cib.drafts import Draft
from crm.cib.errands import Errands
from crm.cib.failing import Failing
from crm.cib.localcopy import LocalCopy
from crm.cib.outbox import Answer, Asker, Outbox, RemoteAsker
from crm.cib.replication import Replication
from crm.cib.slices import SLICE_BYTES
from crm.cib.snapshots import Reading
from crm.cib.unanswered import Pending, Unanswered
from crm.cib.vouching import Vouching
from crm.cib.warrants import Standing, pair_of
from crm.model.version import Reign
from crm.plumbing import errors

HAIL_AGAIN_S = 1.0
BEHIND_S = 5.0
"""A member that has not acknowledged for so long, and has no reason, is hailed again."""

GRACE_S = 1.0
"""How long status changes wait for the members' copies when a reign begins."""

HELD_S = 10.0
ACKNOWLEDGE_S = 20.0
SYNC_S = 10.0
MAX_HELD = 2_000
MAX_PENDING = 2_000


@dataclass(frozen=True, slots=True)
class _Held:
    asker: Asker
    change: api.Change
    until: float


class Mastery:
    """One reign of this node, from `BecomeMaster` until somebody else rules.

    `wall` gives the time of day as text for `cib-last-written`, `clock` gives it in seconds
    since 1970 for the history. `life` is a number that no other life of this process had.
    """

    def __init__(
        self,
        *,
        node: str,
        reign: Reign,
        copy: LocalCopy,
        disk: Disk,
        outbox: Outbox,
        wall: Callable[[], str],
        clock: Callable[[], float],
        now: float,
        slice_bytes: int = SLICE_BYTES,
        life: int = 0,
    ) -> None:
        self.node = node
        self.reign = reign
        self.promise_kept = False
        self.promise_problem = ""
        self._was_settled = False
        self._copy = copy
        self._disk = disk
        self._outbox = outbox
        self._wall = wall
        self._clock = clock
        self._grace_until = now + GRACE_S
        self._hail_at = now + HAIL_AGAIN_S
        self._check_at = now + BEHIND_S
        self._checked_sequence = 0
        self._view: View | None = None
        self._following = Replication(
            reign, copy, outbox, life=life, slice_bytes=slice_bytes, now=now
        )
        self._failing = Failing(outbox, node, reign)
        self._better = BetterCopies(reign, copy, outbox, slice_bytes)
        """Whose copy must be taken over before anything is settled."""
        self._slice_bytes = slice_bytes
        self._held: deque[_Held] = deque()
        self._draft: Draft | None = None
        """A large change under way; all others are held until it has ended."""
        self._untold: wire.Replicated | None = None
        """A replacement the subscribers are not told of yet: a DC who hears of it rules anew, and
        who waits for an answer would be told that its outcome is not known."""
        self._unanswered = Unanswered(outbox, lambda: copy.document.version)
        self._vouching = Vouching(reign, copy, disk, self._following, self._unanswered)
        self._errands = Errands(outbox)
        self._last_tried = now
        outbox.to_node("", wire.Hail(reign))

    # --- what the replica tells -----------------------------------------------------------------

    @property
    def members(self) -> tuple[str, ...]:
        """The other members of the view."""
        return self._following.members

    @property
    def sequence(self) -> int:
        """The place in the sequence of this reign where our copy is now."""
        return self._following.sequence

    @property
    def is_settled(self) -> bool:
        """Tell whether every member has promised this reign, and has nothing better than we."""
        return (
            self._view is not None
            and self.promise_kept
            and not self._better
            and self._following.are_all_presented
        )

    def viewed(self, view: View | None, now: float) -> None:
        """Take in the membership: forget who left, hail who came."""
        self._view = view
        self._vouching.has_quorum = view is not None and view.quorate
        members = () if view is None else view.members
        self._following.members = tuple(
            member.name for member in members if member.name != self.node
        )
        for node in [*self._following.known, *self._failing.reasons]:
            if node not in self.members or (view is not None and node in view.lost):
                self.forget(node)
        if not self._may_write_without_force():
            self._unanswered.give_up("quorum was lost", lambda pending: not pending.forced)
        for node in self.members:
            if node not in self._following.presented:
                self._outbox.to_node(node, wire.Hail(self.reign))
        self.advance(now)

    def hail(self, node: str, *, again: bool) -> None:
        """Hail a node whose cib runs; `again`: it has just started, what it knew is gone."""
        if again:
            self.forget(node)
        elif node in self._following.presented:
            return
        self._outbox.to_node(node, wire.Hail(self.reign))

    def forget(self, node: str) -> None:
        """Forget the life of a cib that has ended."""
        self._following.forget(node)
        self._better.forget(node)
        self._failing.forget(node)

    def presented(self, node: str, message: wire.Present, now: float) -> None:
        """Compare a member's copy with ours: take the better one, give it the snapshot."""
        if message.reign != self.reign:
            return
        self._following.has_presented(node, message.standing)
        self._failing.reasons.pop(node, None)  # it could write the promise
        self._following.flush(now)
        self._take_or_install(node, now)
        self._following.send_snapshot(now)
        self.advance(now)

    def _take_or_install(self, node: str, now: float) -> None:
        if self._is_better(self._following.presented[node]):
            self._better.add(node)
            self._better.ask(now)
        else:
            self._better.drop(node)
            self._following.install(node)

    def _is_better(self, theirs: Standing) -> bool:
        """Tell whether a member's copy must be taken over.

        Once the reign has been settled, a copy with our configuration is not better only because
        it counted more changes of the status: a newcomer's status is older than ours.
        """
        ours = self._copy.standing()
        if self._was_settled and theirs.digest == ours.digest and theirs.warrant == ours.warrant:
            return (theirs.admin_epoch, theirs.epoch) > (ours.admin_epoch, ours.epoch)
        return theirs > ours

    def given(self, node: str, message: wire.Snapshot, now: float) -> None:
        """Take over the better copy once it is read, and install it everywhere."""
        self._better.given(node, message, now)
        self._read_on(now)

    def _read_on(self, now: float) -> None:
        """Read a slice of the copy that was asked for; nothing is changed until it is read."""
        node = self._better.awaited
        try:
            reading = self._better.read_on()
        except (errors.RemoteProtocolError, errors.ConfigurationError) as problem:
            self._outbox.error(f"cib_peer_callback: The copy of {node} is of no use: {problem}")
            self.forget(node)
            return
        if reading is None:
            return
        if self._copy.is_beaten_by(reading.document, reading.snapshot.warrant):
            self._take_over(node, reading, now)
        else:
            self.hail(node, again=True)  # another life of it, with less than it had presented

    def _take_over(self, node: str, reading: Reading, now: float) -> None:
        self._put_draft_back()
        version = self._copy.document.version
        adopted = self._copy.adopt_reading(reading, node, self._clock())
        self._outbox.info(f"Took the CIB of {node}: {version} -> {self._copy.document.version}")
        if adopted.given_up is not None:
            self._outbox.warn(f"Archived our configuration: {adopted.given_up.reason}")
            self._outbox.add(adopted.given_up)
        self._unanswered.give_up(f"the better copy of {node} was taken over")
        self._following.begin_anew()
        if adopted.configuration_differs:
            self._disk.want()
        if adopted.differs:
            self._outbox.replaced(self._copy.document.version)
        self._better.clear()
        for member in self._following.presented:
            self._take_or_install(member, now)
        self._following.send_snapshot(now)
        self.advance(now)

    def acknowledged(self, node: str, message: wire.Acknowledge, now: float) -> None:
        """Note how far a member has come."""
        if message.reign != self.reign or node not in self.members:
            return
        if message.problem:
            self._failing.reasons[node] = message.problem
            if message.is_broken:
                self._failing.broken.add(node)
                self._failing.dismiss(self._view, self._failing_disks())
            self._unanswered.report_undurable(message.sequence, f"{node}: {message.problem}")
        elif self._following.acknowledged(message, node):
            self._failing.reasons.pop(node, None)
        self.advance(now)

    def written(self, mark: Mark, now: float) -> None:
        """Note that our own write ended, one way or the other."""
        if self._disk.is_broken:
            self.own_disk_is_broken()
        if self._disk.problem:
            sequence = mark[1] if mark[0] == self.reign else 0
            self._unanswered.report_undurable(sequence, f"{self.node}: {self._disk.problem}")
        self.advance(now)

    def own_disk_is_broken(self) -> None:
        """Leave, if the others can do without us."""
        self._failing.broken.add(self.node)
        self._failing.dismiss(self._view, self._failing_disks())

    def asked(self, asker: Asker, change: api.Change, now: float) -> None:
        """Make a change, or hold it until it may be made."""
        if self._may_begin(change, now):
            self._make(asker, change, now, now + HELD_S)
        elif (hopeless := self._hopeless(change)) is not None:
            self._refuse(asker, hopeless)
        elif len(self._held) >= MAX_HELD:
            self._not_ready(asker, "too many changes are waiting")
        else:
            self._held.append(_Held(asker, change, now + HELD_S))

    def fetch(self, peer: str, request: int, node: str, now: float) -> None:
        """Answer when our copy is at least as good as that of `node`."""
        self._errands.fetch(peer, request, node, now + FETCH_S)
        self.advance(now)

    def sync(self, peer: str, request: int, nodes: tuple[str, ...], now: float) -> None:
        """Answer when these nodes have our document."""
        others = tuple(node for node in nodes if node != self.node)
        if set(others) >= set(self.members):
            self._outbox.info("sync_our_cib: Syncing CIB to all peers")
        else:
            for node in others:
                self._outbox.info(f"sync_our_cib: Syncing CIB to {node}")
        self._following.flush(now)
        sequence = self._following.configuration_sequence
        self._errands.sync(peer, request, others, sequence, now + SYNC_S)
        self.advance(now)

    def end(self) -> list[tuple[Asker, api.Change]]:
        """Leave office: nobody knows how pending changes end; held ones were not begun."""
        self._unanswered.give_up("another master took over")
        self._errands.give_up()
        self._tell_of_replacement()
        self._put_draft_back()
        return [(held.asker, held.change) for held in self._held]

    # --- time ---------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Act on deadlines."""
        self._read_on(now)
        self._following.send_snapshot(now)
        self._go_on(now)
        if now >= self._hail_at:
            self._hail_at = now + HAIL_AGAIN_S
            for node in self.members:
                if node not in self._following.presented:
                    self._outbox.to_node(node, wire.Hail(self.reign))
        if now >= self._check_at:
            for node in self._laggards():
                self._outbox.to_node(node, wire.Hail(self.reign))
            self._check_at = now + BEHIND_S
            self._checked_sequence = self._following.configuration_sequence
        if late := self._better.overdue(now):
            self.forget(late)
        self._following.send_batch(now)
        self.advance(now)
        while self._held and now >= self._held[0].until:
            self._not_ready(self._held.popleft().asker, self._why_not_settled())
        while (pending := self._unanswered.first) is not None and now >= pending.until:
            silent = ", ".join(self.behind(self.members, pending.sequence)) or self.node
            self._unanswered.give_up_first(f"no acknowledgement from {silent}")

    def next_deadline(self) -> float | None:
        """Say when `tick` is due."""
        due: list[float] = []
        if self._draft is not None:
            due.append(0.0)  # in the next turn
        due.extend(self._better.deadlines())
        if not self._following.are_all_presented:
            due.append(self._hail_at)
        if self.behind(self.members, self._following.configuration_sequence):
            due.append(self._check_at)
        due.extend(self._following.deadlines())
        if self._held:
            due.append(self._held[0].until)
            if self._grace_until < self._held[0].until and self._grace_until > self._last_tried:
                due.append(self._grace_until)
        if self._unanswered.first is not None:
            due.append(self._unanswered.first.until)
        due.extend(self._errands.deadlines())
        return min(due, default=None)

    def advance(self, now: float) -> None:
        """Do what has become possible: held changes, answers, syncs, fetches."""
        self._last_tried = now
        self._better.ask(now)
        self._was_settled = self._was_settled or self.is_settled
        self._make_held(now)
        self._vouching.proceed(now, is_settled=self.is_settled)
        if self._tell_of_replacement():
            self._make_held(now)
        self._errands.proceed(self, self._copy.document.version, now)

    def _make_held(self, now: float) -> None:
        """Make what was held and may be made now."""
        held, self._held = self._held, deque()
        for item in held:
            if self._may_begin(item.change, now):
                self._make(item.asker, item.change, now, item.until)
            elif (hopeless := self._hopeless(item.change)) is not None:
                self._refuse(item.asker, hopeless)
            else:
                self._held.append(item)

    # --- making changes -----------------------------------------------------------------------

    @property
    def _is_changing_much(self) -> bool:
        """Tell whether a large change is being made, spread, or still to be told of."""
        return self._draft is not None or self._following.is_spreading or self._untold is not None

    def _may_begin(self, change: api.Change, now: float) -> bool:
        if self._is_changing_much:
            return False
        if api.touches_configuration(change.operations) and not change.dry_run:
            return self.is_settled and not self._vouching.is_undecided
        return self.is_settled or (now >= self._grace_until and not self._better.is_one_known)

    def _hopeless(self, change: api.Change) -> objections.Refusal | None:
        """Say what will keep a change from being made, whoever's copy wins: disks that refuse."""
        configuration = api.touches_configuration(change.operations) and not change.dry_run
        failing = self._failing_disks() if configuration else {}
        return objections.not_durable(failing) if failing else None

    def _failing_disks(self) -> dict[str, str]:
        """Name the members that cannot write, and why."""
        own = self._disk.problem or self.promise_problem
        return {**self._failing.reasons, **({self.node: own} if own else {})}

    def _may_write_without_force(self) -> bool:
        return self._vouching.has_quorum or objections.no_quorum_policy(self._copy) == "ignore"

    def _make(self, asker: Asker, change: api.Change, now: float, until: float) -> None:
        """Make a change, or begin to; `until` says how long it may still be held if need be."""
        copy = self._copy
        if self._is_refused(asker, change):
            return
        stamp = self._stamp(change.origin)
        if drafts.is_too_large(change.operations, copy.document, self._slice_bytes):
            self._draft = Draft(asker, change, copy, stamp=stamp, until=until)
            return
        carried = operations.carry_out(
            copy.document,
            change.operations,
            copy.rules,
            stamp=stamp,
            dry_run=change.dry_run,
            status_only=not api.touches_configuration(change.operations),
            guard=copy.guard(change.origin),
        )
        self._made(asker, change, carried, now)

    def _go_on(self, now: float) -> None:
        """Go on with a large change; keep it when it is done, if it may still be made then."""
        draft = self._draft
        if draft is None or not draft.advance(self._slice_bytes):
            return
        self._put_draft_back()
        if self._may_begin(draft.change, now):
            self._held.popleft()
            if not self._is_refused(draft.asker, draft.change):
                self._keep(draft, now)
        self.advance(now)

    def _keep(self, draft: Draft, now: float) -> None:
        """Make the copy that holds a large change our document."""
        if draft.carried.patch:
            self._copy.exchange(draft.take())
        self._made(draft.asker, draft.change, draft.carried, now)

    def _put_draft_back(self) -> None:
        """Let a large change begin anew when that is possible."""
        if self._draft is not None:
            self._copy.free(self._draft.taken_apart())
            self._held.appendleft(_Held(self._draft.asker, self._draft.change, self._draft.until))
            self._draft = None

    def _is_refused(self, asker: Asker, change: api.Change) -> bool:
        """Refuse a change that must not be made as things are."""
        refusal = self._objection(change)
        if refusal is not None:
            self._refuse(asker, refusal)
        return refusal is not None

    def _refuse(self, asker: Asker, refusal: objections.Refusal) -> None:
        outcome, problem = refusal
        self._outbox.refuse(asker, outcome, self._copy.document.version, problem)

    def _made(
        self, asker: Asker, change: api.Change, carried: operations.Carried, now: float
    ) -> None:
        """Tell the members of a change that was carried out, and answer it or let it wait."""
        configuration = api.touches_configuration(change.operations)
        answer = Answer(
            carried.outcome, carried.after, api.findings_of(carried.findings), carried.xml
        )
        if carried.patch:
            self._replicate(carried, change.origin, now)
        if carried.outcome is api.Outcome.OK and not change.dry_run:
            self._vouching.decide_alone(change, carried.after, now)
        if carried.outcome is api.Outcome.OK and configuration and not change.dry_run:
            # A change that changes nothing says "it is so": that, too, must be durable first, and
            # stamped, or it would lose against what an earlier master could tell nobody of.
            self._unanswered.add(
                Pending(
                    self._following.configuration_sequence,
                    asker,
                    answer,
                    now + ACKNOWLEDGE_S,
                    change.force,
                    pair_of(carried.after),
                    carried.after.admin_epoch if self._vouching.has_quorum else 0,
                    self.reign if api.is_somebodys(change.operations) else Reign(),
                )
            )
            self._vouching.answer(now, is_settled=self.is_settled)
        else:
            if isinstance(asker, RemoteAsker):
                self._following.flush(now)
                answer = replace(answer, shown_from=(self.reign, self.sequence))
            self._outbox.answer(asker, answer)
        self._tell_of_replacement()

    def _tell_of_replacement(self) -> bool:
        """Tell the subscribers that the document was replaced, once nobody waits for an answer."""
        if self._untold is None or self._unanswered:
            return False
        self._outbox.changed(self._untold, alone=not self.members)
        self._untold = None
        return True

    def _objection(self, change: api.Change) -> objections.Refusal | None:
        configuration = api.touches_configuration(change.operations)
        stale = objections.objection_to_base(change, self._copy)
        if stale is not None or not configuration or change.dry_run:
            return stale
        if not change.force and not self._may_write_without_force():
            return objections.no_quorum()
        if failing := self._failing_disks():
            return objections.not_durable(failing)
        return objections.busy() if len(self._unanswered) >= MAX_PENDING else None

    def _stamp(self, origin: api.Origin) -> dict[str, str]:
        stamp = {
            "cib-last-written": self._wall(),
            "update-origin": origin.node or self.node,
            "update-client": origin.client,
        }
        if origin.user:
            stamp["update-user"] = origin.user
        return stamp

    def _replicate(self, carried: operations.Carried, origin: api.Origin, now: float) -> None:
        at = self._clock() if carried.configuration else 0
        change = wire.Replicated(
            carried.before,
            carried.after,
            carried.patch,
            carried.touched,
            origin,
            carried.replaced,
            at,
        )
        digest = ""
        if carried.configuration:
            self._vouching.stamp(carried.after)
            digest = self._copy.document.digest()
            self._copy.note(carried.trace, change, digest, self.node, self._copy.warrant)
            self._disk.want()
        if self._following.is_too_much(change):
            self._following.spread(now, configuration=carried.configuration)
        else:
            self._following.pass_on(change, digest, now)
        if carried.replaced:
            self._untold = change
        else:
            # The members first, whose disks everybody waits for.
            self._outbox.changed(change, alone=not self.members)

    # --- answering ----------------------------------------------------------------------------

    def _not_ready(self, asker: Asker, reason: str) -> None:
        problem = errors.error("not-ready", "cib", reason, "try again")
        version = self._copy.document.version
        self._outbox.refuse(asker, api.Outcome.NOT_READY, version, problem)

    def _why_not_settled(self) -> str:
        if self._view is None:
            return "there is no membership yet"
        silent = [member for member in self.members if member not in self._following.presented]
        if silent:
            return f"no word from the cib of {', '.join(silent)}"
        if self._better.awaited:
            return f"waiting for the copy of {self._better.awaited}"
        if self._is_changing_much:
            return "a large change is being made"
        if self._vouching.is_undecided:
            sequence = self._following.configuration_sequence
            missing = ", ".join(self.behind(self.members, sequence)) or self.node
            return f"a raised admin_epoch is not on the disk of {missing} yet"
        return "the disk is slow"

    # --- what errands ask -----------------------------------------------------------------------

    def holds_copy_of(self, node: str) -> bool:
        """Tell whether our copy is at least as good as that of `node`."""
        theirs = self._following.presented.get(node)
        return node == self.node or (
            theirs is not None and not self._better.awaited and not self._is_better(theirs)
        )

    def behind(self, nodes: Iterable[str], sequence: int) -> tuple[str, ...]:
        """Name those of these nodes that have not acknowledged all up to `sequence`."""
        return self._following.behind(nodes, sequence)

    def _laggards(self) -> list[str]:
        """Name the members that should have acknowledged by now and did not say why not."""
        behind = self.behind(self.members, self._checked_sequence)
        return [
            n for n in behind if n in self._following.presented and n not in self._failing.reasons
        ]

    def has_left(self, node: str) -> bool:
        """Tell whether a node is no member any more."""
        return self._view is not None and node not in self.members and node != self.node
