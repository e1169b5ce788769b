"""Where `crm_simulate` gets its CIB from, and whether it may be simulated at all.

Source: tools.md sections 1 and 3.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec

from cli.asking import nothing_words, partial_words
from cli.tools import ends
from cli.tools.result import Failure
from crm.api import gateclient
from crm.api.cib import SERVICE, Outcome, Query, QueryReply
from crm.cib import schema, upgrade
from crm.model.exit_codes import Exit
from crm.plumbing import errors, xml
from crm.plumbing.errors import ConfigurationError, CrmError, Problem
from pengine import archive


class Input(msgspec.Struct, frozen=True):
    """A CIB as it came; `path` is the file it came from and may be written back to.

    `is_partial`: access lists hid something of it.
    """

    data: bytes
    path: Path | None = None
    is_partial: bool = False


def load(file: str | None, pipe: bool, live: bool, root: str | None) -> Input:
    """Get a CIB from a file, standard input, or the cluster.

    Raises: UsageError if several are named; Failure, OSError or CrmError if there is none.
    """
    if sum((file is not None, pipe, live)) > 1:
        raise click.UsageError("only one of -x, -p and -L can be given")
    if file is not None:
        return Input(archive.load(Path(file)), Path(file))
    if pipe:
        return Input(sys.stdin.buffer.read())
    classic = os.environ.get("CIB_file")  # noqa: SIM112 - the classic name
    if classic and not gateclient.asking_user():
        return _from_classic_file(Path(classic))
    if classic:
        found = _from_classic_file(Path(classic))
        reply = ends.open_cib("crm_simulate", Path("/"), shadows=False).read()
        return Input(reply.xml, is_partial=True) if reply.is_partial else found
    with gateclient.connect(gateclient.installation_root(root), name="crm_simulate") as session:
        answer = session.ask(SERVICE, Query(request=0))
    if not isinstance(answer, QueryReply):
        raise CrmError("the cib did not give its document")
    if answer.outcome is Outcome.DENIED:
        raise Failure(Exit.INSUFFICIENT_PRIVILEGES, f"crm_simulate: {nothing_words()}")
    if answer.outcome is not Outcome.OK:
        raise CrmError("the cib did not give its document")
    if answer.is_partial:
        click.echo(f"crm_simulate: warning: {partial_words()}", err=True)
    return Input(answer.xml, is_partial=answer.is_partial)


def _from_classic_file(path: Path) -> Input:
    """Read the file that stands for the cluster; a broken one is no input."""
    if not path.exists():
        raise Failure(Exit.NO_SUCH_OBJECT, f"crm_simulate: there is no file '{path}'")
    data = archive.load(path)
    try:
        xml.parse(data)
    except ConfigurationError as problem:
        raise Failure(Exit.NO_INPUT, f"crm_simulate: {problem}") from problem
    return Input(data)  # it stands for the cluster, which a simulation never changes


def remark(root: xml.Element) -> str:
    """Say that a document is not checked, or "" if it is."""
    word = root.get("validate-with")
    if word is None:
        return (
            "Schema validation of configuration is disabled"
            " (enabling is encouraged and prevents common misconfigurations)"
        )
    if word == "none":
        return (
            "Schema validation of configuration is disabled (support for validate-with set to"
            ' "none" is deprecated and will be removed in a future release)'
        )
    return ""


def check(root: xml.Element) -> list[Problem]:
    """List what keeps a document from being a CIB; one that is not checked has no problems."""
    word = root.get("validate-with")
    if word in (None, "none"):
        return []
    if not schema.accepts(word or ""):
        text = f"nothing is known of the schema '{word}'"
        return [errors.error("unknown-schema", "validate-with", text)]
    if root.tag == "cib":
        root = schema.without_status(root)
    upgraded = upgrade.upgrade(root)
    found = [*upgraded.problems, *schema.check(upgraded.root)]
    return found if errors.has_errors(found) else []
