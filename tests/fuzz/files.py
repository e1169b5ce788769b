"""The files that people and their tools write: what reads them takes any text and any bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import strategies as st

from crm.cib import haresources, rules, upgrade
from crm.cib.ha_cf import read_cluster_file
from crm.cib.haresources_fields import Habits
from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError, has_errors
from crm.plumbing.settings import Paths
from messaging import authkeys, hostcache, quorumd
from messaging.ha_cf import directives
from messaging.ha_cf import reading as ha_cf
from tests.fuzz import inputs
from tests.fuzz.inputs import Target

_FOLDER = tempfile.TemporaryDirectory(prefix="pacekeeper-fuzz-")
"""For what is read from files; gone with the process."""


def _texts(first: list[str], words: list[str]) -> st.SearchStrategy[str]:
    """Lines whose words are those of a kind of file, in any order, among others."""
    word = st.sampled_from(words) | st.text(max_size=6)
    lines = st.builds(
        lambda name, rest, gap: gap.join([name, *rest]),
        st.sampled_from(first) | word,
        st.lists(word, max_size=6),
        st.sampled_from([" ", "\t", ",", "  ", "::"]),
    )
    return st.lists(lines, max_size=12).map("\n".join) | st.text(max_size=200)


# --- ha.cf and what lies beside it --------------------------------------------------------


def _config_text() -> st.SearchStrategy[str]:
    return _texts(
        sorted(directives.DIRECTIVES),
        ["eth0", "1", "0", "-1", "5ms", "1e9", "999999999999", "on", "225.0.0.1", "::1", "a",
         "auth", "sha1", "crc", "md5", "15", "16", "#", "//", "\0", "%", "uid=root", "*"],
    )  # fmt: skip


def _take_ha_cf(text: str) -> None:
    settings, problems = ha_cf.read(text, node="a")
    assert (settings is None) == has_errors(problems)


def _take_authkeys(text: str) -> None:
    keys, problems = authkeys.read(text)
    assert (keys is None) == has_errors(problems)
    assert keys is None or any(key.number == keys.signing for key in keys.keys)


def _take_haresources(texts: tuple[str, str]) -> None:
    """Whatever is in it: a CIB that can be read, and a word about the rest."""
    resources, cluster = texts
    for historic in (False, True):
        habits = Habits(lambda _: None, historic=historic)
        made = haresources.convert(resources, read_cluster_file(cluster), habits)
        assert upgrade.upgrade(xml.parse(xml.serialise(made.root))).root.tag == "cib"


def _haresources_text() -> st.SearchStrategy[tuple[str, str]]:
    resources = _texts(
        ["a", "b", "#", "\\"],
        ["a", "b", "10.0.0.1", "10.0.0.1/24/eth0/10.0.0.255", "IPaddr::10.0.0.2", "httpd", "\\",
         "drbddisk::r0", "Filesystem::/dev/drbd0::/mnt::ext3", "::", "#", "\udc80", "&lt;", "]]>"],
    )  # fmt: skip
    cluster = _texts(
        ["node", "stonith_host", "auto_failback", "ping", "respawn"],
        ["a", "b", "*", "on", "off", "null", "baytech", "\udc80", "10.0.0.3"],
    )
    return st.tuples(resources, cluster)


# --- what heartbeat keeps -----------------------------------------------------------------


def _take_hostcache(files: tuple[bytes, bytes]) -> None:
    """Both files hold anything: a list of nodes or a warning, and it can be kept again."""
    folder = Path(_FOLDER.name)
    for name, content in zip((hostcache.CACHE, hostcache.DELETED), files, strict=True):
        (folder / name).write_bytes(content)
    nodes, problems = hostcache.read(folder)
    assert not problems or not nodes.names
    hostcache.write(folder, nodes, {})
    assert hostcache.read(folder) == (nodes, [])


def _hostcache_bytes() -> st.SearchStrategy[tuple[bytes, bytes]]:
    text = _texts(
        ["# version", "# weight", "# site", "#", "a", "b"],
        ["a", "b", "1", "2", "007", "-", "x" * 101, "\u0661", "100", "9999999"],
    )
    content = inputs.spoilt(text.map(lambda some: some.encode("utf-8", "surrogatepass")))
    return st.tuples(content, content)


def _take_quorumd_conf(text: str) -> None:
    paths = Paths(Path(_FOLDER.name))
    path = paths.ha_cf.parent / "quorumd.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    keys = paths.ha_cf.parent / "keys"
    keys.write_text("auth 1\n1 sha1 a secret of the tests\n")
    keys.chmod(0o600)
    settings, problems = quorumd.read_settings(paths)
    assert (settings is None) == has_errors(problems)


def _quorumd_text() -> st.SearchStrategy[str]:
    return _texts(
        ["cluster", "port", "bind", "longest", "#"],
        ["linux-ha", "/etc/ha.d/keys", "/etc/ha.d", "/", "0", "5561", "65536", "::1", "10s",
         "500ms", "1e9", "\0", "\u0661"],
    )  # fmt: skip


# --- documents ----------------------------------------------------------------------------

_TAGS = ("cib", "configuration", "crm_config", "nodes", "resources", "constraints", "status",
         "primitive", "group", "clone", "rsc_location", "rule", "expression", "lrm_rsc_op",
         "nvpair", "meta_attributes", "instance_attributes", "attributes",
         "node_state", "x")  # fmt: skip
_ATTRIBUTES = ("id", "name", "value", "score", "rsc", "node", "epoch", "admin_epoch",
               "validate-with", "crm_feature_set", "op-digest", "interval", "id-ref")  # fmt: skip
_VALUES = ("", "a", "1", "-INFINITY", "pacemaker-1.0", "pacemaker-3.9", "pacemaker-9", "9" * 40,
           "&lt;", "\u00e9", "true", "1e400", "P1D")  # fmt: skip


def _elements() -> st.SearchStrategy[str]:
    attributes = st.dictionaries(
        st.sampled_from(_ATTRIBUTES), st.sampled_from(_VALUES), max_size=4
    ).map(lambda some: "".join(f' {name}="{value}"' for name, value in some.items()))
    leaf = st.builds(lambda tag, some: f"<{tag}{some}/>", st.sampled_from(_TAGS), attributes)
    return st.recursive(
        leaf | st.sampled_from(["text", "<!-- remark -->", "<?pi x?>", "<![CDATA[x]]>", "&amp;"]),
        lambda inner: st.builds(
            lambda tag, some, parts: f"<{tag}{some}>{''.join(parts)}</{tag}>",
            st.sampled_from(_TAGS),
            attributes,
            st.lists(inner, max_size=5),
        ),
        max_leaves=25,
    )


def _documents() -> st.SearchStrategy[bytes]:
    prologs = st.sampled_from(
        ["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="latin-1"?>',
         '<!DOCTYPE a [<!ENTITY b "c">]>', "\ufeff", "\n\n"]
    )  # fmt: skip
    framed = _elements().map(
        lambda inner: (
            f'<cib validate-with="pacemaker-1.0"><configuration>{inner}</configuration></cib>'
        )
    )
    whole = st.builds(lambda prolog, root: (prolog + root).encode(), prologs, _elements() | framed)
    return inputs.spoilt(whole) | st.binary(max_size=120)


def _stepwise(data: bytes) -> bytes | str:
    """What the parser that can be interrupted makes of it."""
    steps = xml.parsing(data, bite=7)
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return xml.serialise(ended.value)
        except ConfigurationError as problem:
            return problem.problems[0].code


def _take_document(data: bytes) -> None:
    """Both parsers agree; what is well formed is upgraded and judged, or refused in words."""
    try:
        root = xml.parse(data)
    except ConfigurationError as problem:
        assert _stepwise(data) == problem.problems[0].code
        return
    assert _stepwise(data) == xml.serialise(root)
    for problem in rules.validate(root):
        assert problem.message


TARGETS: dict[str, Target] = {
    "ha.cf": Target(_config_text(), _take_ha_cf),
    "authkeys": Target(_config_text(), _take_authkeys),
    "haresources": Target(_haresources_text(), _take_haresources),
    "hostcache": Target(_hostcache_bytes(), _take_hostcache),
    "quorumd.conf": Target(_quorumd_text(), _take_quorumd_conf),
    "document": Target(_documents(), _take_document),
}
"""The decoders of files by name."""
