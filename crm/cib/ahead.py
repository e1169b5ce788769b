"""Changes that are durable ahead of cib.xml: what `cib.ahead` says, and repeating it.

Responsible for the form of that file and for leading a configuration from where cib.xml stands to
where its last change stands. Not responsible for files (`store`) nor for when what is written
(`disk`).

The file begins with a line that names the digest of the cib.xml it goes on from, the same that
stands at the end of that cib.xml. Beside any other cib.xml it means nothing. A line for each
change follows, each with a checksum: the patch, the entry of the history, and the warrant. What
follows a line that cannot be read is not believed.

Source: decision 0025; docs/protocol/cib.md, "On disk".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from crm.api.cib import Revision
from crm.cib import document as documents
from crm.cib import edits, lines, patch
from crm.cib.warrants import Warrant, pair_of
from crm.model.version import Reign, Version
from crm.plumbing import errors

_HEADER = re.compile(rb'\{"goes_on_from":"(?P<base>[0-9a-f]{64})"\}\Z')


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change of the configuration: the patch, how it came about, and what it is worth then.

    A step from before decision 0028 names the reign only (`written`).
    """

    revision: Revision
    forward: bytes
    warrant: Warrant | None = None
    written: Reign = Reign()

    @property
    def leads_to(self) -> Warrant:
        """On which warrant the configuration is written after this step."""
        if self.warrant is not None:
            return self.warrant
        after = self.revision.after
        return Warrant(after.admin_epoch, self.written, pair_of(after))


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a file says: the digest of the cib.xml below it ("" = none), and the steps from there.

    `bad` counts lines that are torn or damaged, with all that follow the first of them.
    """

    base: str = ""
    steps: tuple[Step, ...] = ()
    bad: int = 0


def header(base: str) -> bytes:
    """Write the first line, for a cib.xml with this digest."""
    return lines.seal(b'{"goes_on_from":"' + base.encode("ascii") + b'"}')


def encode(step: Step) -> bytes:
    """Write the line of a change."""
    return lines.seal(msgspec.json.encode(step))


def decode(data: bytes) -> Ahead:
    """Read a file, as far as it can be believed."""
    base = ""
    steps: list[Step] = []
    found = [line for line in data.split(b"\n") if line]
    for number, line in enumerate(found):
        body = lines.unseal(line)
        try:
            if body is None:
                raise ValueError("not what was written")
            if number == 0:
                base = _base_of(body)
            else:
                steps.append(msgspec.json.decode(body, type=Step))
        except (ValueError, msgspec.DecodeError):
            return Ahead(base, tuple(steps), len(found) - number)
    return Ahead(base, tuple(steps))


def _base_of(body: bytes) -> str:
    named = _HEADER.match(body)
    if named is None:
        raise ValueError("not a first line")
    return named["base"].decode("ascii")


def repeat(document: documents.Document, step: Step) -> None:
    """Make a change once more.

    The status is not kept on the disk, so what a change did there is left out; what it counted
    there is taken from the entry.

    Raises: PatchDoesNotFit or ConfigurationError if this is not the configuration the change was
    made in, or another one results; the document is then as it was.
    """
    entry = step.revision
    if pair_of(document.version) != pair_of(entry.before):
        text = f"the change was made at {entry.before}, this is {document.version}"
        raise patch.PatchDoesNotFit(text)
    edit = edits.Edit(document)
    try:
        for change in patch.read(step.forward).iterchildren("change"):
            if _is_kept(change.get("operation", ""), change.get("path", "")):
                patch.repeat(edit, change)
        for name, value in zip(documents.VERSION_ATTRIBUTES, _numbers(entry.after), strict=True):
            edit.set(document.root, name, str(value))
        if document.digest() != entry.digest:
            raise patch.PatchDoesNotFit(f"another configuration than that of {entry.after} results")
    except errors.CrmError:
        edit.undo()
        raise
    document.version = entry.after


def _is_kept(operation: str, path: str) -> bool:
    """Tell whether a change is about what cib.xml keeps: configuration, attributes of the root."""
    if path == "/cib":
        return operation == "modify"
    return path == "/cib/configuration" or path.startswith(
        ("/cib/configuration/", "/cib/configuration[")
    )


def _numbers(version: Version) -> tuple[int, int, int]:
    return version.admin_epoch, version.epoch, version.updates
