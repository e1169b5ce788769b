"""The conversation with `cib`: questions, changes, notices, and its part in a DC change.

A change is a list of operations that is carried out as one: all of them or none. Changes of the
configuration are answered once every member of the membership has made them durable; status
changes (`RecordOperations` and its like) are applied by the master at once, replicated, and
answered as soon as they are applied.

Only the DC's cib is *master*: the others pass changes on to it. Who is master is said by the
local crmd (`BecomeMaster`, `BecomeFollower`) together with the reign.

Source: docs/protocol/cib.md, decision 4 of the design.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from crm.model.version import Reign, Version
from crm.plumbing import errors
from crm.plumbing.codec import Codec, Message

SERVICE = "cib"

LOOK_HINT = "'crm configure log 3' tells whether it was made, by whom and when"
"""What to do about a change of unknown outcome."""

EVERYTHING = "cib"
"""The name of the section that holds all others."""

CHANGE_LIMIT_S = 45.0
"""So long a change may take to be answered, at most: held, sent on, waiting for every disk."""


class Outcome(enum.IntEnum):
    """How a request ended; the numbers are the exit codes of the classic tools."""

    OK = 0
    ERROR = 1
    DENIED = 4
    NO_DATA = 70
    INVALID_XML = 78
    OLD_DATA = 103
    NOT_FOUND = 105
    NO_QUORUM = 106
    EXISTS = 108
    NOT_READY = 102
    NOT_DURABLE = 74
    UNKNOWN_OUTCOME = 124
    CONFLICT = 109


class XmlTask(enum.Enum):
    """What to do with a piece of XML (the actions of cibadmin)."""

    CREATE = "create"
    MODIFY = "modify"
    REPLACE = "replace"
    DELETE = "delete"
    DELETE_ALL = "delete-all"
    ERASE = "erase"
    BUMP = "bump"
    UPGRADE = "upgrade"
    PATCH = "patch"


class XmlOperation(Message, frozen=True, omit_defaults=True):
    """One operation on the document, as cibadmin has them.

    `xml` is the element (UTF-8) or, for PATCH, a v2 `<diff>`. It is found by `xpath` when given,
    else below `section` ("" = anywhere) by tag and id. `may_create` lets MODIFY make what is
    missing.
    """

    task: XmlTask
    xml: bytes = b""
    section: str = ""
    xpath: str = ""
    may_create: bool = False


class OperationRecord(Message, frozen=True, omit_defaults=True):
    """One `lrm_rsc_op`: an operation of a resource on a node and how it ended.

    Units: times of day in seconds since 1970, durations in milliseconds. `transition_key` is
    `ACTION:TRANSITION:EXPECTED_RC:UUID`, `magic` is derived from it when written.
    """

    node: str
    node_id: str
    resource: str
    agent_class: str
    provider: str
    type: str
    operation: str
    interval_ms: int
    call_id: int
    rc: int
    status: int
    transition_key: str
    digest: str = ""
    restart_digest: str = ""
    restart_parameters: str = ""
    exit_reason: str = ""
    last_run: float = 0
    last_rc_change: float = 0
    exec_ms: int = 0
    queue_ms: int = 0
    executed_on: str = ""
    history_id: str = ""


class RecordOperations(Message, frozen=True):
    """Enter operations into the history of their nodes (`last_failure_0` follows by itself)."""

    records: tuple[OperationRecord, ...]


class EraseHistory(Message, frozen=True, omit_defaults=True):
    """Forget the operations of a resource ("" = all) on a node ("" = all nodes).

    With `operation` only that entry (and its failure) is forgotten.
    """

    node: str = ""
    resource: str = ""
    operation: str = ""
    interval_ms: int = 0


class SetNodeState(Message, frozen=True, omit_defaults=True):
    """Write a `node_state`; None leaves an attribute as it is.

    `in_membership`, `crmd` (online), `join` (down, pending, member, nack) and `expected` (down,
    member) are the classic attributes in_ccm, crmd, join and expected.
    """

    node: str
    node_id: str
    in_membership: bool | None = None
    crmd_online: bool | None = None
    join: str | None = None
    expected: str | None = None
    reason: str = ""


class ForgetNodeState(Message, frozen=True):
    """Remove a node's attributes and history from the status (fenced, or a new life of it)."""

    node: str
    history: bool = True
    attributes: bool = True


class ReplaceHistory(Message, frozen=True):
    """Replace all history of a node by what its executor reports (join)."""

    node: str
    node_id: str
    records: tuple[OperationRecord, ...]


class SetNodeAttribute(Message, frozen=True, omit_defaults=True):
    """Set a transient attribute of a node, or delete it with value None."""

    node: str
    node_id: str
    name: str
    value: str | None = None
    set_id: str = ""


class SetCibAttributes(Message, frozen=True):
    """Set attributes of the root element (have-quorum, dc-uuid, execution-date …)."""

    attributes: dict[str, str]


class DescribeNodes(Message, frozen=True):
    """Make the nodes section hold these nodes: (uuid, name) pairs; others stay."""

    nodes: tuple[tuple[str, str], ...]


Operation = (
    XmlOperation
    | RecordOperations
    | EraseHistory
    | SetNodeState
    | ForgetNodeState
    | ReplaceHistory
    | SetNodeAttribute
    | SetCibAttributes
    | DescribeNodes
)


class Origin(Message, frozen=True, omit_defaults=True):
    """On whose behalf a change is made: for history, ACLs and the audit trail."""

    client: str
    node: str = ""
    user: str = ""
    reason: str = ""
    groups: tuple[str, ...] = ()


class Revision(Message, frozen=True, omit_defaults=True):
    """One version of the configuration: who made it out of the one before, when and why.

    `at` is a time of day in seconds since 1970. `digest` is that of the configuration at `after`.
    `summary` says in one line what changed, `objects` name what was touched. `backward` is the
    packed patch that leads back to `before`; empty if it is not asked for, or if `is_known` is
    false: then how this version came about was not recorded here. `is_offline` tells that it was
    made in the file of one node while its cib did not run. `digest_before` is that of `before`,
    where no entry tells how that came about.
    """

    before: Version
    after: Version
    digest: str = ""
    at: float = 0
    node: str = ""
    user: str = ""
    client: str = ""
    reason: str = ""
    summary: str = ""
    objects: tuple[str, ...] = ()
    backward: bytes = b""
    is_known: bool = True
    is_offline: bool = False
    digest_before: str = ""

    @property
    def name(self) -> str:
        """What people call it: `admin_epoch.epoch`."""
        return f"{self.after.admin_epoch}.{self.after.epoch}"


# --- to cib -----------------------------------------------------------------------------------


class Query(Message, frozen=True, omit_defaults=True):
    """Read the document, a section, or what an XPath selects; answered by `QueryReply`.

    Access lists hold for `user`, who is in `groups`; "" is a daemon.
    """

    request: int
    section: str = ""
    xpath: str = ""
    no_children: bool = False
    user: str = ""
    groups: tuple[str, ...] = ()


class Change(Message, frozen=True, omit_defaults=True):
    """Carry out operations as one change; answered by `ChangeReply`.

    `based_on` refuses the change (CONFLICT) unless the configuration still has that version, and
    `based_digest` (where given) unless it is the same one: a master that was cut off may have used
    that version for another.
    `force` lets a partition without quorum change its configuration, and passes warnings.
    """

    request: int
    operations: tuple[Operation, ...]
    origin: Origin
    based_on: Version | None = None
    dry_run: bool = False
    force: bool = False
    based_digest: str = ""


class DescribeCib(Message, frozen=True):
    """Ask for version and digest; answered by `CibDescription`."""

    request: int


class AskRevisions(Message, frozen=True, omit_defaults=True):
    """Read the history of the configuration; answered by `Revisions`.

    `newest` limits how many are told (0 = all that are kept); `patches` asks for them with the
    patches that lead back. Access lists hold for `user`, who is in `groups`; "" is a daemon.
    """

    request: int
    newest: int = 0
    patches: bool = False
    user: str = ""
    groups: tuple[str, ...] = ()


class WholeCib(Message, frozen=True):
    """The root: who may change that administrates."""


class ObjectPart(Message, frozen=True):
    """An object of the configuration by its id."""

    id: str


class HistoryPart(Message, frozen=True, omit_defaults=True):
    """The history of a resource ("" = of all) on a node ("" = on each)."""

    node: str = ""
    resource: str = ""


class AttributePart(Message, frozen=True, omit_defaults=True):
    """A transient attribute ("" = all of them) of a node ("" = of each)."""

    node: str = ""
    name: str = ""
    set_id: str = ""


Part = WholeCib | ObjectPart | HistoryPart | AttributePart
"""What daemons other than the cib write or show, and where that stands in the CIB."""


class Need(Message, frozen=True, omit_defaults=True):
    """The right to read a part, or to `write` it; `throughout`: nothing in it may be denied."""

    part: Part
    write: bool = False
    throughout: bool = False


class AskRights(Message, frozen=True, omit_defaults=True):
    """Ask which of these needs a user's access lists meet; answered by `Rights`."""

    request: int
    needs: tuple[Need, ...]
    user: str
    groups: tuple[str, ...] = ()


class Subscribe(Message, frozen=True, omit_defaults=True):
    """Ask to be told `CibChanged` and `CibReplaced` from now on; the last word of a client counts.

    Of changes, only those that may concern one of `sections` (named as in a `Query`; `cib` is
    everything, none at all means replacements alone), and there, if `options` are named, the value
    of one of these: what wakes nobody costs nothing.
    """

    sections: tuple[str, ...] = (EVERYTHING,)
    options: tuple[str, ...] = ()


class BecomeMaster(Message, frozen=True):
    """The local crmd won: order changes, replicate them; answered by `RoleTaken`."""

    request: int
    reign: Reign


class BecomeFollower(Message, frozen=True, omit_defaults=True):
    """The local crmd is not DC; `master` is the DC's node, or "" while there is none."""

    master: str = ""
    reign: Reign = Reign()


class FetchFrom(Message, frozen=True):
    """(Master) take over the document of `node`, which has the newest; answered by `SyncDone`."""

    request: int
    node: str


class SyncTo(Message, frozen=True):
    """(Master) bring these nodes to our document; answered by `SyncDone` when they have it."""

    request: int
    nodes: tuple[str, ...]


# --- from cib ---------------------------------------------------------------------------------


class Finding(Message, frozen=True, omit_defaults=True):
    """A `Problem` on the wire."""

    code: str
    severity: str
    subject: str
    message: str
    hint: str = ""


class QueryReply(Message, frozen=True, omit_defaults=True):
    """`xml` is one element, or `<xpath-query>` around several; empty unless the outcome is OK.

    `is_partial`: access lists hide something of what was asked about. `findings` say why it was
    refused. `digest` is that of the configuration, unless something of it is hidden.
    """

    request: int
    outcome: Outcome
    version: Version = Version()
    xml: bytes = b""
    is_partial: bool = False
    findings: tuple[Finding, ...] = ()
    digest: str = ""


class ChangeReply(Message, frozen=True, omit_defaults=True):
    """How a change ended. `xml` is what the operation prints (failed_update, the dry run)."""

    request: int
    outcome: Outcome
    version: Version = Version()
    findings: tuple[Finding, ...] = ()
    xml: bytes = b""


class Revisions(Message, frozen=True, omit_defaults=True):
    """The history as this node knows it, the oldest first; the last one made `version`.

    `findings` say why it is not shown (DENIED).
    """

    request: int
    outcome: Outcome
    version: Version = Version()
    revisions: tuple[Revision, ...] = ()
    findings: tuple[Finding, ...] = ()


class Rights(Message, frozen=True, omit_defaults=True):
    """Which needs are not met, by their places in the question, and why each is not."""

    request: int
    denied: tuple[int, ...] = ()
    findings: tuple[Finding, ...] = ()


class CibDescription(Message, frozen=True):
    """Version and digest of the local copy. `digest` covers the configuration."""

    request: int
    version: Version
    digest: str
    schema: str = ""


class Touched(Message, frozen=True, omit_defaults=True):
    """One thing a change touched.

    `kind` is one of "configuration", "node_state", "operation", "history", "attribute", "root".
    For status kinds `node` says whose; `subject` is the id of the element, resource or attribute.
    """

    kind: str
    subject: str = ""
    node: str = ""
    value: str = ""


class CibChanged(Message, frozen=True, omit_defaults=True):
    """The local copy went from one version to the next."""

    before: Version
    after: Version
    touched: tuple[Touched, ...]
    origin: Origin
    patch: bytes = b""


class CibReplaced(Message, frozen=True):
    """The local copy was replaced as a whole (join, or a replace of the root)."""

    version: Version


class RoleTaken(Message, frozen=True):
    """The cib is master now, with this document."""

    request: int
    version: Version


class SyncDone(Message, frozen=True, omit_defaults=True):
    """A fetch or sync ended; `missing` are nodes that did not answer or left."""

    request: int
    outcome: Outcome
    version: Version = Version()
    missing: tuple[str, ...] = ()


TO_CIB = Codec(
    Query,
    AskRevisions,
    AskRights,
    Change,
    DescribeCib,
    Subscribe,
    BecomeMaster,
    BecomeFollower,
    FetchFrom,
    SyncTo,
)
FROM_CIB = Codec(
    QueryReply,
    Revisions,
    Rights,
    ChangeReply,
    CibDescription,
    CibChanged,
    CibReplaced,
    RoleTaken,
    SyncDone,
)


_UNSHOWN = (b'operation="delete"', b'operation="move"', b'name="name"')


def may_concern(patch: bytes, sections: Iterable[str], options: Iterable[str] = ()) -> bool:
    """Tell whether a change may be about one of these sections (`cib`: about anything).

    A patch names the place of each of its changes, or carries the element: what names a section
    nowhere leaves it as it was. With `options` it has to be about the value of one of them as well:
    what is created or modified is shown with all its attributes, so with the option's name; only
    what was deleted, moved or called otherwise is not. A change without a patch may be about
    everything.
    """
    if not patch:
        return True
    is_there = any(
        section == EVERYTHING
        or b"/" + section.encode() in patch
        or b"<" + section.encode() in patch
        for section in sections
    )
    named = tuple(options)
    if not is_there or not named or any(words in patch for words in _UNSHOWN):
        return is_there
    return any(b'"' + option.encode() + b'"' in patch for option in named)


def findings_of(problems: Iterable[errors.Problem]) -> tuple[Finding, ...]:
    """Put problems on the wire."""
    return tuple(Finding(p.code, p.severity.value, p.subject, p.message, p.hint) for p in problems)


def problems_of(findings: Iterable[Finding]) -> tuple[errors.Problem, ...]:
    """Take problems from the wire."""
    return tuple(
        errors.Problem(
            each.code, errors.Severity(each.severity), each.subject, each.message, each.hint
        )
        for each in findings
    )


def is_somebodys(operations: tuple[msgspec.Struct, ...]) -> bool:
    """Tell whether somebody wants this, who relies on an "ok" even if it was so already.

    What the cluster says of itself (`DescribeNodes`) it says again when it is not so any more.
    """
    return any(isinstance(operation, XmlOperation) for operation in operations)


def touches_configuration(operations: tuple[msgspec.Struct, ...]) -> bool:
    """Tell whether a change could alter the configuration (and so needs quorum and disks).

    An XML operation counts as configuration unless it is limited to the status section.
    """
    for operation in operations:
        if isinstance(operation, DescribeNodes):
            return True
        if isinstance(operation, XmlOperation) and operation.section != "status":
            return True
    return False
