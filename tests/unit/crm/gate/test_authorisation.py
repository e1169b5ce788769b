"""Who may send what, as a whole matrix, and how a caller comes by its role."""

import msgspec
import pytest

from crm.api import cib, controller, fencing
from crm.api.conversations import BY_SERVICE
from crm.gate.authorisation import TABLE, Role, is_trusted, may_send, role_of

EVERY_MESSAGE = [
    (service, member)
    for service, languages in BY_SERVICE.items()
    for member in languages.requests.members
]
READING = {
    "AskCluster", "Query", "AskRevisions", "DescribeCib", "AskController", "WaitUntilIdle",
    "AskAttributes", "DescribeExecutor", "AskDevices",
}  # fmt: skip
OPERATING = {"CleanUp", "UpdateAttribute"}
ADMINISTERING = {
    "Change", "FenceNode", "ClearNode", "RefreshAttributes", "Fence", "ConfirmDown", "RotateKey",
    "ChangeNodes",
}  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("service", "member"), EVERY_MESSAGE)
def test_every_role_may_send_exactly_what_the_matrix_says(
    service: str, member: type[msgspec.Struct], role: Role
) -> None:
    allowed = {
        Role.STRANGER: set(),
        Role.READER: READING,
        Role.OPERATOR: READING | OPERATING,
        Role.ADMINISTRATOR: READING | OPERATING | ADMINISTERING,
    }[role]
    assert may_send(role, service, member) == (member.__name__ in allowed)


def test_the_table_names_only_messages_that_exist() -> None:
    for service, rows in TABLE.items():
        assert set(rows) <= set(BY_SERVICE[service].requests.members)


def test_what_an_answer_shows_can_be_left_out_of_it() -> None:
    for rows in TABLE.values():
        assert all((row.shows is None) is (row.without is None) for row in rows.values())


def test_a_message_of_another_service_is_refused() -> None:
    assert not may_send(Role.ADMINISTRATOR, "lrmd", cib.Query)
    assert not may_send(Role.ADMINISTRATOR, "nobody", cib.Query)


def test_nobody_takes_office_through_the_gate() -> None:
    assert not may_send(Role.ADMINISTRATOR, "cib", cib.BecomeFollower)


def test_an_operator_cleans_up_but_does_not_fence() -> None:
    assert may_send(Role.OPERATOR, "crmd", controller.CleanUp)
    assert not may_send(Role.OPERATOR, "stonithd", fencing.Fence)


@pytest.mark.parametrize(
    ("uid", "groups", "role"),
    [
        (0, set(), Role.ADMINISTRATOR),
        (500, set(), Role.ADMINISTRATOR),
        (90, set(), Role.ADMINISTRATOR),
        (1000, set(), Role.STRANGER),
        (1000, {"users"}, Role.STRANGER),
        (1000, {"haclient"}, Role.ADMINISTRATOR),
        (1000, {"haoperator", "hareader"}, Role.OPERATOR),
        (1000, {"hareader"}, Role.READER),
    ],
)
def test_the_role_follows_from_uid_and_groups(uid: int, groups: set[str], role: Role) -> None:
    assert role_of(uid=uid, groups=frozenset(groups), own_uid=500, daemon_uid=90) is role


def test_without_a_daemon_user_nobody_is_taken_for_it() -> None:
    assert role_of(uid=90, groups=frozenset(), own_uid=500, daemon_uid=None) is Role.STRANGER


def test_what_a_reader_may_send_is_what_may_be_asked_twice() -> None:
    for service, languages in BY_SERVICE.items():
        readers = {
            kind.__name__ for kind, row in TABLE[service].items() if row.least is Role.READER
        }
        assert readers == languages.reading


@pytest.mark.parametrize(("uid", "trusted"), [(0, True), (500, True), (90, True), (1000, False)])
def test_root_the_daemons_user_and_the_gates_own_are_trusted(uid: int, trusted: bool) -> None:
    assert is_trusted(uid=uid, own_uid=500, daemon_uid=90) is trusted
