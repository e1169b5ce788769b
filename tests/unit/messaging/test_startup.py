"""What is read before heartbeat runs: all files together, and who this node is."""

from __future__ import annotations

import os
import pwd
import socket
import uuid
from pathlib import Path

import pytest

from crm.plumbing.machine import Caller
from crm.plumbing.settings import Paths
from messaging import hostcache, startup
from messaging.authkeys import KeyFile, SharedKey
from messaging.cluster_settings import ClusterSettings, LogSettings
from messaging.nodelist import NodeList

HA_CF = "keepalive 1\ndeadtime 10\nbcast eth1\nnode n1\ncrm yes\nlogfacility daemon\n"
KEYS = "auth 1\n1 sha1 secret\n"


def installed(root: Path, *, ha_cf: str = HA_CF, keys: str = KEYS, mode: int = 0o600) -> Paths:
    paths = Paths(root)
    paths.ha_cf.parent.mkdir(parents=True)
    paths.ha_cf.write_text(ha_cf)
    paths.authkeys.write_text(keys)
    paths.authkeys.chmod(mode)
    return paths


def refused(paths: Paths) -> tuple[list[str], int]:
    readings, problems, code = startup.read_all(paths, "n1")
    assert readings is None
    return [problem.code for problem in problems], code


def test_good_files_are_accepted_with_our_daemons(tmp_path: Path) -> None:
    readings, problems, code = startup.read_all(installed(tmp_path), "n1")
    assert (problems, code) == ([], 0)
    assert readings is not None
    assert readings.programs[0].argv == ("--root", str(tmp_path), "--node", "n1")


def test_without_ha_cf_the_exit_code_says_not_configured(tmp_path: Path) -> None:
    assert refused(Paths(tmp_path)) == (["no-file"], startup.EXIT_NOT_CONFIGURED)


def test_without_authkeys_the_exit_code_says_not_configured(tmp_path: Path) -> None:
    paths = installed(tmp_path)
    paths.authkeys.unlink()
    assert refused(paths) == (["no-file"], startup.EXIT_NOT_CONFIGURED)


def test_mistakes_of_both_files_are_shown_together(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF + "keepalife 2\n", mode=0o644)
    codes, code = refused(paths)
    assert len(codes) >= 2
    assert code == startup.EXIT_NOT_CONFIGURED


def test_a_home_node_that_is_not_listed_keeps_heartbeat_from_starting(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF.replace("crm yes", "auto_failback on"))
    paths.haresources.write_text("n1 10.0.0.1\nn9 httpd\n")
    assert refused(paths) == (["bad-nodename"], startup.EXIT_NOT_CONFIGURED)


def test_a_watchdog_that_is_not_there_is_refused_with_its_remedy(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF + "watchdog /dev/watchdog\n")
    readings, (problem,), code = startup.read_all(paths, "n1")
    assert (readings, code) == (None, startup.EXIT_NOT_CONFIGURED)
    assert problem.code == "no-device" and "modprobe softdog" in problem.hint
    assert str(tmp_path / "dev/watchdog") in problem.message


def test_an_apiauth_line_of_nobody_is_named_with_its_line(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF + "apiauth mine uid=no-such-user\n")
    readings, problems, code = startup.read_all(paths, "n1")
    assert (readings, code) == (None, startup.EXIT_NOT_CONFIGURED)
    (problem,) = problems
    assert problem.code == "unknown-account"
    assert problem.subject == f"{paths.ha_cf}:7" and "user 'no-such-user'" in problem.message


def test_the_apiauth_lines_of_old_files_let_our_daemons_in(tmp_path: Path) -> None:
    lines = "apiauth mgmtd uid=root\napiauth ipfail uid=hacluster\napiauth cib uid=hacluster\n"
    readings, problems, _ = startup.read_all(installed(tmp_path, ha_cf=HA_CF + lines), "n1")
    assert readings is not None and problems == []
    for program in readings.programs:
        user = startup.user_for(program)
        entry = pwd.getpwnam(user) if user else None
        uid, gid = (entry.pw_uid, entry.pw_gid) if entry else (os.geteuid(), os.getegid())
        name = program.plan.name
        if name not in ("lrmd", "pengine"):
            assert readings.rights.refusal(name, 5, Caller(uid, gid, 5)) == "", name


def test_a_ping_node_without_an_address_is_named(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF + "ping no..such..host\n")
    assert refused(paths) == (["unknown-host"], startup.EXIT_NOT_CONFIGURED)


def test_a_file_that_is_a_directory_is_unreadable(tmp_path: Path) -> None:
    paths = installed(tmp_path)
    paths.ha_cf.unlink()
    paths.ha_cf.mkdir()
    assert refused(paths) == (["unreadable"], startup.EXIT_UNREADABLE)


def test_the_identity_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "var/hb_uuid"
    first = startup.read_uuid(path)
    assert str(uuid.UUID(first)) == first
    assert startup.read_uuid(path) == first


def test_an_identity_that_cannot_be_read_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "hb_uuid"
    path.write_bytes(b"\xff not a uuid")
    made = startup.read_uuid(path)
    assert startup.read_uuid(path) == made
    assert path.with_name("hb_uuid.unreadable").read_bytes() == b"\xff not a uuid"


@pytest.mark.parametrize("content", [None, "", "many", "-3"])
def test_a_first_generation_is_large_and_the_next_one_greater(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "hb_generation"
    if content is not None:
        path.write_text(content)
    first = startup.next_generation(path)
    assert first > 1_000_000_000
    assert startup.next_generation(path) == first + 1


def test_the_name_of_the_node_is_in_lower_case() -> None:
    assert startup.node_name(" Node1 ") == "node1"
    assert startup.node_name("") == startup.node_name("").lower() != ""


@pytest.mark.parametrize(
    ("named", "logfile"),
    [
        (LogSettings(), "var/log/ha-log"),
        (LogSettings(facility="daemon"), ""),
        (LogSettings(facility="daemon", use_logd=True), "var/log/ha-log"),
        (LogSettings(logfile="/var/log/mine"), "var/log/mine"),
        (LogSettings(debugfile="/var/log/debug"), ""),
    ],
)
def test_lines_go_where_ha_cf_says_and_never_nowhere(
    tmp_path: Path, named: LogSettings, logfile: str
) -> None:
    settings = ClusterSettings(nodes=("n1",), media=(), log=named)
    targets = startup.log_targets(settings, Paths(tmp_path), "n1")
    assert targets.logfile == (str(tmp_path / logfile) if logfile else "")
    assert targets.logfile or targets.debugfile or targets.facility


def test_a_check_tells_what_the_files_mean_and_which_lines_do_nothing(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF.replace("eth1", "lo") + "normalpoll on\n")
    lines, problems, code = startup.check(paths, "n1")
    assert (problems, code) == ([], 0)
    assert "nodes       n1 (this node)" in lines
    assert "media       lo: bcast, port 694" in lines
    assert "  line 7: normalpoll on: the event loop always uses epoll" in lines
    assert lines[-1] == "packets are sealed with key 1 of authkeys"


def test_membership_alone_starts_no_daemon(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF.replace("crm yes", "crm ccm-only"))
    readings, problems, _ = startup.read_all(paths, "n1")
    assert problems == [] and readings is not None
    assert readings.programs == ()


def test_a_check_names_an_interface_that_is_not_there(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF.replace("eth1", "nosuch0"))
    _, problems, code = startup.check(paths, "n1")
    assert [problem.code for problem in problems] == ["no-interface"]
    assert "lo" in problems[0].hint
    assert code == 0, "it may come later"


def test_a_check_of_bad_files_tells_their_problems_and_nothing_else(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF + "keepalife 2\n")
    lines, problems, code = startup.check(paths, "n1")
    assert lines == []
    assert [problem.code for problem in problems] == ["unknown-directive"]
    assert code == startup.EXIT_NOT_CONFIGURED


# --- authkeys rewritten ---------------------------------------------------------------------

_OLD = KeyFile(1, (SharedKey(1, "sha1", b"old"),))
_BOTH = KeyFile(
    2, (SharedKey(0, "crc", b""), SharedKey(1, "sha1", b"old"), SharedKey(2, "md5", b"new"))
)


def test_keys_that_are_written_are_read_as_they_were_and_remarks_stay(tmp_path: Path) -> None:
    path = tmp_path / "authkeys"
    path.write_text("# ours since 2007\nauth 1\n\n1 sha1 old\n")
    path.chmod(0o600)

    assert startup.write_keys(path, _OLD, _BOTH) == ""

    assert startup.read_keys(path)[0] == _BOTH
    assert path.read_text().startswith("# ours since 2007\nauth 2\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_changed_by_hand_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "authkeys"
    by_hand = "auth 3\n3 sha1 mine\n"
    path.write_text(by_hand)
    path.chmod(0o600)

    problem = startup.write_keys(path, _OLD, _BOTH)

    assert problem == f"{path} was changed and not read since: run heartbeat -r first"
    assert path.read_text() == by_hand


def test_a_file_that_cannot_be_written_stays_and_the_reason_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "authkeys"

    assert "was changed" in startup.write_keys(path, _OLD, _BOTH)


def test_nodes_that_were_added_and_deleted_count_at_the_next_start(tmp_path: Path) -> None:
    paths = installed(tmp_path, ha_cf=HA_CF.replace("node n1", "node n1 n2"))
    kept = NodeList(("n1", "n3"), 2, ("n2",))
    hostcache.write(startup.hostcache_folder(paths), kept, {})

    readings, problems, _ = startup.read_all(paths, "n1")

    assert readings is not None
    assert readings.settings.nodes == ("n1", "n3")
    assert readings.known_nodes == kept
    assert [problem.code for problem in problems] == ["node-deleted"]
    assert "hb_addnode n2" in problems[0].hint


def test_without_a_change_the_nodes_are_those_of_ha_cf(tmp_path: Path) -> None:
    readings, _, _ = startup.read_all(installed(tmp_path), "n1")

    assert readings is not None
    assert readings.known_nodes == NodeList(("n1",)) and readings.settings.nodes == ("n1",)


def test_the_name_of_this_node_may_stand_in_nodeinfo(tmp_path: Path) -> None:
    paths = installed(tmp_path)
    assert startup.stated_name(paths) == ""
    paths.ha_cf.with_name("nodeinfo").write_text("N1\n")
    assert startup.stated_name(paths) == "n1"


def test_a_port_of_another_service_is_warned_of(tmp_path: Path) -> None:
    try:
        socket.getservbyport(53, "udp")
    except OSError:
        pytest.skip("this system knows no services by port")
    paths = installed(tmp_path, ha_cf=HA_CF.replace("bcast", "udpport 53\nbcast"))
    readings, problems, code = startup.read_all(paths, "n1")
    assert readings is not None and code == 0
    assert [problem.code for problem in problems] == ["port-of-another"]
    assert "'domain'" in problems[0].message
