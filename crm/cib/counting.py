"""Which version a change leads to: what raises which number.

Responsible for telling from an edit whether it is one of the configuration, and for the numbers;
not for who may make it (`operations`).

Source: docs/protocol/cib.md, "Document".
"""

from __future__ import annotations

from crm.cib import document as documents
from crm.cib import edits
from crm.model.version import Version


def is_of_configuration(edit: edits.Edit, before: Version) -> bool:
    """Tell whether what was edited counts as a change of the configuration."""
    given = edit.document.read_version()
    jumped = (given.admin_epoch, given.epoch) != (before.admin_epoch, before.epoch)
    return edit.touches_configuration or jumped or has_other_schema(edit)


def has_other_schema(edit: edits.Edit) -> bool:
    """Tell whether the document follows another schema than before."""
    return edit.touches_schema


def following(edit: edits.Edit, before: Version, *, configuration: bool) -> Version:
    """Count the change on top of the version its operations (replace, patch, bump) gave.

    A version that was raised, and nothing else, is an update of what it was raised to.
    """
    given = edit.document.read_version()
    raised = (given.admin_epoch, given.epoch) > (before.admin_epoch, before.epoch)
    if edit.touches_configuration or (configuration and not raised):
        return Version(given.admin_epoch, given.epoch + 1, 0)
    return Version(given.admin_epoch, given.epoch, given.updates + 1)


def write(edit: edits.Edit, version: Version) -> None:
    """Write a version into the root's attributes."""
    values = (version.admin_epoch, version.epoch, version.updates)
    for name, value in zip(documents.VERSION_ATTRIBUTES, values, strict=True):
        edit.set(edit.document.root, name, str(value))
