"""How commands end: every exit code and result code, its classic name and what it means.

Responsible for the numbers, their names and their texts, in one place. Not for which failure
ends in which code (each tool knows), nor for what agents return (`crm.model.outcomes`).

Source: tools.md section 1.
"""

from __future__ import annotations

import enum
import errno
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self


class Exit(enum.IntEnum):
    """The exit code of a command; `classic` is the name scripts know, `text` its meaning."""

    classic: str
    text: str

    def __new__(cls, number: int, classic: str, text: str) -> Self:
        """Make a code that is its number and knows its name and text."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.classic = classic
        member.text = text
        return member

    OK = (0, "CRM_EX_OK", "OK")
    ERROR = (1, "CRM_EX_ERROR", "Error occurred")
    INVALID_PARAMETER = (2, "CRM_EX_INVALID_PARAM", "Invalid parameter")
    UNIMPLEMENTED = (3, "CRM_EX_UNIMPLEMENT_FEATURE", "Unimplemented")
    INSUFFICIENT_PRIVILEGES = (4, "CRM_EX_INSUFFICIENT_PRIV", "Insufficient privileges")
    NOT_INSTALLED = (5, "CRM_EX_NOT_INSTALLED", "Not installed")
    NOT_CONFIGURED = (6, "CRM_EX_NOT_CONFIGURED", "Not configured")
    NOT_RUNNING = (7, "CRM_EX_NOT_RUNNING", "Not running")
    PROMOTED = (8, "CRM_EX_PROMOTED", "Promoted")
    FAILED_PROMOTED = (9, "CRM_EX_FAILED_PROMOTED", "Failed in promoted role")
    USAGE = (64, "CRM_EX_USAGE", "Incorrect usage")
    BAD_DATA = (65, "CRM_EX_DATAERR", "Invalid data given")
    NO_INPUT = (66, "CRM_EX_NOINPUT", "Input file not available")
    NO_USER = (67, "CRM_EX_NOUSER", "User does not exist")
    NO_HOST = (68, "CRM_EX_NOHOST", "Host does not exist")
    UNAVAILABLE = (69, "CRM_EX_UNAVAILABLE", "Necessary service unavailable")
    INTERNAL_BUG = (70, "CRM_EX_SOFTWARE", "Internal software bug")
    SYSTEM_ERROR = (71, "CRM_EX_OSERR", "Operating system error occurred")
    SYSTEM_FILE = (72, "CRM_EX_OSFILE", "System file not available")
    CANNOT_CREATE = (73, "CRM_EX_CANTCREAT", "Cannot create output file")
    IO_ERROR = (74, "CRM_EX_IOERR", "I/O error occurred")
    TRY_AGAIN = (75, "CRM_EX_TEMPFAIL", "Temporary failure, try again")
    PROTOCOL = (76, "CRM_EX_PROTOCOL", "Protocol violated")
    NO_PERMISSION = (77, "CRM_EX_NOPERM", "Insufficient privileges")
    INVALID_CONFIGURATION = (78, "CRM_EX_CONFIG", "Invalid configuration")
    FATAL = (100, "CRM_EX_FATAL", "Fatal error occurred, will not respawn")
    PANIC = (101, "CRM_EX_PANIC", "System panic required")
    NOT_CONNECTED = (102, "CRM_EX_DISCONNECT", "Not connected")
    OLD = (103, "CRM_EX_OLD", "Update was older than existing configuration")
    DIGEST_MISMATCH = (104, "CRM_EX_DIGEST", "Digest mismatch")
    NO_SUCH_OBJECT = (105, "CRM_EX_NOSUCH", "No such object")
    NO_QUORUM = (106, "CRM_EX_QUORUM", "Quorum required")
    UNSAFE = (107, "CRM_EX_UNSAFE", "Operation not safe")
    EXISTS = (108, "CRM_EX_EXISTS", "Requested item already exists")
    MULTIPLE = (109, "CRM_EX_MULTIPLE", "Multiple items match request")
    EXPIRED = (110, "CRM_EX_EXPIRED", "Requested item has expired")
    NOT_YET_IN_EFFECT = (111, "CRM_EX_NOT_YET_IN_EFFECT", "Requested item is not yet in effect")
    INDETERMINATE = (112, "CRM_EX_INDETERMINATE", "Could not determine status")
    UNSATISFIED = (113, "CRM_EX_UNSATISFIED", "Not applicable under current conditions")
    TIMEOUT = (124, "CRM_EX_TIMEOUT", "Timeout occurred")
    DEGRADED = (190, "CRM_EX_DEGRADED", "Service is active but might fail soon")
    DEGRADED_PROMOTED = (191, "CRM_EX_DEGRADED_PROMOTED", "Service is promoted but might fail soon")
    NONE = (193, "CRM_EX_NONE", "No exit status available")


class Code(NamedTuple):
    """One number with its name and its text."""

    number: int
    name: str
    text: str


_LAST_EXIT = 255
_UNLISTED = frozenset({
    "EADV", "EBFONT", "EDOTDOT", "ELNRNG", "ENAVAIL", "ENOANO", "ENOCSI", "ENOTNAM",
    "ENOTRECOVERABLE", "EOWNERDEAD", "ERFKILL", "ESRMNT", "ETOOMANYREFS",
})  # fmt: skip
"""Errors of the system that the classic tool can explain, but does not list."""
_UNLISTED_LEGACY = "pcmk_err_schema_unchanged"
_SYNONYMS = {errno.EOPNOTSUPP: "EOPNOTSUPP"}
"""Where a number has two names, the one that is shown."""
MAX_SYSTEM = 4095
"""The kernel knows no greater error."""
_SIGNALS = range(129, _LAST_EXIT)

_RESULTS = (
    Code(-1033, "pcmk_rc_duplicate_id", "Two or more XML elements have the same ID"),
    Code(-1032, "pcmk_rc_unpack_error", "Unable to parse CIB XML"),
    Code(-1031, "pcmk_rc_invalid_transition", "Cluster simulation produced invalid transition"),
    Code(-1030, "pcmk_rc_graph_error", "Error writing graph file"),
    Code(-1029, "pcmk_rc_dot_error", "Error writing dot(1) file"),
    Code(-1028, "pcmk_rc_underflow", "Value too small to be stored in data type"),
    Code(-1027, "pcmk_rc_no_input", "Input file not available"),
    Code(-1026, "pcmk_rc_no_output", "Output message produced no output"),
    Code(-1025, "pcmk_rc_after_range", "Result occurs after given range"),
    Code(-1024, "pcmk_rc_within_range", "Result occurs within given range"),
    Code(-1023, "pcmk_rc_before_range", "Result occurs before given range"),
    Code(-1022, "pcmk_rc_undetermined", "Result undetermined"),
    Code(-1021, "pcmk_rc_op_unsatisfied", "Not applicable under current conditions"),
    Code(
        -1020, "pcmk_rc_ipc_pid_only", "IPC server process is active but not accepting connections"
    ),
    Code(-1019, "pcmk_rc_ipc_unresponsive", "IPC server is unresponsive"),
    Code(-1018, "pcmk_rc_ipc_unauthorized", "IPC server is blocked by unauthorized process"),
    Code(-1017, "pcmk_rc_no_quorum", "Operation requires quorum"),
    Code(-1016, "pcmk_rc_schema_validation", "Update does not conform to the configured schema"),
    Code(-1015, "pcmk_rc_schema_unchanged", "Schema is already the latest available"),
    Code(-1014, "pcmk_rc_transform_failed", "Schema transform failed"),
    Code(-1013, "pcmk_rc_old_data", "Update was older than existing configuration"),
    Code(-1012, "pcmk_rc_diff_failed", "Application of update diff failed"),
    Code(
        -1011, "pcmk_rc_diff_resync", "Application of update diff failed, requesting full refresh"
    ),
    Code(-1010, "pcmk_rc_cib_modified", "On-disk configuration was manually modified"),
    Code(-1009, "pcmk_rc_cib_backup", "Could not archive previous configuration"),
    Code(-1008, "pcmk_rc_cib_save", "Could not save new configuration to disk"),
    Code(-1007, "pcmk_rc_cib_corrupt", "Could not parse on-disk configuration"),
    Code(-1006, "pcmk_rc_multiple", "Resource active on multiple nodes"),
    Code(-1005, "pcmk_rc_node_unknown", "Node not found"),
    Code(-1004, "pcmk_rc_already", "Already in requested state"),
    Code(-1003, "pcmk_rc_bad_nvpair", "Bad name/value pair given"),
    Code(-1002, "pcmk_rc_unknown_format", "Unknown output format"),
    Code(-1001, "pcmk_rc_error", "Error"),
    Code(0, "pcmk_rc_ok", "OK"),
)
"""Result codes of the library; positive ones are those of the operating system."""

_LEGACY = (
    Code(201, "pcmk_err_generic", "Error"),
    Code(202, "pcmk_err_no_quorum", "Operation requires quorum"),
    Code(203, "pcmk_err_schema_validation", "Update does not conform to the configured schema"),
    Code(204, "pcmk_err_transform_failed", "Schema transform failed"),
    Code(205, "pcmk_err_old_data", "Update was older than existing configuration"),
    Code(206, "pcmk_err_diff_failed", "Application of update diff failed"),
    Code(207, "pcmk_err_diff_resync", "Application of update diff failed, requesting full refresh"),
    Code(208, "pcmk_err_cib_modified", "On-disk configuration was manually modified"),
    Code(209, "pcmk_err_cib_backup", "Could not archive previous configuration"),
    Code(210, "pcmk_err_cib_save", "Could not save new configuration to disk"),
    Code(211, "pcmk_err_schema_unchanged", "Schema is already the latest available"),
    Code(212, "pcmk_err_cib_corrupt", "Could not parse on-disk configuration"),
    Code(213, "pcmk_err_multiple", "Resource active on multiple nodes"),
    Code(214, "pcmk_err_node_unknown", "Node not found"),
    Code(215, "pcmk_err_already", "Already in requested state"),
    Code(216, "pcmk_err_bad_nvpair", "Bad name/value pair given"),
    Code(217, "pcmk_err_unknown_format", "Unknown output format"),
)
"""Result codes of older releases; smaller ones are those of the operating system."""


def exit_code(number: int) -> Code:
    """Describe an exit code."""
    known = {member.value: member for member in Exit}.get(number)
    if known is not None:
        return Code(number, known.classic, known.text)
    if number == _LAST_EXIT:
        return Code(number, "CRM_EX_UNKNOWN", Exit.ERROR.text)
    if number in _SIGNALS:
        return Code(number, "CRM_EX_UNKNOWN", "Interrupted by signal")
    return Code(number, "CRM_EX_UNKNOWN", "Unknown exit status")


def result_code(number: int) -> Code:
    """Describe a result code of the library."""
    known = {code.number: code for code in _RESULTS}.get(number)
    if known is not None:
        return known
    if 0 < number <= MAX_SYSTEM:
        return _system(number)
    return Code(number, "Unknown", "Error")


def legacy_code(number: int) -> Code:
    """Describe a result code of older releases; its sign does not matter."""
    size = abs(number)
    known = {code.number: code for code in _LEGACY}.get(size)
    if known is None and size > MAX_SYSTEM:
        return Code(number, "Unknown", "Error")
    return Code(number, *known[1:]) if known is not None else Code(number, *_system(size)[1:])


def exit_codes() -> Iterator[Code]:
    """List every exit code."""
    return (Code(member.value, member.classic, member.text) for member in Exit)


def result_codes() -> Iterator[Code]:
    """List every result code of the library."""
    yield from _RESULTS
    yield from _systems()


def legacy_codes() -> Iterator[Code]:
    """List every result code of older releases."""
    yield _system(0)
    yield from _systems()
    yield from (code for code in _LEGACY if code.name != _UNLISTED_LEGACY)


def _systems() -> Iterator[Code]:
    codes = (_system(number) for number in sorted(errno.errorcode))
    return (code for code in codes if code.name not in _UNLISTED)


def _system(number: int) -> Code:
    if number == 0:
        return Code(0, "pcmk_rc_ok", "OK")
    name = _SYNONYMS.get(number) or errno.errorcode.get(number, "Unknown")
    return Code(number, name, os.strerror(number))
