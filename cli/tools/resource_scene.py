"""What a run of `crm_resource` is about: the CIB, what the scheduler makes of it, one resource.

Responsible for opening, and for the words when a name means nothing (`cli.subjects`). What is true
of a resource is read from the scheduler's facts and nowhere else.

Source: tools.md section 2, "crm_resource".
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli.subjects import Subject, find
from cli.tools import ends
from cli.tools.result import Failure
from crm.api import cib as api
from crm.cib import document as documents
from crm.model.cluster import Cluster
from crm.model.configuration import Item
from crm.model.exit_codes import Exit, exit_code
from crm.model.readxml import cluster as reading
from crm.model.readxml import configuration as items
from pengine.facts.facts import Facts, conclude
from pengine.facts.instances import Placeable, instances_of
from pengine.facts.nodes import NodeFacts

TOOL = "crm_resource"


def failure(code: int, text: str = "") -> Failure:
    """Make the end of a run in the classic words: what is wrong, then what the code means."""
    meaning = f"Error performing operation: {exit_code(code).text}"
    return Failure(code, f"{TOOL}: {text}\n{meaning}" if text else f"{TOOL}: {meaning}")


def wrong_use(text: str) -> Failure:
    """Make the end of a run that was called wrongly."""
    return Failure(Exit.USAGE, f"{TOOL}: {text}")


class Scene:
    """A CIB that is open, and what is concluded from it when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cib = ends.open_cib(TOOL, root)
        self.now = datetime.now(UTC)

    @functools.cached_property
    def document(self) -> documents.Document:
        """The CIB, as far as the caller may see it."""
        return self.cib.document()

    @functools.cached_property
    def configuration(self) -> Item:
        """The configuration as items, for what the shell does to it as well."""
        return items.read(self.document.configuration)

    @functools.cached_property
    def cluster(self) -> Cluster:
        """The same as values."""
        return reading.read(self.document.root)[0]

    @functools.cached_property
    def facts(self) -> Facts:
        """What the scheduler takes for true about it."""
        return conclude(self.cluster, self.now)

    @property
    def is_live(self) -> bool:
        """Whether this is a running cluster."""
        return self.cib.session is not None

    def subject(self, name: str) -> Subject:
        """Find a resource: by its id, by that of a copy, or by the plain name of copies.

        Raises: Failure if there is none.
        """
        found = find(self.facts, name)
        if found is None:
            raise failure(Exit.NO_SUCH_OBJECT, f"Resource '{name}' not found")
        return found

    def node(self, name: str) -> NodeFacts:
        """Find a node by its name.

        Raises: Failure if there is none.
        """
        for node in self.facts.nodes:
            if node.name.lower() == name.lower():
                return node
        raise failure(Exit.NO_SUCH_OBJECT, f"Node '{name}' not found")

    def element(self, identity: str) -> Any:  # Any: an element, or None
        """Find the element of a resource in the configuration."""
        resources = self.document.section("resources")
        for each in resources.iter() if resources is not None else ():
            if each.get("id") == identity and each.tag in _RESOURCES:
                return each
        return None

    def places(self, item: Placeable) -> list[str]:
        """List the nodes on which anything of a resource is active."""
        names = (n for i in instances_of(item) for n in self.facts.activity[i.id].nodes)
        return list(dict.fromkeys(names))

    def change(self, *changes: api.Operation) -> None:
        """Carry operations out, all or none.

        Raises: Failure if they were refused.
        """
        self.cib.change(changes, f"{TOOL}: Error performing operation")


_RESOURCES = ("primitive", "group", "clone", "master", "bundle")
