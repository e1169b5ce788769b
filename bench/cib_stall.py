"""How long the cib's event loop stands still: nothing on it may take over 20 ms.

Two cibs of a generated cluster stand in this process, without sockets: the machine gets an event,
and what it answers is encoded, as the daemon does between two turns of its loop. What the daemon
does in its other thread is left out, and so is the garbage collector, which the daemon freezes.
Times are those of the processor, so that a busy machine shows what an idle one does.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from crm.api import cib as api
from crm.api import membership
from crm.cib import rules, wire
from crm.cib.disk import Append, KeepPromise, Persist, Persisted
from crm.cib.document import Document
from crm.cib.localcopy import Archive
from crm.cib.replica import Replica
from crm.cib.warrants import Standing, Warrant
from crm.model.version import Reign
from crm.plumbing.machine import MessageArrived, Note, Tell

LIMIT_MS = 20.0
_TOOL = "mgmtd"
_CRMD = "crmd"
_HEARTBEAT = membership.SERVICE


def generated(resources: int, nodes: int) -> bytes:
    """Write a CIB of so many Dummies that were probed on every node."""
    primitives = "".join(
        f'<primitive id="d{n}" class="ocf" provider="pacekeeper" type="Dummy"><operations>'
        f'<op id="d{n}-monitor" name="monitor" interval="60s"/></operations></primitive>'
        for n in range(resources)
    )
    names = "".join(f'<node id="uuid-{n}" uname="node{n}"/>' for n in range(nodes))
    states = "".join(_state(node, resources) for node in range(nodes))
    return (
        '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="10" num_updates="0"'
        ' admin_epoch="0"><configuration><crm_config><cluster_property_set id="options">'
        '<nvpair id="o-fencing" name="stonith-enabled" value="false"/></cluster_property_set>'
        f"</crm_config><nodes>{names}</nodes><resources>{primitives}</resources><constraints/>"
        f"</configuration><status>{states}</status></cib>"
    ).encode()


def _state(node: int, resources: int) -> str:
    key = "3:7:4d0fa1e0-3f3a-4c2d-8d0a-0a1b2c3d4e5f"
    history = "".join(
        f'<lrm_resource id="d{n}" class="ocf" provider="pacekeeper" type="Dummy">'
        f'<lrm_rsc_op id="d{n}_last_0" operation_key="d{n}_monitor_0" operation="monitor"'
        ' crm-debug-origin="do_update_resource" crm_feature_set="3.16.1"'
        f' transition-key="{n}:{key}"'
        f' transition-magic="0:7;{n}:{key}" on_node="node{node}" call-id="{n}" rc-code="7"'
        ' op-status="0" interval="0" last-rc-change="1700000000" exec-time="12" queue-time="0"'
        ' op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/></lrm_resource>'
        for n in range(resources)
    )
    return (
        f'<node_state id="uuid-{node}" uname="node{node}" in_ccm="true" crmd="online"'
        f' join="member" expected="member"><lrm id="uuid-{node}"><lrm_resources>{history}'
        "</lrm_resources></lrm></node_state>"
    )


@dataclass
class Cib:
    """One cib, how long its longest turn was since it was asked last, and what it said."""

    name: str
    machine: Replica
    said: list[Tell] = field(default_factory=list)
    longest_ms: float = 0.0

    def turn(self, call: Callable[[], list[object]]) -> None:
        """Have the machine act, and time it with the encoding of what it says."""
        began = time.thread_time()
        effects = call()
        for effect in effects:
            if isinstance(effect, Tell):
                codec = membership.TO_HEARTBEAT if effect.peer == _HEARTBEAT else api.FROM_CIB
                codec.encode(effect.message)
        self.longest_ms = max(self.longest_ms, (time.thread_time() - began) * 1000)
        self.said += [effect for effect in effects if isinstance(effect, Tell)]
        for effect in effects:
            if isinstance(effect, Persist | Append | KeepPromise):
                done = Persisted(effect.ticket, True, may_append=True)
                self.turn(lambda done=done: self.machine.receive(done, time.monotonic()))
            elif not isinstance(effect, Tell | Note | Archive):  # that goes to the other thread
                raise AssertionError(f"nobody carries out {effect!r}")

    def hear(self, peer: str, message: object) -> None:
        """Give the machine a message."""
        self.turn(lambda: self.machine.receive(MessageArrived(peer, message), time.monotonic()))

    def ticks(self) -> None:
        """Let the machine do what it has put off to other turns."""
        limit = time.monotonic() + 10.0
        while (due := self.machine.next_deadline()) is not None and due <= time.monotonic():
            self.turn(lambda: self.machine.tick(time.monotonic()))
            assert time.monotonic() < limit, f"{self.name} does not come to rest"

    def longest(self) -> float:
        """The longest turn since this was asked last. Units: milliseconds.

        Both cibs have one heap here: what one has freed is not to be tidied up in the other's turn.
        """
        bytearray(100_000)  # the allocator tidies up when so much is given back
        longest, self.longest_ms = self.longest_ms, 0.0
        return longest


class Cluster:
    """A master and a follower out of so many nodes; the other followers only say what they have."""

    def __init__(self, text: bytes, nodes: int) -> None:
        self.names = tuple(f"node{number}" for number in range(nodes))
        self.master = self._cib("node0", text)
        self.follower = self._cib("node1", text)
        self.reign = 1
        self._request = 0
        self._former: list[Cib] = []

    def _cib(self, name: str, text: bytes) -> Cib:
        machine = Replica(
            Document.parse(text),
            rules=rules.STANDARD,
            node=name,
            warrant=Warrant(0, Reign(1, "node9")),
            wall=lambda: "now",
            clock=time.time,
            own_user="hacluster",
        )
        cib = Cib(name, machine)
        cib.hear(_HEARTBEAT, self._view())
        cib.hear(_CRMD, api.Subscribe())
        return cib

    def _view(self) -> membership.ViewInstalled:
        members = tuple(
            membership.Member(name, f"uuid-{number}", number, 1)
            for number, name in enumerate(self.names)
        )
        view = membership.View(1, members, True, members and self.names, (), len(members))
        return membership.ViewInstalled(membership.ViewEvent.NEW_MEMBERSHIP, view)

    def replace_follower(self, text: bytes) -> None:
        """Have another life of the follower, with another copy.

        The former one is kept: what freeing it costs is not to be found in the next turn.
        """
        self._former.append(self.follower)
        self.follower = self._cib("node1", text)

    def rule(self) -> None:
        """Let the master begin a reign; every member shows the same copy."""
        self.reign += 1
        self.master.hear(_CRMD, api.BecomeMaster(0, Reign(self.reign, "node0")))
        self.follower.hear(_CRMD, api.BecomeFollower("node0"))
        self.carry()

    def carry(self) -> None:
        """Carry messages between the two, and answer hails for the others, until all is quiet."""
        self.master.ticks()
        self.follower.ticks()
        while self.master.said or self.follower.said:
            for cib, other in (
                (self.master, self.follower),
                (self.follower, self.master),
            ):
                cib.ticks()
                said, cib.said = cib.said, []
                for each in said:
                    if isinstance(each.message, membership.SendCluster):
                        self._deliver(cib, other, each.message)
            self.master.ticks()
            self.follower.ticks()

    def _deliver(self, cib: Cib, other: Cib, sent: membership.SendCluster) -> None:
        if sent.to_node in ("", other.name):
            arrived = membership.ClusterMessage(cib.name, api.SERVICE, sent.payload)
            other.hear(_HEARTBEAT, arrived)
        if cib is not self.master:
            return
        for name in self.names[2:]:
            if sent.to_node in ("", name):
                self._answer_for(name, wire.PEERS.decode(sent.payload))

    def _answer_for(self, name: str, message: object) -> None:
        match message:
            case wire.Hail(reign=reign):
                document = self.master.machine.document
                standing = Standing(Warrant(0, Reign(1, "node9")), 0, 0, 0, document.digest())
                answer: object = wire.Present(reign, reign, standing)
            case wire.Snapshot(reign=reign, sequence=sequence):
                answer = wire.Acknowledge(reign, sequence)
            case wire.Apply(reign=reign, sequence=sequence, digest=digest) if digest:
                answer = wire.Acknowledge(reign, sequence)
            case _:
                return
        payload = wire.PEERS.encode(answer)  # type: ignore[arg-type]  # one of the three
        arrived = membership.ClusterMessage(name, api.SERVICE, payload)
        self.master.hear(_HEARTBEAT, arrived)

    def change(self, *operations: api.Operation, dry_run: bool = False) -> None:
        """Make a change and have it everywhere."""
        self._request += 1
        origin = api.Origin("bench")
        change = api.Change(self._request, operations, origin, dry_run=dry_run)
        self.master.hear(_TOOL, change)
        self.carry()


def _option(value: int) -> api.XmlOperation:
    xml = (
        '<cluster_property_set id="bench"><nvpair id="bench-value" name="pe-input-series-max"'
        f' value="{4000 + value}"/></cluster_property_set>'
    )
    return api.XmlOperation(api.XmlTask.MODIFY, xml.encode(), "crm_config", may_create=True)


def _scenes(text: bytes, nodes: int) -> Iterator[tuple[str, Cluster]]:
    """Play each scene on the cluster, and hand it over right after."""
    cluster = Cluster(text, nodes)
    cluster.master.longest()
    cluster.follower.longest()
    cluster.rule()
    yield "a DC takes over", cluster
    cluster.change(_option(0))
    yield "the first write", cluster
    for number in range(1, 20):
        cluster.change(_option(number))
    yield "a write", cluster
    for number in range(20):
        cluster.change(api.SetNodeAttribute("node1", "uuid-1", "load", str(number)))
    yield "a status update", cluster
    cluster.master.hear(_TOOL, api.Query(1))
    cluster.follower.hear(_TOOL, api.Query(1))
    yield "a query of all", cluster
    cluster.change(api.SetNodeAttribute("node2", "uuid-2", "load", "1"))
    cluster.master.hear(_TOOL, api.Query(1))
    yield "a query after a status update", cluster
    whole = cluster.master.machine.document.text().replace(b'interval="60s"', b'interval="61s"', 1)
    cluster.change(api.XmlOperation(api.XmlTask.REPLACE, whole))
    yield "a replacement of all", cluster
    resources = whole[whole.index(b"<resources>") : whole.index(b"</resources>")] + b"</resources>"
    resources = resources.replace(b'interval="61s"', b'interval="62s"')
    cluster.change(api.XmlOperation(api.XmlTask.REPLACE, resources))
    yield "a replacement of all resources", cluster
    cluster.replace_follower(text)
    cluster.follower.longest()
    cluster.rule()
    yield "a new member is synced", cluster
    newer = text.replace(b'epoch="10"', b'epoch="5000"', 1).replace(b"60s", b"59s", 1)
    cluster.replace_follower(newer)
    cluster.follower.machine._copy.warrant = Warrant(0, Reign(1000, "node9"))
    cluster.follower.longest()
    cluster.rule()
    yield "the DC takes a better copy over", cluster
    yield from _replacements(cluster)


def _replacements(cluster: Cluster) -> Iterator[tuple[str, Cluster]]:
    """Replace the whole document in ways that take more than reading it."""

    def present() -> bytes:
        return cluster.master.machine.document.text()

    def replace(whole: bytes, **options: bool) -> None:
        cluster.change(api.XmlOperation(api.XmlTask.REPLACE, whole), **options)

    replace(present().replace(b"pacekeeper", b"heartbeat").replace(b"1700000000", b"1800000000"))
    yield "one that changes everything", cluster
    cluster.master.hear(_TOOL, api.Query(1))
    cluster.follower.hear(_TOOL, api.Query(1))
    yield "a query after it", cluster
    replace(present().replace(b'60s"', b'61s"'))
    yield "one that changes all resources", cluster
    replace(present().replace(b'name="monitor"', b'name="watch"', 1).replace(b'"d7"', b'"d8"'))
    yield "one that is refused", cluster
    replace(present().replace(b'61s"', b'62s"'), dry_run=True)
    yield "a dry run", cluster
    whole = present()
    place = whole.index(b"<status>") + len(b"<status>")
    replace(whole[:place] + _state(99, 1).encode() + whole[-len(b"</status></cib>") :])
    yield "one that takes all node states away", cluster
    replace(whole.replace(b' epoch="', b' epoch="9', 1))
    yield "one that brings them back", cluster
    cluster.change(api.XmlOperation(api.XmlTask.UPGRADE))
    yield "an upgrade", cluster
    cluster.change(api.XmlOperation(api.XmlTask.DELETE_ALL, xpath="//node_state[@id!='uuid-0']"))
    yield "a deletion of all other node states", cluster
    replace(whole.replace(b' epoch="', b' epoch="99', 1))
    cluster.change(api.XmlOperation(api.XmlTask.ERASE))
    yield "an erasure", cluster


def measure(resources: int, nodes: int) -> bool:
    """Print the longest turn of each scene; True if none is over the limit."""
    text = generated(resources, nodes)
    print(f"longest turn of the loop, {resources} resources on {nodes} nodes, {len(text)} bytes:")
    worst = 0.0
    gc.collect()
    gc.freeze()
    gc.disable()
    for title, cluster in _scenes(text, nodes):
        master, follower = cluster.master.longest(), cluster.follower.longest()
        worst = max(worst, master, follower)
        mark = "" if max(master, follower) <= LIMIT_MS else f"   over {LIMIT_MS:g} ms"
        print(f"  {title:<36} DC {master:7.1f} ms   member {follower:7.1f} ms{mark}", flush=True)
    gc.enable()
    return worst <= LIMIT_MS


if __name__ == "__main__":
    raise SystemExit(0 if measure(1000, 16) else 1)
