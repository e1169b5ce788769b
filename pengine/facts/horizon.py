"""When time alone may change what rules in attribute sets say.

Sets of values (cluster options, meta attributes, parameters, node attributes, defaults) may have
rules with dates. Those of location constraints are looked at where the constraints are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec.structs import replace

from crm.model import rules
from crm.model.cluster import Cluster
from crm.model.resources import AttributeSet, Bundle, Clone, Primitive, Resource, primitives_of
from crm.model.rules import DateExpression, Rule, Situation
from pengine.facts.nodes import NodeFacts

_Asked = tuple[AttributeSet, Situation]


def next_change_of_sets(
    cluster: Cluster, nodes: Iterable[NodeFacts], now: datetime
) -> datetime | None:
    """Find the next moment at which any set of values may begin or cease to count."""
    found = (
        rules.next_change(asked.rule, where)
        for asked, where in _everything_asked(cluster, tuple(nodes), Situation(now))
        if asked.rule is not None and _has_date(asked.rule)
    )
    return min((moment for moment in found if moment is not None), default=None)


def _has_date(rule: Rule) -> bool:
    return any(
        isinstance(condition, DateExpression)
        or (isinstance(condition, Rule) and _has_date(condition))
        for condition in rule.conditions
    )


def _everything_asked(
    cluster: Cluster, nodes: tuple[NodeFacts, ...], plain: Situation
) -> Iterator[_Asked]:
    at_nodes = [replace(plain, attributes=node.attributes) for node in nodes]
    yield from ((item, plain) for item in cluster.options)
    for node in cluster.nodes:
        yield from ((item, plain) for item in (*node.attributes, *node.utilization))
    for resource in cluster.resources:
        for part in _parts(resource):
            yield from ((item, plain) for item in part.meta)
            for item in part.parameters:
                yield from ((item, where) for where in (plain, *at_nodes))
        for primitive in primitives_of(resource):
            yield from _asked_for(cluster, primitive, plain)


def _parts(resource: Resource) -> Iterator[Resource]:
    yield resource
    if isinstance(resource, Clone):
        yield resource.child
    if not isinstance(resource, Bundle):
        yield from (p for p in primitives_of(resource) if p is not resource)


def _asked_for(cluster: Cluster, primitive: Primitive, plain: Situation) -> Iterator[_Asked]:
    agent = primitive.agent
    here = replace(plain, agent=(agent.standard, agent.provider, agent.type))
    yield from ((item, here) for item in cluster.resource_defaults)
    for operation in primitive.operations:
        then = replace(here, operation=(operation.name, operation.interval_ms))
        yield from (
            (item, then)
            for item in (*operation.sets, *operation.parameters, *cluster.operation_defaults)
        )
