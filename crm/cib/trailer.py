"""What a cib.xml says of itself, in the comment at its end, and the classic digest beside it.

The comment holds the digest of all before it and the warrant the configuration was written on, so
that file, digest and worth can never be torn apart. `cib.xml.sig` holds the digest of the classic
tools, for files from elsewhere. Not responsible for reading or writing files (`store`).

Source: decisions 0022 and 0028.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from lxml import etree

from crm.cib.warrants import NOT_SAID, Warrant, by_hand
from crm.model.version import Reign, Version
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError

_BETWEEN_ELEMENTS = re.compile(rb">\s+<")
_TRAILER = re.compile(
    rb'<!-- pacekeeper reign="(?P<number>\d{1,18})" dc="(?P<dc>[^"]*)" '
    rb'(?:settled="(?P<admin>\d{1,10})\.(?P<epoch>\d{1,10})" decided="(?P<decided>\d{1,10})" )?'
    rb'(?P<end>digest="(?P<digest>[0-9a-f]{64})" -->\s*\Z)'
)


@dataclass(frozen=True, slots=True)
class Trailer:
    """The end of a file: the warrant it names, and its digest ("" = that is not true any more).

    A file from before decision 0028 does not say how far it was settled (`NOT_SAID`), nor what was
    decided: the reader takes its admin_epoch.
    """

    warrant: Warrant
    digest: str


def read(data: bytes) -> Trailer | None:
    """Read what a file says of itself; None if it says nothing."""
    found = _TRAILER.search(data)
    if found is None:
        return None
    written = Reign(int(found["number"]), found["dc"].decode(errors="replace"))
    settled, decided = NOT_SAID, -1
    if found["admin"] is not None:
        settled, decided = (int(found["admin"]), int(found["epoch"])), int(found["decided"])
    digest = found["digest"].decode()
    if hashlib.sha256(data[: found.start("end")]).hexdigest() != digest:
        digest = ""
    return Trailer(Warrant(decided, written, settled), digest)


def warrant_of(found: Trailer | None, version: Version) -> Warrant:
    """Say on which warrant a file at this version was written, also if it was edited since."""
    if found is None:
        return by_hand(version)
    warrant = found.warrant
    if warrant.settled == NOT_SAID:
        return warrant.deciding(version.admin_epoch)
    return warrant.without_quorum(version)


def sealed(data: bytes, warrant: Warrant) -> tuple[bytes, str]:
    """Put the comment at the end of a document; gives the digest in it, too."""
    written, settled = warrant.written, warrant.settled
    known = ""
    if settled != NOT_SAID:
        known = f'settled="{settled[0]}.{settled[1]}" decided="{warrant.decided}" '
    data += f'<!-- pacekeeper reign="{written.number}" dc="{written.dc}" {known}'.encode()
    digest = hashlib.sha256(data).hexdigest()
    return data + f'digest="{digest}" -->\n'.encode(), digest


def classic_digest(root: etree._Element) -> str:
    """Hash a document as `cibadmin --md5-sum` and the `.sig` files of the classic tools do."""
    text = b" " + xml.serialise(root) + b"\n"
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def classic_digest_of_text(data: bytes) -> str:
    """Do the same with a document as we write it to the disk, indented.

    What stands between the elements of such a document is white space, and white space between a
    `>` and a `<` stands nowhere else: a value holds no `<`. Only a comment may look like that.

    Raises: ConfigurationError if it is no XML.
    """
    if b"<!--" in data:
        return classic_digest(xml.parse(data, keep_comments=True))
    if not xml.is_well_formed(data):
        raise ConfigurationError("the document to be written is not XML")
    text = b" " + _BETWEEN_ELEMENTS.sub(b"><", data.strip()) + b"\n"
    return hashlib.md5(text, usedforsecurity=False).hexdigest()
