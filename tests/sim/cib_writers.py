"""Writers of the configuration, with every kind of change that cibadmin can make.

They fight over a few registers and make new ones; what each does is entered into the ledger
before it is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from lxml import etree

from crm.api.cib import Operation, XmlOperation, XmlTask
from crm.cib.document import Document
from crm.model.version import Version
from crm.plumbing import xml
from tests.kit.frail_disk import FrailDisk
from tests.sim import cib_offline
from tests.sim.ledger import ADMIN_EPOCH, DECIDES, Entry, Ledger

SET = "shared"
REGISTERS = tuple(f"shared-{number}" for number in range(4))
KINDS = {
    "create": 6,
    "modify": 6,
    "replace": 2,
    "delete": 2,
    "patch": 3,
    "stale-patch": 1,
    "read-modify-write": 4,
    "replace-all": 4,
    "stale-base": 2,
    "raise-admin-epoch": 1,
    "status": 2,
}
"""How often which kind, compared with the rest."""

FORCED = 0.7
"""So often who is without quorum forces a change, where it would be refused otherwise."""

BY_HAND = 0.4
"""So often a file is changed with an editor, and not by a tool."""


@dataclass(frozen=True)
class Wish:
    """What to ask for; no entry: nothing that the ledger judges."""

    operations: tuple[Operation, ...]
    entry: Entry | None
    based_on: Version | None = None
    force: bool = False
    behind: int = 0
    """So many others write while this is being made."""


def text(nodes: dict[str, str]) -> bytes:
    """The configuration the writers start with, for these nodes (name → uuid)."""
    described = "".join(f'<node id="{uuid}" uname="{name}"/>' for name, uuid in nodes.items())
    pairs = "".join(f'<nvpair id="{name}" name="{name}" value="first"/>' for name in REGISTERS)
    return f"""<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">
<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">
<nvpair id="o1" name="stonith-enabled" value="false"/>
<nvpair id="o2" name="no-quorum-policy" value="stop"/>
<nvpair id="o4" name="start-failure-is-fatal" value="false"/>
</cluster_property_set><cluster_property_set id="{SET}">{pairs}</cluster_property_set>
</crm_config><nodes>{described}</nodes><resources/><constraints/></configuration><status/></cib>
""".encode()


class Writers:
    """Thinks up changes for the copy a writer has in front of it."""

    def __init__(self, chance: random.Random, ledger: Ledger) -> None:
        self._chance = chance
        self._ledger = ledger
        self._stale: dict[str, Version] = {}
        self._kinds: dict[str, Callable[[str, str, Document], Wish]] = {
            "create": self._create,
            "modify": self._modify,
            "replace": self._replace,
            "delete": self._delete,
            "patch": self._patch,
            "stale-patch": self._stale_patch,
            "read-modify-write": self._read_modify_write,
            "replace-all": self._replace_all,
            "stale-base": self._stale_base,
            "raise-admin-epoch": self._raise_admin_epoch,
            "decide": self._decide,
            "status": self._status,
        }

    def wish(self, node: str, document: Document, kind: str = "", *, alone: bool = False) -> Wish:
        """Make a wish of this kind, or of any; who is without quorum (`alone`) may force it."""
        kind = kind or self._chance.choices(list(KINDS), list(KINDS.values()))[0]
        value = f"v{len(self._ledger.entries) + 1}"
        made = self._kinds[kind](node, value, document)
        may_force = made.entry is not None and made.entry.register != ADMIN_EPOCH
        if alone and may_force and self._chance.random() < FORCED:
            assert made.entry is not None
            made.entry.is_forced = True
            made = replace(made, force=True)
        if self._chance.random() < 0.3:
            self._stale[node] = document.version
        return made

    def _register(self) -> str:
        return self._chance.choice(REGISTERS)

    def _create(self, node: str, value: str, document: Document) -> Wish:
        name = f"token-{value}"
        operation = XmlOperation(XmlTask.CREATE, _pair(name, value), xpath=_PLACE)
        return Wish((operation,), self._ledger.asked(node, name, value))

    def _modify(self, node: str, value: str, document: Document) -> Wish:
        name = self._register()
        inner = f'<cluster_property_set id="{SET}">'.encode() + _pair(name, value)
        operation = XmlOperation(XmlTask.MODIFY, inner + b"</cluster_property_set>", "crm_config")
        return Wish((operation,), self._ledger.asked(node, name, value))

    def _replace(self, node: str, value: str, document: Document) -> Wish:
        name = self._register()
        operation = XmlOperation(XmlTask.REPLACE, _pair(name, value), "crm_config")
        return Wish((operation,), self._ledger.asked(node, name, value))

    def _delete(self, node: str, value: str, document: Document) -> Wish:
        name = self._register()
        operation = XmlOperation(
            XmlTask.DELETE, f'<nvpair id="{name}"/>'.encode(), section="crm_config"
        )
        return Wish((operation,), self._ledger.asked(node, name, None))

    def _patch(
        self, node: str, value: str, document: Document, source: Version | None = None
    ) -> Wish:
        name = self._register()
        path = (
            f"/cib/configuration/crm_config/cluster_property_set[@id='{SET}']/nvpair[@id='{name}']"
        )
        root = etree.Element("diff", format="2")
        if source is not None:
            versions = etree.SubElement(root, "version")
            after = Version(source.admin_epoch, source.epoch + 1, 0)
            for tag, version in (("source", source), ("target", after)):
                numbers = {
                    "admin_epoch": str(version.admin_epoch),
                    "epoch": str(version.epoch),
                    "num_updates": str(version.updates),
                }
                etree.SubElement(versions, tag, numbers)
        change = etree.SubElement(root, "change", operation="modify", path=path)
        listing = etree.SubElement(change, "change-list")
        etree.SubElement(listing, "change-attr", name="value", operation="set", value=value)
        operation = XmlOperation(XmlTask.PATCH, etree.tostring(root))
        return Wish((operation,), self._ledger.asked(node, name, value))

    def _stale_patch(self, node: str, value: str, document: Document) -> Wish:
        return self._patch(node, value, document, self._stale.get(node, document.version))

    def _read_modify_write(
        self, node: str, value: str, document: Document, base: Version | None = None
    ) -> Wish:
        """As an editor does: what was read goes back with one change in it."""
        name = self._register()
        pairs = {each: _value(document, each) for each in REGISTERS} | {name: value}
        inner = b"".join(_pair(each, kept) for each, kept in pairs.items() if kept is not None)
        given = f'<cluster_property_set id="{SET}">'.encode() + inner + b"</cluster_property_set>"
        operation = XmlOperation(XmlTask.REPLACE, given, "crm_config")
        based_on = base or document.version
        return Wish((operation,), self._ledger.asked(node, name, value, based_on), based_on)

    def _replace_all(self, node: str, value: str, document: Document) -> Wish:
        """As `cibadmin --query`, an editor, `cibadmin --replace` do; with the status or without."""
        name = self._register()
        copy = Document.parse(document.text())
        pair = copy.by_id(name)
        if pair is None:
            return self._read_modify_write(node, value, document)
        pair.set("value", value)
        if self._chance.random() < 0.5:
            copy.status[:] = []
        operation = XmlOperation(XmlTask.REPLACE, xml.serialise(copy.root))
        entry = self._ledger.asked(node, name, value, document.version)
        behind = self._chance.randint(0, 4)
        return Wish((operation,), entry, document.version, behind=behind)

    def _stale_base(self, node: str, value: str, document: Document) -> Wish:
        return self._read_modify_write(
            node, value, document, self._stale.get(node, document.version)
        )

    def _raise_admin_epoch(self, node: str, value: str, document: Document) -> Wish:
        number = document.version.admin_epoch + 1
        return self._raise(node, number)

    def _decide(self, node: str, value: str, document: Document) -> Wish:
        """As an administrator decides who has nobody to ask."""
        number = (document.version.admin_epoch // DECIDES + 1) * DECIDES
        made = self._raise(node, number)
        assert made.entry is not None
        made.entry.is_forced = True
        return replace(made, force=True)

    def _raise(self, node: str, number: int) -> Wish:
        entry = self._ledger.asked(node, ADMIN_EPOCH, str(number))
        return Wish((cib_offline.raise_admin_epoch(number),), entry)

    def edit(self, node: str, disk: FrailDisk, *, decides: bool = False) -> Entry | None:
        """Somebody changes the cib.xml of a node that is down; None if that cannot be done."""
        value = f"v{len(self._ledger.entries) + 1}"
        entry = self._ledger.asked(node, self._register(), value)
        entry.is_forced = True
        if not decides and self._chance.random() < BY_HAND:
            done = cib_offline.edit_by_hand(disk, entry.register, value)
            if done:
                return entry
        step = cib_offline.set_register(SET, entry.register, value)

        def steps(document: Document) -> tuple[Operation, ...]:
            return (*self._decide(node, value, document).operations, step) if decides else (step,)

        return entry if cib_offline.edit_by_tool(disk, steps) else None

    def _status(self, node: str, value: str, document: Document) -> Wish:
        large = "".join(f'<x id="x{n}"/>' for n in range(self._chance.choice((0, 200))))
        state = f'<node_state id="stray" uname="stray" crm-debug-origin="{value}">'
        given = f"{state}{large}</node_state>"
        operation = XmlOperation(XmlTask.MODIFY, given.encode(), "status", may_create=True)
        return Wish((operation,), None)


_PLACE = "//cluster_property_set[@id='cib-bootstrap-options']"


def _pair(name: str, value: str) -> bytes:
    return f'<nvpair id="{name}" name="{name}" value="{value}"/>'.encode()


def _value(document: Document, register: str) -> str | None:
    pair = document.by_id(register)
    return None if pair is None else pair.get("value")
