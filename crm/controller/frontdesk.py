"""Tools' requests at one crmd: passed on to the DC, answered when it has answered.

Responsible for who asked what; not for carrying anything out (the `Office` does).

Theory of operation. A request is sent to the DC under a token of ours and sent again to every new
DC until it is answered; the DC carries each out as if it were the first, so repeating is harmless.
A tool that waits for the cluster to be idle may wait for a DC as well; any other is told at once
that there is none.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from crm.api import controller
from crm.api.peers import ToolAnswer, ToolRequest
from crm.controller.join import Candidate, Step
from crm.controller.outbox import Outbox

MAX_TOOLS = 200
"""So many tools may wait for an answer of the DC."""

ForTheDc = controller.CleanUp | controller.WaitUntilIdle | controller.FenceNode


class FrontDesk:
    """Where tools ask."""

    def __init__(self, outbox: Outbox, candidate: Candidate) -> None:
        self._outbox = outbox
        self._candidate = candidate
        self._waiting: dict[int, tuple[str, ForTheDc]] = {}

    def asked(
        self,
        peer: str,
        message: msgspec.Struct,
        describe: Callable[[int], controller.ControllerDescription],
    ) -> None:
        """Take in what a tool wants: answer it here, or pass it on."""
        match message:
            case controller.AskController(request=request):
                self._outbox.tell(peer, describe(request))
            case controller.CleanUp() | controller.WaitUntilIdle() | controller.FenceNode():
                self._pass_on(peer, message)

    def ask_again(self) -> None:
        """Repeat to a new DC what tools are waiting for."""
        for token, (_peer, message) in self._waiting.items():
            self._outbox.send(self._candidate.dc, ToolRequest(token, message))

    def answered(self, answer: ToolAnswer) -> None:
        """Give the DC's answer to whoever asked."""
        found = self._waiting.pop(answer.token, None)
        if found is not None:
            peer, message = found
            self._reply(peer, message, answer.code, answer.message)

    def forget(self, peer: str) -> None:
        """Drop what a process that is gone was waiting for."""
        for token in [token for token, asked in self._waiting.items() if asked[0] == peer]:
            del self._waiting[token]

    def _pass_on(self, peer: str, message: ForTheDc) -> None:
        if len(self._waiting) >= MAX_TOOLS:
            self._reply(peer, message, 1, "too many tools are waiting already")
            return
        has_joined = self._candidate.step is Step.JOINED
        if not has_joined and not isinstance(message, controller.WaitUntilIdle):
            self._reply(peer, message, 102, "there is no DC at the moment")
            return
        token = self._outbox.next_request()
        self._waiting[token] = (peer, message)
        if has_joined:
            self._outbox.send(self._candidate.dc, ToolRequest(token, message))

    def _reply(self, peer: str, message: ForTheDc, code: int, text: str) -> None:
        self._outbox.tell(peer, controller.ControllerReply(message.request, code, text))
