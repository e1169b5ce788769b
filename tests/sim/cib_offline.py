"""What somebody does to the cib.xml of a node that is down, in a run of the profile `cib`."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from crm.api.cib import Operation, Origin, XmlOperation, XmlTask
from crm.cib import ahead, operations, revisions, trailer
from crm.cib import store as stores
from crm.cib.disk import Journal
from crm.cib.document import Document
from crm.cib.warrants import Pair, Warrant, pair_of
from crm.plumbing.errors import ConfigurationError
from tests.kit.frail_disk import FOLDER, FrailDisk
from tests.sim.nodes import RULES


def edit_by_tool(disk: FrailDisk, steps: Callable[[Document], tuple[Operation, ...]]) -> bool:
    """Change the file as the tools do; False if it cannot be read (or there is no room)."""
    disk.restart_process()
    store = stores.Store(FOLDER, kernel=disk)
    try:
        loaded = store.load(RULES)
        carried = operations.carry_out(loaded.document, steps(loaded.document), RULES)
        if carried.trace is None:
            return False
        store.read_journal()
        entry = revisions.entry_of(
            carried.trace,
            carried.before,
            carried.after,
            digest=loaded.document.digest(),
            origin=Origin("cibadmin"),
            at=0,
        )
        lines = (revisions.encode(msgspec.structs.replace(entry, is_offline=True)),)
        worth = loaded.warrant.without_quorum(carried.after)
        store.write(loaded.document.configuration_text(), worth, Journal(lines))
    except (ConfigurationError, OSError):
        return False
    return True


def edit_by_hand(disk: FrailDisk, register: str, value: str) -> bool:
    """Change a value with an editor, and remove the signature; False if that would lose changes.

    Who edits cib.xml by hand does not see what is ahead of it.
    """
    files = disk.files()
    data = files.get(stores.FILE, b"")
    said = trailer.read(data)
    found = ahead.decode(files.get(stores.AHEAD, b""))
    if said is None or not said.digest or (found.steps and found.base == said.digest):
        return False
    pattern = f'(<nvpair id="{register}" name="{register}" value=")[^"]*'.encode()
    changed, count = re.subn(pattern, rb"\g<1>" + value.encode(), data)
    if count != 1:
        return False
    disk.put(stores.FILE, changed)
    if stores.SIGNATURE in files:
        disk.remove(stores.SIGNATURE)
    return True


def worth_of(disk: FrailDisk) -> tuple[Warrant, Pair]:
    """Say what the file of a node is worth; nothing if it cannot be read."""
    data = disk.files().get(stores.FILE, b"")
    try:
        version = Document.parse(data).version
    except ConfigurationError:
        return Warrant(-1), (0, 0)
    return trailer.warrant_of(trailer.read(data), version), pair_of(version)


def set_register(place: str, register: str, value: str) -> XmlOperation:
    """Write a register, whether it is there or not."""
    inner = f'<nvpair id="{register}" name="{register}" value="{value}"/>'
    text = f'<cluster_property_set id="{place}">{inner}</cluster_property_set>'
    return XmlOperation(XmlTask.MODIFY, text.encode(), "crm_config", may_create=True)


def raise_admin_epoch(number: int) -> XmlOperation:
    """Decide."""
    return XmlOperation(XmlTask.MODIFY, f'<cib admin_epoch="{number}"/>'.encode())
