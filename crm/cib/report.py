"""What cibadmin prints about an object that could not be created.

Source: tools.md section 2.
"""

from __future__ import annotations

import copy

from lxml import etree

from crm.plumbing import xml


def failed_creation(given: etree._Element, reason: str) -> bytes:
    """Write the report of an object and why it was not created."""
    report = etree.Element("failed")
    update = etree.SubElement(
        report,
        "failed_update",
        id=given.get("id", ""),
        object_type=str(given.tag),
        operation="cib_create",
        reason=reason,
    )
    update.append(copy.deepcopy(given))
    return xml.serialise(report, pretty=True)
