"""What a cib.xml says of itself, in the comment at its end, and the classic digest beside it.

The comment holds the digest of all before it and the warrant the configuration was written on, so
that file, digest and worth can never be torn apart. What it says of the warrant has a checksum of
its own, by which it is believed when the rest was edited. `cib.xml.sig` holds the digest of the
classic tools, for files from elsewhere, and tells what was edited from what was damaged. Not
responsible for reading or writing files (`store`).

Source: decisions 0022 and 0028.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass

from lxml import etree

from crm.cib.warrants import NOT_SAID, Warrant, by_hand
from crm.model.version import Reign, Version
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError

_BETWEEN_ELEMENTS = re.compile(rb">\s+<")
_TRAILER = re.compile(
    rb'<!-- pacekeeper (?P<words>reign="(?P<number>\d{1,18})" dc="(?P<dc>[^"]*)" '
    rb'(?:settled="(?P<admin>\d{1,15})\.(?P<epoch>\d{1,15})" decided="(?P<decided>\d{1,15})" )?)'
    rb'(?:check="(?P<check>[0-9a-f]{8})" )?(?P<end>digest="(?P<digest>[0-9a-f]{64})" -->\s*\Z)'
)


@dataclass(frozen=True, slots=True)
class Trailer:
    """The end of a file: the warrant it names, and its digest ("" = that is not true any more).

    `is_sure`: digest or checksum say that the warrant is as it was written. `is_damaged`: its
    checksum says that it is not. A file from before decision 0028 has no checksum, and does not
    say how far it was settled (`NOT_SAID`), nor what was decided: the reader takes its admin_epoch.
    """

    warrant: Warrant
    digest: str
    is_sure: bool
    is_damaged: bool


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
    is_checked = found["check"] is not None and _check(found["words"]) == found["check"]
    is_damaged = found["check"] is not None and not is_checked
    warrant = Warrant(decided, written, settled)
    return Trailer(warrant, digest, bool(digest) or is_checked, not digest and is_damaged)


def _check(words: bytes) -> bytes:
    return f"{zlib.crc32(words):08x}".encode()


def warrant_of(found: Trailer | None, version: Version, *, is_unchanged: bool = False) -> Warrant:
    """Say on which warrant a file at this version was written, also if it was edited since.

    `is_unchanged`: the configuration is as it was written, as another digest shows. If what the
    file says of itself was damaged, it is worth nothing then; if it was edited as well, it counts
    as put there by hand.
    """
    if found is None:
        return by_hand(version)
    if is_unchanged and not found.is_sure:
        return Warrant()
    if found.is_damaged:
        return by_hand(version)
    warrant = found.warrant
    if warrant.settled == NOT_SAID:
        return warrant.deciding(version.admin_epoch)
    return warrant.without_quorum(version)


def sealed(data: bytes, warrant: Warrant) -> tuple[bytes, str]:
    """Put the comment at the end of a document; gives the digest in it, too."""
    written, settled = warrant.written, warrant.settled
    words = (
        f'reign="{written.number}" dc="{written.dc}" '
        f'settled="{settled[0]}.{settled[1]}" decided="{warrant.decided}" '
    ).encode()
    data += b"<!-- pacekeeper " + words + b'check="' + _check(words) + b'" '
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
