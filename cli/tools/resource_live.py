"""What `crm_resource` can only ask of a running cluster: clean up, restart, fail, wait.

Responsible for the words, for bounded waits that say what is waited for, and for putting back what
a restart changed. What has to be done is decided and carried out by the DC.

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

import concurrent.futures
import time
from collections.abc import Iterator

import click

from cli import moves
from cli.subjects import Subject, histories
from cli.tools import namedvalues, result
from cli.tools.resource_request import Request
from cli.tools.resource_scene import TOOL, Scene, failure, wrong_use
from cli.tools.result import Failure
from crm.api import attributes, controller, gateclient
from crm.api import cib as api
from crm.model import digests, score
from crm.model.exit_codes import Exit
from crm.model.graph import ActionKind
from crm.model.writexml import configuration as writing
from crm.plumbing import durations, xml
from crm.plumbing.errors import CrmError, Unreachable
from pengine.facts.instances import CloneInstance, Instance
from pengine.facts.nodes import NodeFacts

LONGEST_WAIT_S = 3600.0
"""How long is waited without --timeout: a transition may hold operations with long timeouts."""

_PROGRESS_S = 3.0
"""How often the person who waits is told what is still to come, if it is something new."""


def _need_cluster(scene: Scene, what: str) -> None:
    if not scene.is_live:
        text = f"{TOOL}: {what} needs a running cluster; CIB_file or CIB_shadow names a file"
        raise Failure(Exit.NOT_CONNECTED, text)


# --- forgetting ---------------------------------------------------------------------------------


def cleanup(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Forget failures, and have what had them looked at again."""
    return _forget(scene, request, answer, failures_only=True)


def refresh(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Forget all that is recorded, and have everything looked at again."""
    return _forget(scene, request, answer, failures_only=False)


def _forget(scene: Scene, request: Request, answer: result.Answer, *, failures_only: bool) -> int:
    node = scene.node(request.node).name if request.node else ""
    if not request.resource:
        _need_cluster(scene, "cleaning up")
        _ask(scene, controller.CleanUp(0, "", node, failures_only))
        answer.line(f"Cleaned up all resources on {node or 'all nodes'}")
        return Exit.OK
    subject = scene.subject(request.resource)
    _need_cluster(scene, "cleaning up")
    if request.operation:
        return _forget_operation(scene, request, answer, subject, node)
    names = histories(scene.facts, subject.item if request.forced else subject.top)
    for name in names:
        _ask(scene, controller.CleanUp(0, name, node, failures_only))
    for name in names:
        for place in [node] if node else _online(scene):
            answer.line(f"Cleaned up {name} on {place}")
    return Exit.OK


def _online(scene: Scene) -> list[str]:
    return [node.name for node in scene.facts.nodes if node.online and not node.is_remote]


def _forget_operation(
    scene: Scene, request: Request, answer: result.Answer, subject: Subject, node: str
) -> int:
    """Forget the failures of one operation only."""
    try:
        interval_ms = durations.parse_ms(request.interval or "0")
    except ValueError as problem:
        raise wrong_use(f"'{request.interval}' is no interval: {problem}") from problem
    for name in histories(scene.facts, subject.item):
        what = f"{name}#{request.operation}_{interval_ms}"
        for place in [node] if node else _online(scene):
            for kind in ("fail-count", "last-failure"):
                update = attributes.UpdateAttribute(f"{kind}-{what}", None, place)
                scene.cib.ask(attributes.SERVICE, update)
            answer.line(f"Cleaned up {request.operation} of {name} on {place}")
    return Exit.OK


def _ask(scene: Scene, message: controller.CleanUp) -> None:
    reply = scene.cib.ask(controller.SERVICE, message)
    if isinstance(reply, controller.ControllerReply) and reply.code:
        raise failure(reply.code, reply.message)


# --- waiting ------------------------------------------------------------------------------------


def wait(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Wait until the cluster has nothing left to do."""
    if _is_mixed(scene):
        answer.line("warning: wait option may not work properly in mixed-version cluster")
    if scene.is_live:
        wait_until_idle(scene, _deadline(request), "the cluster to settle")
        return Exit.OK
    pending = list(_undone(scene))
    if not pending:
        return Exit.OK
    answer.line("Pending actions:")
    for line in pending:
        answer.line(f"\t{line}")
    text = f"{TOOL}: nobody carries out what a file leaves to do, so there is nothing to wait for"
    raise Failure(Exit.TIMEOUT, text)


def _is_mixed(scene: Scene) -> bool:
    """Tell whether the members do not all say that they have the same release."""
    members = [node for node in scene.facts.nodes if not node.is_remote]
    told = {node.attributes.get("#feature-set", "") for node in members}
    return (len(told - {""}) > 1) if scene.is_live else ("" in told or len(told) > 1)


def _undone(scene: Scene) -> Iterator[str]:
    """Yield the actions that are to be done, as the classic tool names them."""
    from pengine import schedule  # only who waits for a file pays for it

    graph = schedule(scene.cluster, scene.now).graph
    for action in (each for synapse in graph.synapses for each in synapse.actions):
        if action.kind is not ActionKind.PSEUDO:
            yield f"Action {action.id}: {action.key}\ton {action.node}"


def _deadline(request: Request) -> float:
    limit_s = LONGEST_WAIT_S if request.timeout_s is None else request.timeout_s
    return time.monotonic() + limit_s


def wait_until_idle(scene: Scene, deadline: float, what: str) -> None:
    """Wait until the DC says that nothing is left to do, and tell who waits what is still to come.

    Units: the deadline is a monotonic time in seconds.
    Raises: Failure if that takes too long, or cannot be.
    """
    _say(f"Waiting for {what}")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        # A session belongs to one thread: the one that waits has its own.
        waiting = pool.submit(_wait_in_own_session, scene, deadline)
        told: tuple[str, ...] = ()
        while not concurrent.futures.wait([waiting], timeout=_PROGRESS_S).done:
            pending = _pending(scene)
            if pending and pending != told:
                _say(f"  still to be done: {', '.join(pending)}")
                told = pending
        reply = waiting.result()
    if reply.code:
        raise failure(reply.code, reply.message or f"waiting for {what} came to nothing")


def _wait_in_own_session(scene: Scene, deadline: float) -> controller.ControllerReply:
    limit_s = max(0.1, deadline - time.monotonic())
    try:
        with gateclient.connect(scene.root, name=TOOL, timeout_s=limit_s) as session:
            reply = session.ask(controller.SERVICE, controller.WaitUntilIdle(0), timeout_s=limit_s)
    except gateclient.AnswerTimeout:
        text = "the cluster still has something to do: see crm_mon, or give a longer --timeout"
        return controller.ControllerReply(0, int(Exit.TIMEOUT), text)
    except Unreachable as problem:
        return controller.ControllerReply(0, int(Exit.NOT_CONNECTED), str(problem))
    if isinstance(reply, controller.ControllerReply):
        return reply
    return controller.ControllerReply(0, int(Exit.ERROR), "crmd answered with something else")


def _pending(scene: Scene) -> tuple[str, ...]:
    """Ask what the running transition has left; nothing if nobody can say."""
    try:
        found = scene.cib.ask(controller.SERVICE, controller.AskController(0))
    except CrmError:
        return ()
    return found.pending_actions if isinstance(found, controller.ControllerDescription) else ()


def _say(text: str) -> None:
    """Tell the person who waits at once; the answer proper comes at the end."""
    click.echo(text, err=True)


# --- restarting ---------------------------------------------------------------------------------


def restart(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Stop a resource, and what depends on it, and let it start again."""
    subject = scene.subject(request.resource)
    places = scene.places(subject.item)
    if not places:
        text = f"{subject.name} is not running anywhere and so cannot be restarted"
        raise failure(Exit.NO_SUCH_OBJECT, text)
    _need_cluster(scene, "restarting")
    whole = subject.parent if isinstance(subject.parent, CloneInstance) else None
    identity = subject.id if whole is None else whole.id
    deadline = _deadline(request)
    hold: _Ban | _Stop
    if request.node and isinstance(subject.top, CloneInstance):
        places = [scene.node(request.node).name]
        hold = _Ban(scene, identity, places[0])
    else:
        hold = _Stop(scene, identity)
    hold.begin()
    try:
        wait_until_idle(scene, deadline, f"{identity} to stop on {', '.join(places)}")
    finally:
        hold.end()
    wait_until_idle(scene, deadline, f"{identity} to start again")
    answer.line(f"Restarted {identity}")
    return Exit.OK


class _Stop:
    """Keeps a resource stopped by its target role, and gives the former one back."""

    def __init__(self, scene: Scene, identity: str) -> None:
        self._scene = scene
        element = scene.element(identity)
        assert element is not None, "a resource that is restarted is configured"
        self._tag, self._id = str(element.tag), identity
        own = [
            pair
            for each in element.iterchildren("meta_attributes")
            for pair in each.iterchildren("nvpair")
            if pair.get("name") == "target-role"
        ]
        self._pair = own[0].get("id") if own else f"{identity}-meta_attributes-target-role"
        self._set = own[0].getparent().get("id") if own else f"{identity}-meta_attributes"
        self._before = own[0].get("value") if own else None

    def begin(self) -> None:
        """Stop it."""
        self._scene.change(self._setting("Stopped"))

    def end(self) -> None:
        """Let it be as it was."""
        if self._before is not None:
            self._scene.change(self._setting(self._before))
            return
        text = f"<nvpair id={xml.quoted(str(self._pair))}/>".encode()
        self._scene.change(api.XmlOperation(api.XmlTask.DELETE, text, section="resources"))

    def _setting(self, value: str) -> api.Operation:
        pair, made, owner = map(xml.quoted, (str(self._pair), str(self._set), self._id))
        text = (
            f"<{self._tag} id={owner}><meta_attributes id={made}>"
            f'<nvpair id={pair} name="target-role" value={xml.quoted(value)}/>'
            f"</meta_attributes></{self._tag}>"
        )
        return api.XmlOperation(
            api.XmlTask.MODIFY, text.encode(), section="resources", may_create=True
        )


class _Ban:
    """Keeps the copy of a clone off one node, and lets it come back."""

    def __init__(self, scene: Scene, identity: str, node: str) -> None:
        self._scene = scene
        self._made = moves.ban(identity, node)

    def begin(self) -> None:
        """Keep it away."""
        text = writing.serialise(self._made)
        self._scene.change(api.XmlOperation(api.XmlTask.CREATE, text, section="constraints"))

    def end(self) -> None:
        """Let it come back."""
        text = f"<rsc_location id={xml.quoted(self._made.id)}/>".encode()
        self._scene.change(api.XmlOperation(api.XmlTask.DELETE, text, section="constraints"))


# --- failing ------------------------------------------------------------------------------------


def fail(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Tell the cluster that a resource has failed on a node, as if a monitor had found it so."""
    if not request.node:
        raise wrong_use("Must supply a node name with -N")
    subject = scene.subject(request.resource)
    node = scene.node(request.node)
    _need_cluster(scene, "telling of a failure")
    instance = subject.item
    if not isinstance(instance, Instance):
        raise wrong_use(f"'{subject.name}' is a container: name what is in it")
    active = [
        each
        for each in subject.copies
        if isinstance(each, Instance) and node.name in scene.facts.activity[each.id].nodes
    ]
    if not active:
        text = f"{subject.name} is not active on {node.name}, so it cannot have failed there"
        raise failure(Exit.NO_SUCH_OBJECT, text)
    there = scene.facts.activity[active[0].id].at(node.name)
    entries = there.entries if there is not None else ()
    agent = instance.resource.agent
    now = scene.now.timestamp()
    # Without a digest of today's parameters the failure would count as one of former times.
    parameters = scene.facts.parameters(instance, node.name)
    operation = scene.facts.operation(instance, "monitor")
    record = api.OperationRecord(
        node=node.name,
        node_id=node.id,
        resource=scene.facts.history_name(active[0]),
        agent_class=agent.standard,
        provider=agent.provider,
        type=agent.type,
        operation="monitor",
        interval_ms=0,
        call_id=max((each.call_id for each in entries), default=0) + 1,
        rc=1,
        status=0,
        transition_key="0:0:0:crm_resource",
        digest=digests.operation_digest({**parameters, **operation.parameters}),
        exit_reason="reported by an administrator",
        last_run=now,
        last_rc_change=now,
    )
    # The count comes first: what the DC does about the failure may depend on it.
    _count_failure(scene, node, f"{record.resource}#monitor_0", round(now))
    scene.change(api.RecordOperations((record,)))
    answer.line(f"Told the cluster that {subject.name} has failed on {node.name}")
    return Exit.OK


def _count_failure(scene: Scene, node: NodeFacts, what: str, now_s: int) -> None:
    """Count one failure more of an operation on a node, as the DC does for one it sees itself."""
    before = namedvalues.number(node.attributes.get(f"fail-count-{what}"))
    count = score.text(score.add(before, score.Score(1)))
    for name, value in ((f"fail-count-{what}", count), (f"last-failure-{what}", str(now_s))):
        update = attributes.UpdateAttribute(name, value, node.name)
        scene.cib.ask(attributes.SERVICE, update)
