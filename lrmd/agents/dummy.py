"""`ocf:pacekeeper:Dummy`: a resource that is nothing but a state file.

For trying out a cluster, and the measure of what an operation costs. It stands in for
`ocf:heartbeat:Dummy` and `ocf:pacemaker:Dummy` where those are not installed.
"""

from __future__ import annotations

import signal
from pathlib import Path

from lrmd.agentkit import agent
from lrmd.agentkit.outcome import OK, Outcome, failed, not_running
from lrmd.agentkit.parameters import Kind, Parameter

MAX_SLEEP_S = 3600


def _sleep_complaint(text: str) -> str:
    return "" if 0 <= int(text) <= MAX_SLEEP_S else f"expected 0 to {MAX_SLEEP_S} seconds"


class Dummy(agent.Agent):
    """Runs when its state file exists."""

    name = "Dummy"
    short = "Example resource that only keeps a state file"
    long = (
        "Does nothing but remember, in a file that a reboot removes, that it is running. Useful to "
        "try out constraints, and as a pattern for agents."
    )
    parameters = (
        Parameter(
            "state",
            "State file",
            "Where the state is kept; if it is not set, a file of the instance's name in the "
            "directory for agents' state.",
            is_unique=True,
        ),
        Parameter(
            "fake",
            "A value without effect",
            "Changing it changes the resource's definition and nothing else.",
            default="dummy",
        ),
        Parameter(
            "op_sleep",
            "Seconds each action takes",
            "Start, stop and monitor wait so long before they act.",
            kind=Kind.INTEGER,
            default="0",
            check=_sleep_complaint,
        ),
        Parameter(
            "fail_start_on",
            "Node on which start fails",
            "Names of nodes, separated by blanks, on which start fails: to watch recovery.",
        ),
    )

    def start(self) -> Outcome:
        """Create the state file."""
        self._take_time()
        if self.node in self.values["fail_start_on"].lower().split():
            raise failed(f"fail_start_on names this node, {self.node}")
        state = self._state()
        state.parent.mkdir(parents=True, exist_ok=True)
        state.touch()
        return OK

    def stop(self) -> Outcome:
        """Remove the state file."""
        self._take_time()
        self._state().unlink(missing_ok=True)
        return OK

    def monitor(self) -> Outcome:
        """Look for the state file."""
        self._take_time()
        return OK if self._state().exists() else not_running()

    def _state(self) -> Path:
        named = self.values["state"]
        if named:
            return Path(named)
        return self.state_dir() / f"Dummy-{self.instance.replace('/', '_')}.state"

    def _take_time(self) -> None:
        seconds = self.values.integer("op_sleep")
        if seconds:
            signal.sigtimedwait([], seconds)
