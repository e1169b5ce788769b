"""`crm_resource` and agents: which there are, what they say of themselves, running one by hand.

Responsible for the words, and for refusing what would disturb a cluster. Finding and running
agents is the executor's business (`lrmd.catalog`, `lrmd.bypass`).

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.subjects import Subject
from cli.tools import optionlist, result
from cli.tools.resource_lists import say_list
from cli.tools.resource_request import Request
from cli.tools.resource_scene import TOOL, Scene, failure, wrong_use
from cli.tools.result import Element, Failure, element_of
from cli.view.history import rc_word
from crm.api.lrm import ResourceAgent
from crm.model import exit_codes, options
from crm.model.exit_codes import Exit
from crm.model.outcomes import ExitCode, OperationStatus
from crm.plumbing import xml
from crm.plumbing.errors import Problem, UsageError
from lrmd import bypass, catalog
from lrmd.operations import AgentEnded
from pengine.facts.instances import BundleInstance, CloneInstance, GroupInstance, Instance

_DEFAULT_TIMEOUT_S = 20.0
_LEVEL = "OCF_CHECK_LEVEL"
_OPTIONS: Mapping[str, Mapping[str, options.Option]] = {
    "primitive": options.RESOURCE_OPTIONS,
    "group": options.GROUP_OPTIONS,
    "clone": options.CLONE_OPTIONS,
    "operation": options.OPERATION_OPTIONS,
}


# --- what there is ------------------------------------------------------------------------------


def list_standards(_root: Path, _request: Request, answer: result.Answer) -> int:
    """Show the classes of agents."""
    say_list(answer, "standards", list(catalog.CLASSES))
    return Exit.OK


def list_providers(root: Path, request: Request, answer: result.Answer) -> int:
    """Show the providers of OCF agents, or of those of one type."""
    found = catalog.providers(root, request.subject)
    if not found:
        raise failure(Exit.NO_SUCH_OBJECT, f"No OCF providers found for {request.subject}")
    for name in found:
        answer.line(name)
    about = {"for": request.subject} if request.subject else {"standard": "ocf"}
    answer.element("providers", about, [Element("provider", {}, text=name) for name in found])
    return Exit.OK


def list_agents(root: Path, request: Request, answer: result.Answer) -> int:
    """Show the agents of a class (and provider)."""
    standard, _, provider = request.subject.partition(":")
    found = catalog.types(root, standard, provider)
    if not found:
        of = f" and provider '{provider}'" if provider else ""
        raise failure(Exit.ERROR, f"No agents found for standard '{standard}'{of}")
    for name in found:
        answer.line(name)
    about = {"standard": standard, **({"provider": provider} if provider else {})}
    answer.element("agents", about, [Element("agent", {}, text=name) for name in found])
    return Exit.OK


def show_metadata(root: Path, request: Request, answer: result.Answer) -> int:
    """Show what an agent says of itself."""
    agent = _parsed(request.subject)
    try:
        said = catalog.metadata(root, agent)
    except UsageError as problem:
        text = f"Metadata query for {request.subject} failed: No such device or address"
        raise failure(Exit.NO_SUCH_OBJECT, f"{text}\n  {problem}") from problem
    answer.line(said.decode(errors="replace").rstrip())
    read = element_of(xml.parse(said))
    answer.element(read.tag, read.attributes, read.inner)
    return Exit.OK


def _parsed(text: str) -> ResourceAgent:
    parts = text.split(":")
    if len(parts) == 3 and all(parts):
        return ResourceAgent(agent_class=parts[0], provider=parts[1], type=parts[2])
    if len(parts) == 2 and all(parts) and parts[0] != "ocf":
        return ResourceAgent(agent_class=parts[0], type=parts[1])
    raise failure(Exit.NO_SUCH_OBJECT, f"'{text}' is not a valid agent specification")


def list_options(_root: Path, request: Request, answer: result.Answer) -> int:
    """Show the meta attributes the cluster knows for a kind of resource."""
    kind = request.subject or "primitive"
    known = _OPTIONS.get(kind)
    if known is None:
        words = ", ".join(_OPTIONS)
        raise wrong_use(f"there is no list of options of '{kind}': expected one of {words}")
    text = f"Meta attributes of a {kind}; the scheduler and the controller heed them."
    return optionlist.show(
        answer,
        everything=request.everything,
        known=known,
        name=f"{kind}-meta",
        title=f"{kind.capitalize()} meta-attributes",
        text=text,
    )


# --- running one --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Work:
    """What is to be done, in the words of the user and of the agent."""

    word: str
    task: str


_FORCED = {name: _Work(f"force-{name}", name) for name in ("start", "stop", "promote", "demote")}
_CHECK = _Work("force-check", "monitor")
_VALIDATE = _Work("validate", "validate-all")
_DISTURBING = ("start", "promote", "demote")


def force(task: str, scene: Scene, request: Request, answer: result.Answer) -> int:
    """Run an action of a resource's agent on this node, past the cluster."""
    work = _CHECK if task == "check" else _FORCED[task]
    return _run_for_resource(scene, request, answer, work)


def validate(scene: Scene, request: Request, answer: result.Answer) -> int:
    """Have the agent of a resource check its configuration."""
    return _run_for_resource(scene, request, answer, _VALIDATE)


def validate_agent(root: Path, request: Request, answer: result.Answer) -> int:
    """Have an agent check parameters that are not in the configuration."""
    agent = ResourceAgent(
        agent_class=request.standard, provider=request.provider, type=request.agent
    )
    name = f"{request.standard}:{request.provider}:{request.agent}"
    if isinstance(catalog.locate(root, agent), Problem):
        raise wrong_use(f"{name} is not a known resource")
    action = bypass.Action(
        resource="test",
        agent=agent,
        name=_VALIDATE.task,
        parameters=_with_level(request.overrides, request),
        timeout_ms=_milliseconds(request.timeout_s, _DEFAULT_TIMEOUT_S),
    )
    return _report(answer, _VALIDATE, "", action, bypass.run(root, _here(), action), {})


def _run_for_resource(scene: Scene, request: Request, answer: result.Answer, work: _Work) -> int:
    subject = scene.subject(request.resource)
    instance = _primitive(subject, work)
    _refuse_disturbance(scene, request, subject, work)
    operation = scene.facts.operation(instance, work.task)
    here = _here()
    known_here = here if here in scene.facts.by_name else ""
    parameters = {**scene.facts.parameters(instance, known_here), **operation.parameters}
    for name, value in request.overrides.items():
        text = f"Overriding the cluster configuration for '{subject.name}' with"
        answer.line(f"{text} '{name}' = '{value}'")
    agent = instance.resource.agent
    action = bypass.Action(
        resource=instance.history_id,
        agent=ResourceAgent(agent_class=agent.standard, provider=agent.provider, type=agent.type),
        name=work.task,
        parameters=_with_level({**parameters, **request.overrides}, request),
        meta={**instance.meta.pairs, **operation.meta},
        timeout_ms=_milliseconds(request.timeout_s, operation.timeout_ms / 1000),
    )
    ended = bypass.run(scene.root, here, action)
    return _report(answer, work, subject.name, action, ended, request.overrides)


def _primitive(subject: Subject, work: _Work) -> Instance:
    """Find what has an agent; a container has none.

    Raises: Failure if this is one, or a fencing device, which only the fencer runs.
    """
    item = subject.item
    if isinstance(item, CloneInstance) and isinstance(next(iter(item.copies), None), Instance):
        # The first copy speaks for all of them: they have the same agent and parameters.
        item = item.copies[0]
    kinds = {GroupInstance: "group", CloneInstance: "clone", BundleInstance: "bundle"}
    kind = kinds.get(type(item))
    if isinstance(item, Instance) and item.resource.agent.is_fencing:
        kind = "stonith"
    if kind is not None or not isinstance(item, Instance):
        text = f"Sorry, the {work.word} option doesn't support {kind} resources"
        end = f"{TOOL}: Error performing operation: {exit_codes.exit_code(3).text}"
        raise Failure(Exit.UNIMPLEMENTED, f"{text}\n{end}")
    return item


def _refuse_disturbance(scene: Scene, request: Request, subject: Subject, work: _Work) -> None:
    """Refuse to start by hand what the cluster has running here as a copy of a clone."""
    if request.forced or work.task not in _DISTURBING:
        return
    if isinstance(subject.top, CloneInstance) and _here() in scene.places(subject.top):
        text = f"It is not safe to {work.task} {subject.name} here: the cluster has it active"
        hint = "stop it first (target-role=Stopped), or insist with --force"
        raise Failure(Exit.UNSAFE, f"{TOOL}: {text}\n  {hint}")


def _here() -> str:
    return os.uname().nodename.lower()


def _with_level(parameters: Mapping[str, str], request: Request) -> Mapping[str, str]:
    return {**parameters, _LEVEL: request.subject} if request.subject else parameters


def _milliseconds(asked_s: float | None, otherwise_s: float) -> int:
    return round(1000 * (otherwise_s if asked_s is None else asked_s))


_EXECUTIONS = {
    OperationStatus.DONE: "complete",
    OperationStatus.TIMEOUT: "Timed Out",
    OperationStatus.NOT_SUPPORTED: "NOT SUPPORTED",
    OperationStatus.NOT_INSTALLED: "Not installed",
}


def _report(
    answer: result.Answer,
    work: _Work,
    name: str,
    action: bypass.Action,
    ended: AgentEnded,
    overrides: Mapping[str, str],
) -> int:
    """Say how an action ended; its code is the code of the command."""
    agent = action.agent
    spec = ":".join(part for part in (agent.agent_class, agent.provider, agent.type) if part)
    meaning = rc_word(ended.rc)
    reason = ended.exit_reason or _last_reason(ended.errors)
    shown = f"{meaning}: {reason}" if reason else meaning
    of = f" for {name}" if name else ""
    execution = _EXECUTIONS.get(ended.status, "Error")
    answer.line(f"Operation {work.word}{of} ({spec}) returned {ended.rc} ({shown})")
    outputs = [("stdout", ended.output), ("stderr", ended.errors)]
    for _source, text in outputs if ended.rc != ExitCode.OK else ():
        if text.strip():
            answer.line(text.rstrip())
    words = {"action": work.word, "class": agent.agent_class, "type": agent.type}
    words |= {"rsc": name} if name else {}
    words |= {"provider": agent.provider} if agent.provider else {}
    status = {"code": str(int(ended.rc)), "message": meaning, "execution_message": execution}
    status["execution_code"] = str(int(ended.status))
    status |= {"reason": reason} if reason else {}
    changed = tuple(
        Element("override", {"name": key, "value": value, **({"rsc": name} if name else {})})
        for key, value in overrides.items()
    )
    said = tuple(
        Element("output", {"source": source}, text=text.strip())
        for source, text in outputs
        if text.strip()
    )
    parts = [Element("overrides", {}, changed), Element("agent-status", status)]
    parts += [Element("command", {"code": str(int(ended.rc))}, said)] if said else []
    answer.element("resource-agent-action", words, parts)
    if ended.rc != ExitCode.OK:
        raise failure(int(ended.rc))
    return Exit.OK


def _last_reason(errors: str) -> str:
    """Find the reason an agent gave for its end."""
    marked = [line for line in errors.splitlines() if line.startswith("ocf-exit-reason:")]
    return marked[-1].removeprefix("ocf-exit-reason:").strip() if marked else ""
