from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.plumbing.errors import Severity, has_errors
from messaging import authkeys
from messaging.cluster_settings import ClusterSettings, Medium, MediumKind, Timing
from messaging.ha_cf import reading as ha_cf

SEEDS = Path(__file__).resolve().parents[5] / "shared/reference/seed-configs"
BASE = (
    "keepalive 1\ndeadtime 10\ninitdead 20\nbcast eth1\nnode n1 n2\ncrm yes\nlogfacility daemon\n"
)


def read(text: str, *, has_haresources: bool = False) -> tuple[ClusterSettings | None, list[str]]:
    settings, problems = ha_cf.read(text, node="n1", has_haresources=has_haresources)
    assert (settings is None) == has_errors(problems)
    return settings, [problem.code for problem in problems]


def accepted(text: str, *, has_haresources: bool = False) -> ClusterSettings:
    settings, codes = read(text, has_haresources=has_haresources)
    assert settings is not None, codes
    return settings


@pytest.mark.parametrize(
    ("seed", "node", "haresources"),
    [
        ("000_7b2709cd0c5a0840/node1/ha.cf", "node1", True),
        ("000_7b2709cd0c5a0840/node2/ha.cf", "node2", True),
        ("001_ac717dc7d11bf831/ha.cf", "node1.hoo.com", False),
        ("001_ac717dc7d11bf831/ha.cf.haresources-mode", "node2.hoo.com", True),
        ("002_6e572dc9cfb0c729/ha.cf", "litsha22", False),
        ("003_bdf273753c2bf663/ha.cf", "primary", True),
        ("004_6ffa8dbdce9fa15b/ha.cf", "linux-ha-a", True),
        ("004_6ffa8dbdce9fa15b/node-b/ha.cf", "linux-ha-b", True),
    ],
)
def test_the_files_of_the_tutorials_are_accepted(seed: str, node: str, haresources: bool) -> None:
    path = SEEDS / seed
    if not path.exists():
        pytest.skip(f"{path} is not there")

    settings, problems = ha_cf.read(
        path.read_text(encoding="utf-8"), node=node, has_haresources=haresources
    )

    assert settings is not None, problems
    assert node in settings.nodes
    assert settings.crm is not haresources


@pytest.mark.parametrize(
    "seed",
    [
        "000_7b2709cd0c5a0840/node1",
        "001_ac717dc7d11bf831",
        "002_6e572dc9cfb0c729",
        "003_bdf273753c2bf663",
        "004_6ffa8dbdce9fa15b",
    ],
)
def test_the_key_files_of_the_tutorials_are_accepted(seed: str) -> None:
    path = SEEDS / seed / "authkeys"
    if not path.exists():
        pytest.skip(f"{path} is not there")

    keys, problems = authkeys.read(path.read_text())

    assert keys is not None and problems == []


def test_remarks_printed_with_slashes_are_refused_and_explained() -> None:
    text = BASE.replace("deadtime 10\n", "") + "deadtime 15 /text/\nwarntime 10 //text\n"
    _, found = ha_cf.read(text, node="n1")

    problems = [problem for problem in found if problem.severity is Severity.ERROR]
    assert [problem.code for problem in problems] == ["bad-value", "bad-value"]
    assert problems[0].subject == "/etc/ha.d/ha.cf:7"
    assert "remark begins with '#'" in problems[1].hint


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("keepalive x", "bad-value"),
        ("keepalive 0", "bad-value"),
        ("keepalive", "missing-value"),
        ("keepalive 2min", "bad-value"),
        ("deadtime 2", "deadtime-too-small"),
        ("initdead 5", "initdead-too-small"),
        ("deadping 2", "deadping-too-small"),
        ("udpport 0", "bad-value"),
        ("udpport 70000", "bad-value"),
        ("ucast eth1", "bad-value"),
        ("ucast eth1 10.0.0.1 10.0.0.2", "bad-value"),
        ("mcast eth0 10.0.0.1 694 1 0", "bad-value"),
        ("mcast eth0 225.0.0.1 694 1", "bad-value"),
        ("mcast eth0 225.0.0.1 694 1 2", "bad-value"),
        ("mcast eth0 225.0.0.1 694 256 0", "bad-value"),
        ("bcast a/b", "bad-value"),
        ("node n1", "bad-value"),
        ("node n$", "bad-value"),
        ("crm no", "bad-value"),
        ("ping_group lonely", "bad-value"),
        ("auto_failback perhaps", "bad-value"),
        ("logfacility local9", "bad-value"),
        ("logfile ha-log", "bad-value"),
        ("use_logd maybe", "bad-value"),
        ("debug 300", "bad-value"),
        ("compression lzma", "bad-value"),
        ("compression_threshold 0", "bad-value"),
        ("autojoin yes", "bad-value"),
        ("respawn hacluster pingd", "bad-value"),
        ("apiauth x", "bad-value"),
        ("apiauth x pid=3", "bad-value"),
        ("stonith external/ssh /etc/x", "unsupported-directive"),
        ("keepalife 2", "unknown-directive"),
        ("// a remark", "unknown-directive"),
        ("env 1=2", "bad-value"),
        ("baud 7", "bad-value"),
        ("keepalive 1\0", "bad-character"),
    ],
)
def test_a_wrong_line_is_refused_by_name(line: str, code: str) -> None:
    settings, codes = read(BASE + line + "\n")

    assert settings is None
    assert code in codes


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("cluster lab", "cluster", "lab"),
        ("compression bz2", "compression", "bz2"),
        ("compression_threshold 4", "compression_threshold_bytes", 4096),
        ("auto_failback on", "auto_failback", "on"),
        ("auto_failback legacy", "auto_failback", "legacy"),
        ("auto_failback No", "auto_failback", "off"),
        ("node n3,N4 n5", "nodes", ("n1", "n2", "n3", "n4", "n5")),
        ("env A=b", "environment", {"A": "b"}),
    ],
)
def test_a_right_line_says_what_it_means(line: str, attribute: str, value: object) -> None:
    assert getattr(accepted(BASE + line + "\n"), attribute) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("1.5", 1.5), ("1500ms", 1.5), ("1500000us", 1.5), ("2s", 2.0), (".5", 0.5)],
)
def test_times_are_read_in_every_unit(text: str, seconds: float) -> None:
    settings = accepted(f"keepalive {text}\n" + BASE.replace("keepalive 1\n", ""))

    assert settings.timing.keepalive_s == pytest.approx(seconds)


@pytest.mark.parametrize(("deadtime", "initdead"), [("20", 20), ("5", 12), ("8", 16)])
def test_initdead_follows_deadtime_when_not_stated(deadtime: str, initdead: float) -> None:
    settings = accepted(BASE.replace("deadtime 10\ninitdead 20", f"deadtime {deadtime}"))

    assert settings.timing.initdead_s == initdead


def test_media_take_the_port_that_stands_above_them() -> None:
    text = "ucast eth0 10.0.0.1\nudpport 700\nucast eth0 10.0.0.2\n"
    settings, codes = read(text + "node n1\ncrm yes\n")

    assert settings is not None
    assert settings.media == (
        Medium(MediumKind.UCAST, "eth0", 694, "10.0.0.1"),
        Medium(MediumKind.UCAST, "eth0", 700, "10.0.0.2"),
    )
    assert "udpport-below-media" in codes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BASE.replace("bcast eth1\n", ""), "no-media"),
        (BASE.replace("node n1 n2\n", ""), "no-nodes"),
        (BASE.replace("n1 n2", "n2 n3"), "local-node-missing"),
        (BASE.replace("crm yes\n", ""), "no-resources"),
        (BASE.replace("logfacility daemon", "use_logd no"), "no-log"),
    ],
)
def test_what_is_missing_is_named(text: str, code: str) -> None:
    settings, codes = read(text)

    assert settings is None and codes == [code]


def test_a_whole_file_shows_all_its_problems_at_once() -> None:
    _, codes = read("keepalive x\nfoo bar\ntipc eth0\n")

    assert len(codes) == 7


def test_haresources_mode_advises_to_convert_the_failback_word() -> None:
    settings, codes = read(BASE.replace("crm yes\n", ""), has_haresources=True)

    assert settings is not None and settings.mode == "haresources"
    assert codes == ["legacy-failback", "legacy-failback"]


def test_parameters_are_told_as_the_file_has_them_and_defaults_in_its_words() -> None:
    parameters = accepted("warntime 2500ms\n" + BASE).parameters

    assert (parameters["deadtime"], parameters["warntime"]) == ("10", "2500ms")
    assert parameters["deadping"] == "10000ms"


def test_the_lease_ends_before_the_deadtime_and_after_two_keepalives() -> None:
    timing = accepted(BASE).timing

    assert timing.lease_s == 8.0 and timing.margin_s == 2.0


@pytest.mark.parametrize("keepalive_s", [0.05, 0.2, 1.0, 2.0])
@pytest.mark.parametrize("factor", [3.0, 4.0, 5.0, 10.0, 15.0])
def test_a_doubted_peer_is_probed_eight_times_before_the_lease_ends(
    keepalive_s: float, factor: float
) -> None:
    timing = Timing(keepalive_s=keepalive_s, deadtime_s=factor * keepalive_s)

    assert timing.suspicion_s <= timing.doubt_s < timing.lease_s
    probes = (timing.lease_s - timing.doubt_s) / timing.probe_interval_s
    assert probes >= 7.99 or timing.probe_interval_s == 0.005


@given(st.text(max_size=300))
def test_any_text_is_accepted_or_refused_without_an_exception(text: str) -> None:
    settings, problems = ha_cf.read(text, node="n1")

    assert (settings is None) == has_errors(problems)


# --- authkeys -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no-auth-line"),
        ("1 sha1 x\n", "no-auth-line"),
        ("auth 1\n", "auth-key-missing"),
        ("1 sha1 x\nauth 1\n", "auth-key-missing"),
        ("auth 1\n2 sha1 x\n", "auth-key-missing"),
        ("auth 3 3 md5 Hello\n", "auth-key-missing"),
        ("auth: 1\n1 sha1 x\n", "bad-auth-line"),
        ("auth 16\n16 sha1 x\n", "bad-auth-line"),
        ("auth 1\n1 sha1\n", "no-secret"),
        ("auth 1\n1 crc x\n", "crc-with-secret"),
        ("auth 1\n1 crc # text\n", "crc-with-secret"),
        ("auth 1\n1 sha256 x\n", "unknown-method"),
        ("auth 1\n99 sha1 x\n", "bad-key-line"),
        ("auth 1\nfoo\n1 sha1 x\n", "bad-key-line"),
    ],
)
def test_a_wrong_key_file_is_refused(text: str, code: str) -> None:
    keys, problems = authkeys.read(text)

    assert keys is None
    assert code in [problem.code for problem in problems]


def test_an_auth_line_without_a_number_is_one_mistake() -> None:
    _, problems = authkeys.read("auth: 1\n1 sha1 x\n")

    assert [problem.code for problem in problems] == ["bad-auth-line"]


def test_the_number_may_follow_auth_without_a_blank() -> None:
    keys, _ = authkeys.read("# a remark\nauth1\n\n1 sha1 x\n2 md5 y\n")

    assert keys is not None
    assert keys.signing == 1 and [key.number for key in keys.keys] == [1, 2]


def test_crc_is_accepted_with_a_loud_warning() -> None:
    keys, problems = authkeys.read("auth 1\n1 crc\n")

    assert keys is not None and [problem.code for problem in problems] == ["crc-key"]


def test_a_secret_with_blanks_is_reported() -> None:
    _, problems = authkeys.read("auth 1\n1 sha1 two words\n")

    assert [problem.code for problem in problems] == ["words-after-secret"]


def test_no_problem_repeats_a_secret() -> None:
    _, problems = authkeys.read("auth 1\n1 sha1 hush more words\n1 crc hush\n77 sha1 hush\n")

    assert "hush" not in "".join(str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("mode", "is_refused"),
    [(0o600, False), (0o400, False), (0o700, False), (0o644, True), (0o640, True), (0o604, True)],
)
def test_a_key_file_others_may_read_is_refused(mode: int, is_refused: bool) -> None:
    problems = authkeys.check_mode(mode)

    assert bool(problems) == is_refused
    if is_refused:
        expected = "Bad permissions on keyfile [/etc/ha.d/authkeys], 600 recommended."
        assert problems[0].message == expected
