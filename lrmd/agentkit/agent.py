"""What an OCF agent of ours is: a class with declarations and a method per action.

Responsible for dispatch (start, stop, monitor, validate-all, meta-data, usage), for reading and
checking parameters before an action, and for turning every way to fail into an exit code and a
reason on standard error. Not responsible for how agents are started: `run` is called by the warm
runner inside a forked child, `main` from a shell.

An agent reads its environment through `self` only, never from the process.
"""

from __future__ import annotations

import abc
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TextIO

from crm.model.outcomes import ExitCode
from lrmd.agentkit import metadata, parameters
from lrmd.agentkit.metadata import Action
from lrmd.agentkit.outcome import OK, ActionFailed, Outcome, misconfigured
from lrmd.agentkit.parameters import Parameter, Values

USUAL_ACTIONS = (
    Action("start", 20),
    Action("stop", 20),
    Action("monitor", 20, interval_s=10, depth=0),
    Action("validate-all", 20),
    Action("meta-data", 5),
)
"""What every agent offers; agents with other timeouts declare their own."""


class Agent(abc.ABC):
    """Base of our agents. Subclasses declare the class variables and the three actions."""

    name: ClassVar[str]
    version: ClassVar[str] = "1.0"
    short: ClassVar[str]
    long: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    actions: ClassVar[tuple[Action, ...]] = USUAL_ACTIONS

    def __init__(self, environ: Mapping[str, str], values: Values, errors: TextIO) -> None:
        self.environ = environ
        self.values = values
        self._errors = errors

    # --- what an agent does; all three may raise ActionFailed or OSError ---

    @abc.abstractmethod
    def start(self) -> Outcome:
        """Make the resource run; OK at once if it does."""

    @abc.abstractmethod
    def stop(self) -> Outcome:
        """Make the resource not run; OK at once if it does not."""

    @abc.abstractmethod
    def monitor(self) -> Outcome:
        """Say whether the resource runs, and change nothing."""

    def validate(self) -> None:  # noqa: B027 - most agents have nothing to add
        """Check what the values mean together; raises ActionFailed. Single values are checked."""

    # --- what an agent may ask ---

    @property
    def instance(self) -> str:
        """The name of the resource instance."""
        return self.environ.get("OCF_RESOURCE_INSTANCE", "default")

    @property
    def node(self) -> str:
        """The name of the node the agent runs on."""
        return self.environ.get("HA_CURHOST") or os.uname().nodename.lower()

    @property
    def is_probe(self) -> bool:
        """Whether a monitor only asks if the resource is there."""
        interval = self.environ.get("OCF_RESKEY_CRM_meta_interval", "0")
        return interval.strip() in ("", "0")

    def state_dir(self) -> Path:
        """Return the directory for pid and state files, which a reboot empties; make it."""
        directory = Path(self.environ.get("HA_RSCTMP") or "/run/resource-agents")
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        return directory

    def info(self, text: str) -> None:
        """Write a line to the cluster's log."""
        self._say("INFO", text)

    def warn(self, text: str) -> None:
        """Write a warning to the cluster's log."""
        self._say("WARNING", text)

    def _say(self, level: str, text: str) -> None:
        self._errors.write(f"{level}: {text}\n")


def run(
    kind: type[Agent],
    action: str,
    *,
    environ: Mapping[str, str],
    out: TextIO,
    errors: TextIO,
) -> int:
    """Run one action of an agent; return its exit code. Whatever goes wrong has a reason."""
    match action:
        case "meta-data" | "metadata":
            out.write(describe(kind).decode())
            return ExitCode.OK
        case "usage" | "help":
            out.write(usage(kind))
            return ExitCode.OK
    values = parameters.read(kind.parameters, environ)
    subject = kind(environ, values, errors)
    try:
        outcome = _act(subject, action)
    except ActionFailed as problem:
        outcome = problem.outcome
    except PermissionError as problem:
        outcome = Outcome(
            ExitCode.INSUFFICIENT_PRIVILEGES, f"{action} needs more rights: {problem}"
        )
    except OSError as problem:
        outcome = Outcome(ExitCode.ERROR, f"{action} met an error of the system: {problem}")
    if outcome.reason:
        errors.write(f"ocf-exit-reason:{outcome.reason}\n")
    if outcome.code is ExitCode.UNIMPLEMENTED:
        errors.write(usage(kind))
    return outcome.code


def _act(subject: Agent, action: str) -> Outcome:
    match action:
        case "start":
            _validate(subject)
            return subject.start()
        case "stop":
            return subject.stop() if _is_usable(subject) else OK
        case "monitor" | "status":
            _validate(subject)
            return subject.monitor()
        case "validate-all":
            _validate(subject)
            return OK
        case _:
            return Outcome(ExitCode.UNIMPLEMENTED, f"there is no action '{action}'")


def _is_usable(subject: Agent) -> bool:
    """Tell whether the parameters allow to name what runs: if not, nothing of ours can run."""
    try:
        _validate(subject)
    except ActionFailed as problem:
        if problem.outcome.code is not ExitCode.NOT_CONFIGURED:
            raise
        subject.warn(f"nothing to stop: {problem.outcome.reason}")
        return False
    return True


def _validate(subject: Agent) -> None:
    problems = parameters.problems_in(subject.parameters, subject.values)
    if problems:
        raise misconfigured("; ".join(problem.message for problem in problems))
    subject.validate()


def describe(kind: type[Agent]) -> bytes:
    """Write an agent's metadata."""
    return metadata.document(
        name=kind.name,
        version=kind.version,
        short=kind.short,
        long=kind.long,
        parameters=kind.parameters,
        actions=kind.actions,
    )


def usage(kind: type[Agent]) -> str:
    """Say how an agent is called."""
    offered = "|".join(action.name for action in kind.actions)
    return f"usage: {kind.name} {{{offered}}}, parameters as {parameters.PREFIX}name=value\n"


def main(kind: type[Agent], argv: Sequence[str]) -> int:
    """Run an agent from a shell, as any OCF agent."""
    action = argv[1] if len(argv) == 2 else "usage"
    code = run(kind, action, environ=dict(os.environ), out=sys.stdout, errors=sys.stderr)
    return code if len(argv) == 2 else ExitCode.INVALID_PARAMETER
