"""What runs where, read from a CIB: nodes, instances, failures, attributes.

Responsible for the picture a person sees. It says what the recorded operations mean, in the order
they were done; what ought to happen next is the scheduler's business, and is not asked here, so
that `crm status` stays quick.

Source: tools, "crm_mon"; scheduler, "history".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cli.edits import get_pair
from cli.grammar.resources import CONTAINERS, RESOURCES
from crm.model.configuration import Item
from crm.model.options import is_true

STOPPED, STARTED, PROMOTED, UNPROMOTED = "Stopped", "Started", "Promoted", "Unpromoted"
_PENDING_WORDS = {
    "start": "Starting",
    "stop": "Stopping",
    "promote": "Promoting",
    "demote": "Demoting",
    "migrate_to": "Migrating",
    "migrate_from": "Migrating",
    "monitor": "Monitoring",
}


@dataclass(frozen=True)
class NodeView:
    """One node as it stands."""

    id: str
    name: str
    kind: str
    online: bool
    pending: bool
    standby: bool
    maintenance: bool
    attributes: dict[str, str]
    transient: dict[str, str]

    @property
    def word(self) -> str:
        """The state in one word, as the classic tools say it."""
        if not self.online:
            return "pending" if self.pending else "OFFLINE"
        if self.standby:
            return "standby"
        return "maintenance" if self.maintenance else "online"


@dataclass(frozen=True)
class Operation:
    """One recorded operation."""

    resource: str
    node: str
    name: str
    interval_ms: int
    call_id: int
    rc: int
    status: int
    expected_rc: int
    is_failure_record: bool
    exit_reason: str
    changed_at: int
    exec_ms: int
    queue_ms: int

    @property
    def is_probe(self) -> bool:
        """Whether it only looked if something runs."""
        return self.name == "monitor" and self.interval_ms == 0

    @property
    def failed(self) -> bool:
        """Whether it ended in a way nobody wanted."""
        if self.status == -1:
            return False
        if self.is_probe and self.rc in (0, 7, 8):
            return False
        return self.status > 1 or (self.status == 0 and self.rc != self.expected_rc)


@dataclass
class Instance:
    """One resource on one node: the role its history adds up to."""

    resource: str
    node: str
    role: str = STOPPED
    failed: bool = False
    blocked: bool = False
    pending: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it runs there, or may."""
        return self.role != STOPPED or self.failed


@dataclass
class ClusterView:
    """Everything there is to show."""

    nodes: list[NodeView]
    resources: list[Item]
    instances: dict[str, list[Instance]]
    operations: list[Operation]
    root: dict[str, str]
    options: dict[str, str]
    defaults: dict[str, str]
    constraints: list[Item]
    orphans: list[Item] = field(default_factory=list)

    def active(self, resource: str) -> list[Instance]:
        """Where a primitive is active, by the names of nodes."""
        found = [each for each in self.instances.get(resource, []) if each.is_active]
        return sorted(found, key=lambda each: each.node)

    def is_running(self, resource: str) -> bool:
        """Tell whether a primitive is active anywhere."""
        return bool(self.active(resource))

    def node(self, name: str) -> NodeView | None:
        """Find a node by its name."""
        return next((each for each in self.nodes if each.name == name), None)

    @property
    def dc(self) -> str:
        """The name of the DC, "" when there is none."""
        uuid = self.root.get("dc-uuid", "")
        return next((each.name for each in self.nodes if each.id == uuid), "") if uuid else ""

    @property
    def has_quorum(self) -> bool:
        """Whether this partition may act."""
        return is_true(self.root.get("have-quorum", "0"))

    @property
    def in_maintenance(self) -> bool:
        """Whether the whole cluster leaves its resources alone."""
        return is_true(self.options.get("maintenance-mode", "false"))


def read_status(document: Item) -> ClusterView:
    """Read a whole document."""
    configuration = document.first("configuration") or Item("configuration")
    status = document.first("status") or Item("status")
    states = {state.id: state for state in status.each("node_state")}
    nodes = [_node(item, states.get(item.id)) for item in _children(configuration, "nodes", "node")]
    known = {node.id for node in nodes}
    nodes += [
        _node(Item("node", {"id": state.id, "uname": state.get("uname")}), state)
        for state in states.values()
        if state.id not in known and state.get("uname") and state.get("remote_node") != "true"
    ]
    nodes.sort(key=lambda node: node.name)
    templates = {item.id: item for item in _children(configuration, "resources", "template")}
    resources = [
        item.copy()
        for item in _children(configuration, "resources", *RESOURCES)
        if item.children or item.tag == "primitive"
    ]
    for item in resources:
        for part in primitives(item):
            if part.get("template") in templates:
                part.attributes = templates[part.get("template")].attributes | part.attributes
    operations: list[Operation] = []
    instances: dict[str, list[Instance]] = {}
    histories: dict[str, Item] = {}
    for node in nodes:
        for history in _histories(states.get(node.id)):
            done = [_operation(each, history.id, node.name) for each in history.each("lrm_rsc_op")]
            done.sort(key=_by_call)
            operations += done
            if node.online or node.pending:
                name = history.id.partition(":")[0]
                histories.setdefault(name, history)
                instances.setdefault(name, []).append(_add_up(name, node.name, done))
    for state in states.values():
        # What runs in the containers of bundles is shown with the bundle; they are no nodes here.
        if state.id not in known and any(_is_inside(state.id, each) for each in resources):
            for history in _histories(state):
                done = [_operation(h, history.id, state.id) for h in history.each("lrm_rsc_op")]
                operations += sorted(done, key=_by_call)
                added = _add_up(history.id, state.id, sorted(done, key=_by_call))
                instances.setdefault(history.id.partition(":")[0], []).append(added)
    return ClusterView(
        nodes=nodes,
        resources=resources,
        instances=instances,
        operations=operations,
        root=dict(document.attributes),
        options=_pairs(configuration, "crm_config"),
        defaults=_pairs(configuration, "rsc_defaults"),
        constraints=_children(configuration, "constraints", "rsc_location"),
        orphans=_orphans(resources, histories),
    )


def _children(configuration: Item, section: str, *tags: str) -> list[Item]:
    found = configuration.first(section)
    return found.each(*tags) if found is not None else []


def _pairs(configuration: Item, section: str) -> dict[str, str]:
    found = configuration.first(section)
    pairs: dict[str, str] = {}
    for made in found.children if found is not None else []:
        for pair in made.each("nvpair"):
            pairs.setdefault(pair.get("name"), pair.get("value"))
    return pairs


def _node(item: Item, state: Item | None) -> NodeView:
    attributes: dict[str, str] = {}
    for made in item.each("instance_attributes"):
        attributes |= {pair.get("name"): pair.get("value") for pair in made.each("nvpair")}
    transient: dict[str, str] = {}
    holder = state.first("transient_attributes") if state is not None else None
    for made in holder.each("instance_attributes") if holder is not None else []:
        transient |= {pair.get("name"): pair.get("value") for pair in made.each("nvpair")}
    member = _is_since(state.get("in_ccm")) if state is not None else False
    process = state is not None and (state.get("crmd") == "online" or _is_since(state.get("crmd")))
    joined = state is not None and state.get("join", "member") == "member"
    both = attributes | transient
    return NodeView(
        id=item.id,
        name=item.get("uname") or item.id,
        kind=item.get("type", "member"),
        online=member and process and joined,
        pending=member and not (process and joined),
        standby=is_true(both.get("standby", "false")),
        maintenance=is_true(both.get("maintenance", "false")),
        attributes=both,
        transient=transient,
    )


def _is_since(text: str) -> bool:
    """Read `in_ccm` and `crmd` in either form: a boolean, or the time since when."""
    return is_true(text) or (text.isdigit() and int(text) > 0)


def _histories(state: Item | None) -> Iterator[Item]:
    lrm = state.first("lrm") if state is not None else None
    resources = lrm.first("lrm_resources") if lrm is not None else None
    yield from resources.each("lrm_resource") if resources is not None else []


def _operation(item: Item, resource: str, node: str) -> Operation:
    key = item.get("transition-key").split(":")
    return Operation(
        resource=resource,
        node=node,
        name=item.get("operation"),
        interval_ms=_number(item.get("interval")),
        call_id=_number(item.get("call-id")),
        rc=_number(item.get("rc-code")),
        status=_number(item.get("op-status")),
        expected_rc=_number(key[2]) if len(key) > 2 else 0,
        is_failure_record=item.id.endswith("_last_failure_0"),
        exit_reason=item.get("exit-reason"),
        changed_at=_number(item.get("last-rc-change")),
        exec_ms=_number(item.get("exec-time")),
        queue_ms=_number(item.get("queue-time")),
    )


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _by_call(operation: Operation) -> tuple[bool, int, bool]:
    # Pending ones come last; a recurring one that shares a call comes after the rest.
    return (operation.status == -1, operation.call_id, operation.interval_ms > 0)


def _add_up(resource: str, node: str, done: list[Operation]) -> Instance:
    """Let the operations happen one after the other and see what is left."""
    made = Instance(resource, node)
    for operation in done:
        if operation.is_failure_record:
            continue
        if operation.status == -1:
            made.pending = _PENDING_WORDS.get(operation.name, "")
        elif operation.failed:
            _fail(made, operation)
        else:
            _succeed(made, operation)
    return made


def _succeed(made: Instance, operation: Operation) -> None:
    if operation.name in ("stop", "migrate_to"):
        made.role, made.failed, made.blocked = STOPPED, False, False
    elif operation.name in ("start", "migrate_from"):
        made.role, made.failed = STARTED, False
    elif operation.name == "promote":
        made.role, made.failed = PROMOTED, False
    elif operation.name == "demote":
        made.role, made.failed = UNPROMOTED, False
    elif operation.name in ("monitor", "status"):
        made.role = {
            0: made.role if made.role != STOPPED else STARTED,
            7: STOPPED,
            8: PROMOTED,
        }.get(operation.rc, made.role)
        if operation.rc in (0, 7, 8):
            made.failed = False


def _fail(made: Instance, operation: Operation) -> None:
    if operation.name == "stop":
        made.blocked = True
    if operation.rc == 7 and operation.name in ("monitor", "status"):
        made.role, made.failed = STOPPED, True
    elif operation.is_probe and operation.rc == 5:
        made.role = STOPPED  # the agent is not installed there, so nothing runs
    elif operation.rc == 5 and operation.name == "start":
        made.role, made.failed = STOPPED, True
    else:
        made.role = STARTED if made.role == STOPPED else made.role
        made.failed = True


def _orphans(resources: list[Item], histories: dict[str, Item]) -> list[Item]:
    known = {part.id for item in resources for part in item.walk() if part.tag in RESOURCES}
    return [
        Item(
            "primitive",
            {
                "id": name,
                "class": history.get("class"),
                "provider": history.get("provider"),
                "type": history.get("type"),
            },
        )
        for name, history in histories.items()
        if name not in known and not any(_is_inside(name, item) for item in resources)
    ]


def _is_inside(name: str, item: Item) -> bool:
    """Tell whether something is named after the bundle it is part of."""
    return item.tag == "bundle" and name.startswith(f"{item.id}-")


def meta(item: Item, name: str, parents: list[Item], view: ClusterView, default: str = "") -> str:
    """Read a meta attribute: the resource's own, its containers', the defaults'."""
    for each in (item, *reversed(parents)):
        value = get_pair(each, "meta_attributes", name)
        if value is not None:
            return value
    return view.defaults.get(name, default)


def members(item: Item) -> list[Item]:
    """List the resources directly inside a container."""
    return item.each(*RESOURCES) if item.tag in (*CONTAINERS, "bundle") else []


def primitives(item: Item) -> list[Item]:
    """List the primitives an item is or holds."""
    return [part for part in item.walk() if part.tag == "primitive"]
