"""What the cib says in the log of memberships and writes, in the words that operators search for.

Responsible for the words alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from crm.api.membership import View, ViewEvent
from crm.cib.disk import Content, Persisted


def of_view(event: ViewEvent, view: View) -> Iterator[str]:
    """Tell what membership there is now."""
    name = "OC_EV_MS_" + event.value.replace(" ", "_")
    yield f"mem_handle_event: Got an event {name} from ccm"
    nodes, new, lost = len(view.members), len(view.new), len(view.lost)
    yield (
        f"mem_handle_event: instance={view.id}, nodes={nodes}, new={new}, lost={lost},"
        f" n_idx=0, new_idx={0 if new == nodes else nodes},"
        f" old_idx={nodes + max(view.total_nodes, nodes)}"
    )
    if event is ViewEvent.NOT_PRIMARY:
        return
    for node in view.lost:
        yield f"cib_ccm_msg_callback: LOST: {node}"
    for member in view.members:
        yield f"cib_ccm_msg_callback: PEER: {member.name}"


def of_write(content: Content, event: Persisted) -> str:
    """Tell that cib.xml was written; nothing to say of what went ahead of it."""
    if not content.data:
        return ""
    return (
        f"write_cib_contents: Wrote version {content.version} of the CIB to disk"
        f" (digest: {event.digest})"
    )


def of_failure(content: Content, event: Persisted) -> str:
    """Tell that a write failed, and why."""
    where = "" if content.data else " ahead of cib.xml"
    return (
        f"write_cib_contents: Version {content.version} of the CIB could not be written"
        f"{where}: {event.reason}"
    )
