"""Turns configured resources into what is placed, and reads their meta attributes.

A primitive makes one `Instance`; a group makes a `GroupInstance` of them; a clone makes one copy
of its child per number (`web:0`, `web:1`). Instances of an anonymous clone are known in the
history under the plain id (`history_id`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec.structs import replace

from crm.model import options, roles
from crm.model.cluster import Cluster
from crm.model.resources import (
    AttributeSet,
    Bundle,
    Clone,
    Group,
    Primitive,
    Resource,
    primitives_of,
)
from crm.model.rules import Situation
from crm.model.score import INFINITY, Score
from pengine.facts import bundles
from pengine.facts.instances import (
    BundleInstance,
    CloneInstance,
    GroupInstance,
    Instance,
    Meta,
    MultipleActive,
    Placeable,
    Replica,
    Requires,
)
from pengine.facts.operations import OperationRules, conclude_operations
from pengine.facts.values import flatten, truth


class Making(msgspec.Struct, frozen=True):
    """What instances are made from; also what surplus copies are made from later."""

    cluster: Cluster
    now: datetime
    operation_rules: OperationRules
    fencing_enabled: bool
    node_count: int
    unfencing_enabled: bool
    quorum_is_ignored: bool


def begin(
    cluster: Cluster,
    now: datetime,
    rules: OperationRules,
    *,
    node_count: int,
    quorum_is_ignored: bool = False,
) -> Making:
    """Gather what instances are made from."""
    return Making(
        cluster,
        now,
        rules,
        rules.fencing_enabled,
        node_count,
        _unfences(cluster, now),
        quorum_is_ignored,
    )


def conclude_instances(making: Making) -> tuple[Placeable, ...]:
    """Make all instances, the most important resource first, else in configuration order."""
    resources = making.cluster.resources
    configured = {node.name for node in making.cluster.nodes}
    new = [_new_nodes(resource, configured) for resource in resources]
    known = replace(making, node_count=making.node_count - sum(new))
    made = []
    for resource, count in zip(resources, new, strict=True):
        made.append(_make(known, resource))
        # A clone has copies for the nodes it could know of, not for those of later bundles.
        known = replace(known, node_count=known.node_count + count)
    return tuple(sorted(made, key=lambda item: -item.meta.priority))


def surplus_copy(making: Making, clone: CloneInstance, number: int) -> Instance | GroupInstance:
    """Make one more copy of an anonymous clone, for something that runs and has no number."""
    configured = next(r for r in making.cluster.resources if r.id == clone.id)
    assert isinstance(configured, Clone)
    made = make_copy(
        making, _as_read(making, configured), number, clone.is_unique, clone.promotable
    )
    return as_removed(made)


def as_removed(copy: Instance | GroupInstance) -> Instance | GroupInstance:
    """Make a copy one that no node may run."""
    if isinstance(copy, Instance):
        return replace(copy, is_removed=True)
    members = tuple(replace(member, is_removed=True) for member in copy.members)
    return replace(copy, members=members, is_removed=True)


def _new_nodes(resource: Resource, configured: set[str]) -> int:
    """Count the nodes that only a bundle brings."""
    if not isinstance(resource, Bundle):
        return 0
    return sum(
        1 for parts in bundles.parts_of(resource) if parts.node and parts.node not in configured
    )


def _make(making: Making, resource: Resource) -> Placeable:
    match resource:
        case Primitive():
            return make_instance(
                resource,
                _meta(making, resource, ()),
                making.operation_rules,
                top=resource.id,
            )
        case Group():
            return _make_group(making, resource, (), None, resource.id)
        case Clone():
            return _make_clone(making, resource)
        case Bundle():
            return _make_bundle(making, resource)


def make_instance(
    resource: Primitive,
    meta: Meta,
    operation_rules: OperationRules,
    *,
    top: str,
    parent: str = "",
    number: int | None = None,
    is_unique: bool = True,
    is_promotable: bool = False,
) -> Instance:
    """Make one instance; a number makes it a copy inside a clone."""
    instance_id = resource.id if number is None else f"{resource.id}:{number}"
    return Instance(
        id=instance_id,
        history_id=instance_id if is_unique else resource.id,
        resource=resource,
        meta=meta,
        operations=conclude_operations(resource, operation_rules),
        parent=parent,
        top=top,
        is_unique=is_unique,
        number=number,
        is_promotable=is_promotable,
    )


def _make_group(
    making: Making,
    group: Group,
    outer: tuple[AttributeSet, ...],
    number: int | None,
    top: str,
    is_unique: bool = True,
    is_promotable: bool = False,
) -> GroupInstance:
    group_id = group.id if number is None else f"{group.id}:{number}"
    members = tuple(
        make_instance(
            member,
            _meta(making, member, (*group.meta, *outer)),
            making.operation_rules,
            top=top,
            parent=group_id,
            number=number,
            is_unique=is_unique,
            is_promotable=is_promotable,
        )
        for member in group.members
    )
    meta = _meta(making, group, outer)
    return GroupInstance(group_id, meta, members, "" if number is None else top, number)


def _make_clone(making: Making, clone: Clone) -> CloneInstance:
    get = _clone_options(making, clone).get
    unique = truth(get("globally-unique"), default=False) and not _is_always_anonymous(clone)
    node_max = max(1, _integer(get("clone-node-max"), 1)) if unique else 1
    count = max(0, _integer(get("clone-max"), max(1, making.node_count)))
    if _is_always_anonymous(clone) and truth(get("globally-unique"), default=False):
        count = min(count, making.node_count)
    promotable = clone.promotable or truth(get("promotable"), default=False)
    clone = _as_read(making, clone)
    copies = [make_copy(making, clone, number, unique, promotable) for number in range(count)]
    if not copies:
        # What is to have no copies has had some: the first is there to be told of, and removed.
        copies = [as_removed(make_copy(making, clone, 0, unique, promotable))]
    return CloneInstance(
        id=clone.id,
        child_id=clone.child.id,
        meta=_meta(making, clone, ()),
        copies=tuple(copies),
        clone_max=count,
        node_max=node_max,
        is_unique=unique,
        is_ordered=truth(get("ordered"), default=False),
        is_interleaved=truth(get("interleave"), default=False),
        notifies=truth(get("notify"), default=False),
        promotable=promotable,
        promoted_max=max(0, _integer(get("promoted-max", get("master-max")), 1)),
        promoted_node_max=max(0, _integer(get("promoted-node-max", get("master-node-max")), 1)),
        minimum=max(0, _integer(get("clone-min"), 0)),
    )


def _make_bundle(making: Making, bundle: Bundle) -> BundleInstance:
    cloned = bundles.clone_of(bundle)
    clone = None if cloned is None else _make_clone(making, cloned)
    copies = () if clone is None else clone.copies
    if clone is not None and any(c.meta.pairs.get("notify") == "true" for c in copies):
        clone = replace(clone, notifies=True)  # What the primitive asks for counts here as well.

    def make(part: Primitive | None) -> Instance | None:
        if part is None:
            return None
        meta = _meta(making, part, bundle.meta)
        return make_instance(part, meta, making.operation_rules, top=part.id, parent=bundle.id)

    replicas = []
    for parts in bundles.parts_of(bundle):
        container = make(parts.container)
        assert container is not None
        copy = copies[parts.number] if copies else None
        assert copy is None or isinstance(copy, Instance)
        replicas.append(
            Replica(
                parts.number,
                container,
                make(parts.address),
                make(parts.connection),
                copy,
                parts.node,
                parts.external_address,
            )
        )
    meta = _meta(making, bundle, ())
    return BundleInstance(
        id=bundle.id,
        meta=meta,
        image=bundle.image,
        replicas=tuple(replicas),
        node_max=bundle.replicas_per_host,
        clone=clone,
        is_interleaved=truth(meta.pairs.get("interleave"), default=False),
        notifies=truth(meta.pairs.get("notify"), default=False),
    )


def _clone_options(making: Making, clone: Clone) -> Mapping[str, str]:
    """Read the options of a clone; a group in it may give some."""
    pairs = flatten(clone.meta, Situation(making.now))
    group_pairs = flatten(clone.child.meta, Situation(making.now))
    return {name.replace("_", "-"): value for name, value in {**group_pairs, **pairs}.items()}


def _is_always_anonymous(clone: Clone) -> bool:
    """Tell whether agents of a clone cannot tell copies apart, whatever is configured."""
    standards = {primitive.agent.standard for primitive in primitives_of(clone)}
    return bool(standards & {"lsb", "service", "systemd", "upstart"})


def _as_read(making: Making, clone: Clone) -> Clone:
    """Let copies stay where they are by default, so that equal nodes do not shuffle them."""
    name = "resource-stickiness"
    defaults = flatten(making.cluster.resource_defaults, Situation(making.now))
    legacy = _legacy_default(making.cluster, f"default-{name}")
    if name in _clone_options(making, clone) or name in defaults or legacy is not None:
        return clone
    return replace(clone, meta=(*clone.meta, AttributeSet("", ((name, "1"),))))


def make_copy(
    making: Making, clone: Clone, number: int, unique: bool, promotable: bool = False
) -> Instance | GroupInstance:
    """Make the copy of a clone's child with the given number."""
    child = clone.child
    if isinstance(child, Group):
        return _make_group(making, child, clone.meta, number, clone.id, unique, promotable)
    return make_instance(
        child,
        _meta(making, child, clone.meta),
        making.operation_rules,
        top=clone.id,
        parent=clone.id,
        number=number,
        is_unique=unique,
        is_promotable=promotable,
    )


# --- meta attributes ------------------------------------------------------------------------


def _meta(making: Making, resource: Resource, outer: tuple[AttributeSet, ...]) -> Meta:
    agent = None
    if isinstance(resource, Primitive):
        agent = (resource.agent.standard, resource.agent.provider, resource.agent.type)
    situation = Situation(now=making.now, agent=agent)
    own = flatten((*resource.meta, *outer), situation)
    pairs = {**flatten(making.cluster.resource_defaults, situation), **own}
    for old in ("resource-stickiness", "is-managed"):
        legacy = "default-resource-stickiness" if old == "resource-stickiness" else ""
        value = _legacy_default(making.cluster, legacy) if legacy else None
        if value is not None:
            pairs.setdefault(old, value)
    is_fencing = isinstance(resource, Primitive) and resource.agent.is_fencing
    pairs.setdefault("requires", _default_requires(making, resource).value)
    return read_meta(pairs, making.fencing_enabled, is_fencing)


def _default_requires(making: Making, resource: Resource) -> Requires:
    """Say what a resource needs to start if it does not say so itself.

    A connection can be lost and found without anybody being fenced for it.
    """
    agent = resource.agent if isinstance(resource, Primitive) else None
    if agent is not None and (agent.is_fencing or agent == bundles.CONNECTION):
        return Requires.QUORUM
    if not making.fencing_enabled:
        return Requires.NOTHING if making.quorum_is_ignored else Requires.QUORUM
    return Requires.UNFENCING if making.unfencing_enabled else Requires.FENCING


def _unfences(cluster: Cluster, now: datetime) -> bool:
    """Tell whether any fence device lets nodes back in as well (provides=unfencing)."""
    return any(
        primitive.agent.is_fencing
        and flatten(primitive.meta, Situation(now)).get("provides") == "unfencing"
        for resource in cluster.resources
        for primitive in primitives_of(resource)
    )


def _legacy_default(cluster: Cluster, name: str) -> str | None:
    for item in cluster.options:
        for key, value in item.values:
            if key.replace("_", "-") == name:
                return value
    return None


def read_meta(pairs: Mapping[str, str], fencing_enabled: bool, is_fencing: bool) -> Meta:
    """Read meta attributes; what makes no sense counts as not given."""
    get = {name.replace("_", "-"): value for name, value in pairs.items()}.get
    requires = Requires.FENCING if fencing_enabled and not is_fencing else Requires.QUORUM
    with contextlib.suppress(ValueError):
        requires = Requires(get("requires", requires.value).strip().lower())
    if requires is Requires.UNFENCING and (is_fencing or not fencing_enabled):
        requires = Requires.QUORUM
    return Meta(
        priority=_integer(get("priority"), 0),
        target_role=roles.parse_or_none(get("target-role")),
        is_managed=truth(get("is-managed"), default=True),
        maintenance=truth(get("maintenance"), default=False),
        stickiness=_score(get("resource-stickiness"), 0),
        threshold=_score(get("migration-threshold"), INFINITY),
        failure_timeout_ms=_duration(get("failure-timeout")),
        multiple_active=_multiple_active(get("multiple-active")),
        requires=requires,
        critical=truth(get("critical"), default=True),
        allow_migrate=truth(get("allow-migrate"), default=False),
        pairs=dict(pairs),
    )


def _multiple_active(text: str | None) -> MultipleActive:
    try:
        return MultipleActive((text or "stop_start").strip().lower())
    except ValueError:
        return MultipleActive.STOP_START


def _integer(text: str | None, default: int) -> int:
    try:
        return default if text is None else int(options.as_score(text))
    except ValueError:
        return default


def _score(text: str | None, default: int) -> Score:
    try:
        return Score(default) if text is None else options.as_score(text)
    except ValueError:
        return Score(default)


def _duration(text: str | None) -> int:
    try:
        return 0 if not text else options.as_duration_ms(text)
    except ValueError:
        return 0
