"""What an operation of an agent can end with: OCF exit codes and execution statuses.

Source: the OCF resource agent API; exit codes 190 and 191 are Pacemaker's degraded states.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """The exit code of an OCF action; LSB status codes are mapped to these."""

    OK = 0
    ERROR = 1
    INVALID_PARAMETER = 2
    UNIMPLEMENTED = 3
    INSUFFICIENT_PRIVILEGES = 4
    NOT_INSTALLED = 5
    NOT_CONFIGURED = 6
    NOT_RUNNING = 7
    PROMOTED = 8
    FAILED_PROMOTED = 9
    DEGRADED = 190
    DEGRADED_PROMOTED = 191
    UNKNOWN = 193


class OperationStatus(enum.IntEnum):
    """How the execution itself went; the numbers are those of `op-status` in the CIB."""

    PENDING = -1
    DONE = 0
    CANCELLED = 1
    TIMEOUT = 2
    NOT_SUPPORTED = 3
    ERROR = 4
    ERROR_HARD = 5
    ERROR_FATAL = 6
    NOT_INSTALLED = 7
    NOT_CONNECTED = 8
    INVALID = 9
