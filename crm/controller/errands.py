"""What tools want of the DC: to wait until all is done, to forget failures, to fence a node.

Responsible for the requests that are open at this DC and for their answers; not for who asked at
which node (`frontdesk`), nor for scheduling.

Theory of operation. A request comes under a token of the asking crmd and is answered under it,
once it is done or cannot be done. It may come twice, after a join: carrying it out again is
harmless. Whoever waits for the cluster to be idle is entered only after the cib has answered a
question put to it, so that all it had to tell us before has been told.

Source: docs/protocol/transition.md.
"""

from __future__ import annotations

from collections.abc import Callable

from crm.api import cib, fencing
from crm.api.controller import CleanUp, FenceNode, WaitUntilIdle
from crm.api.peers import ToolAnswer, ToolRequest
from crm.controller.conductor import Conductor
from crm.controller.join import JoinRound
from crm.controller.outbox import Outbox
from crm.controller.roster import Roster
from crm.plumbing.machine import notice

MAX_TOOL_REQUESTS = 200
"""So many requests of tools wait at the same time."""


class Errands:
    """The requests of tools at a DC."""

    def __init__(
        self,
        conductor: Conductor,
        *,
        outbox: Outbox,
        roster: Roster,
        join: JoinRound,
        fenced: Callable[[str], None],
    ) -> None:
        self._conductor = conductor
        self._outbox = outbox
        self._roster = roster
        self._join = join
        self._fenced = fenced
        self._open: dict[int, tuple[str, ToolRequest]] = {}
        self._waiters: list[tuple[str, int]] = []

    def forget_waiting(self) -> None:
        """Drop who waits for an answer of the cib: everybody asks again after a join."""
        for question, (_node, request) in list(self._open.items()):
            if isinstance(request.request, WaitUntilIdle):
                del self._open[question]

    def asked(self, node: str, request: ToolRequest) -> None:
        """Take in what a tool wants of the DC."""
        match request.request:
            case WaitUntilIdle():
                self._wait(node, request)
            case CleanUp():
                self._clean_up(node, request, request.request)
            case FenceNode():
                self._fence(node, request, request.request)

    def _answer(self, node: str, token: int, code: int = 0, message: str = "") -> None:
        self._outbox.send(node, ToolAnswer(token, code, message))

    def _wait(self, node: str, request: ToolRequest) -> None:
        """Ask the cib something first: what it had to tell us has then been told."""
        if len(self._open) + len(self._waiters) >= MAX_TOOL_REQUESTS:
            self._answer(node, request.token, 1, "too many tools are waiting already")
            return
        question = self._outbox.next_request()
        self._open[question] = (node, request)
        self._outbox.tell(cib.SERVICE, cib.DescribeCib(question))

    def cib_described(self, description: cib.CibDescription) -> None:
        """Take in a sign that everything the cib had to tell us is in."""
        asked = self._open.pop(description.request, None)
        if asked is not None:
            self._waiters.append((asked[0], asked[1].token))

    def answer_waiters(self) -> None:
        """Tell those who wait that the cluster is at rest."""
        if not self._conductor.is_idle:
            return
        waiters, self._waiters = self._waiters, []
        for node, token in waiters:
            self._answer(node, token)

    def _clean_up(self, node: str, request: ToolRequest, wanted: CleanUp) -> None:
        names = [wanted.node] if wanted.node else list(self._join.joined)
        unknown = [name for name in names if name not in self._join.joined]
        if unknown:
            text = f"node '{unknown[0]}' is not online"
            self._answer(node, request.token, 105, text)
            return
        for name in names:
            if wanted.failures_only:
                self._conductor.clear_failures(name, wanted.resource, with_history=True)
                continue
            self._conductor.clear_failures(name, wanted.resource)
            self._conductor.erase_history(name, wanted.resource)
        what = wanted.resource or "all resources"
        whose = f" for user {wanted.user}" if wanted.user else ""
        text = f"handle_clean_up: {what} on {', '.join(names)}{whose}"
        self._outbox.note(notice("crmd", text))
        self._conductor.want(f"clean-up of {what}")
        self._answer(node, request.token)

    def _fence(self, node: str, request: ToolRequest, wanted: FenceNode) -> None:
        if fencing.SERVICE not in self._outbox.connected:
            self._answer(node, request.token, 102, "the fencing daemon does not run on the DC")
            return
        if wanted.node not in self._roster.uuids:
            self._answer(node, request.token, 105, f"there is no node '{wanted.node}'")
            return
        question = self._outbox.next_request()
        self._open[question] = (node, request)
        self._outbox.tell(fencing.SERVICE, fencing.AskDevices(question, wanted.node))

    def devices_told(self, answer: fencing.Devices) -> None:
        """Fence for a tool if a device can, else say that none can."""
        asked = self._open.pop(answer.request, None)
        if asked is None:
            return
        node, request = asked
        assert isinstance(request.request, FenceNode), "only fencing asks for devices"
        if not answer.names:
            text = f"no fencing device can reach node '{request.request.node}'"
            self._answer(node, request.token, 1, text)
            return
        question = self._outbox.next_request()
        self._open[question] = asked
        self._outbox.tell(
            fencing.SERVICE,
            fencing.Fence(question, request.request.node, user=request.request.user),
        )

    def fencing_ended(self, answer: fencing.Fenced, now: float) -> None:
        """Take in a fencing, ordered by a graph or by a tool."""
        asked = self._open.pop(answer.request, None)
        if asked is None:
            self._conductor.fencing_ended(answer, now)
            return
        node, request = asked
        if answer.rc == 0:
            self._fenced(answer.node)
            self._answer(node, request.token)
        else:
            text = answer.reason or f"node '{answer.node}' could not be fenced (rc={answer.rc})"
            self._answer(node, request.token, 1, text)

    def fencing_lost(self, now: float) -> None:
        """Give up what the fencing daemon was asked: whether it was done is unknown."""
        for question, (node, request) in list(self._open.items()):
            if isinstance(request.request, FenceNode):
                del self._open[question]
                self._answer(node, request.token, 1, "the fencing daemon ended in the middle of it")
        self._conductor.fencing_lost(now)
