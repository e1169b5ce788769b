"""Access lists judged by a slow, obvious twin: what is shown, and which writes are allowed.

The twin knows a document before and a document after, and no edit: it compares the two element
by element. So it sees whatever a write smuggles along, by whichever operation it comes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

from crm.api import cib as api
from crm.cib import acl, compare, edits, elements, operations, patch, query
from crm.cib import document as documents
from crm.plumbing import xml
from tests.kit.cib import LENIENT

Task = api.XmlTask
Permission = tuple[str, str]
"""Kind and XPath."""

# --- the world -----------------------------------------------------------------------------------

CIB = """<cib admin_epoch="1" epoch="5" num_updates="3" validate-with="pacemaker-3.9">
<configuration><crm_config><cluster_property_set id="o">
<nvpair id="o-acl" name="enable-acl" value="true"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/></nodes>
<resources><!-- a word --><group id="g"><primitive id="p" class="ocf" type="Dummy">
<meta_attributes id="m"><nvpair id="m-role" name="target-role" value="Started"/></meta_attributes>
<instance_attributes id="i"><nvpair id="i-fake" name="fake" value="1"/>
<nvpair id="i-secret" name="passwd" value="x"/></instance_attributes></primitive>
<primitive id="q" class="ocf" type="Dummy"/></group></resources>
<constraints><rsc_location id="l" rsc="p" node="n1" score="10"/>
<rsc_order id="s"><resource_set id="ss"><resource_ref id="p"/></resource_set></rsc_order>
</constraints><tags><tag id="t"><obj_ref id="p"/></tag></tags>
<acls><acl_role id="r">{}</acl_role><acl_role id="full"><acl_permission id="full-1" kind="write"
 xpath="/cib"/></acl_role><acl_target id="u"><role id="r"/></acl_target></acls></configuration>
<status><node_state id="1" uname="n1"><lrm id="1"><lrm_resources><lrm_resource id="p">
<lrm_rsc_op id="p_start_0" rc-code="0"/></lrm_resource></lrm_resources></lrm></node_state></status>
</cib>"""

KINDS = st.sampled_from(["read", "write", "deny"])
PLACES = st.sampled_from([
    "/cib", "/cib/configuration", "//resources", "//group", "//primitive", "//*[@id='p']",
    "//*[@id='q']", "//nvpair", "//nvpair[2]", "//nvpair[@name='passwd']", "//nvpair[@value='2']",
    "//meta_attributes", "//instance_attributes", "//constraints", "//rsc_location",
    "//resource_set", "//resource_ref", "//tags", "//acls", "//acl_target", "//*[@id='new']",
    "//status", "//lrm_resource", "//lrm_rsc_op", "//crm_config", "//*[@score]", "//*", "//bad[",
])  # fmt: skip
PERMISSIONS = st.lists(st.tuples(KINDS, PLACES), max_size=6)

SECRET = '<nvpair id="i-secret" name="passwd" value="x"/>'
FAKE = '<nvpair id="i-fake" name="fake" value="1"/>'
NEW = '<primitive id="new" class="ocf" type="Dummy"/>'
OPERATIONS: list[tuple[Task, str, str, str]] = [
    # changes as they are meant
    (Task.MODIFY, '<nvpair id="m-role" value="Stopped"/>', "", ""),
    (Task.MODIFY, '<nvpair id="i-secret" value="2"/>', "", ""),
    (Task.MODIFY, '<rsc_location id="l" score="20"/>', "", ""),
    (Task.MODIFY, '<nvpair id="i-secret" value="x"/>', "", ""),
    (Task.CREATE, NEW, "resources", ""),
    (Task.CREATE, '<rsc_location id="new" rsc="q" node="n1" score="1"/>', "constraints", ""),
    (Task.DELETE, '<rsc_location id="l"/>', "", ""),
    (Task.DELETE, '<primitive id="q"/>', "", ""),
    (Task.DELETE, '<lrm_resource id="p"/>', "", ""),
    (Task.DELETE_ALL, "", "", "//nvpair"),
    (Task.BUMP, "", "", ""),
    (Task.ERASE, "", "", ""),
    # the parent of what may be denied
    (Task.DELETE, '<group id="g"/>', "", ""),
    (Task.DELETE, '<instance_attributes id="i"/>', "", ""),
    (Task.DELETE_ALL, "", "", "//primitive"),
    (Task.REPLACE, "<resources/>", "", ""),
    (Task.REPLACE, f'<instance_attributes id="i">{FAKE}</instance_attributes>', "", ""),
    (Task.REPLACE, '<primitive id="p" class="ocf" type="Dummy"/>', "", ""),
    (Task.REPLACE, "<status/>", "", ""),
    # new parents, and shells around something
    (Task.MODIFY, '<primitive id="q"><meta_attributes id="qm"/></primitive>', "", ""),
    (Task.MODIFY, '<primitive id="q"><meta_attributes id="qm"><nvpair id="qm-1" name="passwd"'
     ' value="2"/></meta_attributes></primitive>', "", ""),
    (Task.CREATE, '<tag id="new"><obj_ref id="q"/></tag>', "tags", ""),
    (Task.MODIFY, '<resource_set id="ss"><resource_ref id="q"/></resource_set>', "", ""),
    (Task.MODIFY, "<alerts/>", "", ""),
    # other names and other kinds
    (Task.MODIFY, '<nvpair id="i-fake" name="passwd"/>', "", ""),
    (Task.REPLACE, '<nvpair id="other" name="fake" value="1"/>', "", "//*[@id='i-fake']"),
    (Task.REPLACE, '<template id="p" class="ocf" type="Dummy"/>', "", "//*[@id='p']"),
    # rights
    (Task.MODIFY, '<acl_target id="u"><role id="full"/></acl_target>', "", ""),
    (Task.CREATE, '<acl_target id="v"/>', "acls", ""),
    (Task.MODIFY, '<nvpair id="o-acl" value="false"/>', "", ""),
    (Task.DELETE, "<acls/>", "", ""),
    # the version
    (Task.MODIFY, '<cib epoch="6"/>', "", ""),
    (Task.MODIFY, '<cib epoch="999999999"/>', "", ""),
    (Task.MODIFY, '<cib num_updates="4"/>', "", ""),
]  # fmt: skip

EDITS = st.sampled_from([
    ('value="Started"', 'value="Stopped"'), ('score="10"', 'score="20"'), (SECRET, ""),
    (FAKE, ""), ('name="fake"', 'name="passwd"'), ('value="x"', 'value="2"'),
    ("<!-- a word -->", ""), ("<group", "<!-- new --><group"),
    ("<!-- a word -->", "<!-- another -->"), ("</group>", f"</group>{NEW}"),
    ('<obj_ref id="p"/>', '<obj_ref id="q"/>'), ('<role id="r"/>', '<role id="full"/>'),
    ('validate-with="pacemaker-3.9"', 'validate-with="pacemaker-3.8"'),
    ('admin_epoch="1"', 'admin_epoch="2"'), (' epoch="5"', ' epoch="9"'),
    (' epoch="5"', ' epoch="6"'),
    ('<node id="1" uname="n1"/>', ""), ('rc-code="0"', 'rc-code="1"'),
])  # fmt: skip
"""Replacements in the text of the whole document."""


def document(permissions: list[Permission]) -> documents.Document:
    lines = (
        f'<acl_permission id="r-{at}" kind="{kind}" xpath="{place}"/>'
        for at, (kind, place) in enumerate(permissions)
    )
    return documents.Document.parse(CIB.replace("\n", "").format("".join(lines)).encode())


# --- the twin ------------------------------------------------------------------------------------


class Twin:
    """The rights to one document, worked out anew for each element that is asked for."""

    def __init__(self, root: etree._Element, permissions: list[Permission]) -> None:
        self.root = root
        self.permissions = permissions

    def own(self, element: etree._Element) -> str:
        """Say what selects the element itself."""
        kinds = {kind for kind, place in self.permissions if self._selects(kind, place, element)}
        return next((kind for kind in ("deny", "write", "read") if kind in kinds), "")

    def _selects(self, kind: str, place: str, element: etree._Element) -> bool:
        try:
            found = self.root.getroottree().xpath(place)
        except etree.XPathError:
            return kind == "deny"
        return any(each is element for each in found)  # type: ignore[union-attr]

    def level(self, element: etree._Element) -> str:
        """Say what may be done with an element: deny, read or write."""
        parent = element.getparent()
        above = "deny" if parent is None else self.level(parent)
        own = self.own(element)
        if own == "read" and above == "write":
            return "write"
        return own or above

    def shown(self, element: etree._Element) -> etree._Element | None:
        """Copy what may be seen."""
        may_read = self.level(element) != "deny"
        if not elements.is_element(element):
            parent = element.getparent()
            assert parent is not None
            return copy.copy(element) if self.level(parent) != "deny" else None
        made = etree.Element(str(element.tag))
        for name, value in element.attrib.items():
            if may_read or name == "id":
                made.set(name, value)
        made.extend([kept for child in element if (kept := self.shown(child)) is not None])
        return made if may_read or len(made) else None


def may_write(
    before: documents.Document,
    after: documents.Document,
    permissions: list[Permission],
) -> bool:
    """Tell whether somebody may turn one document into the other."""
    then, now = Twin(before.root, permissions), Twin(after.root, permissions)
    return all(_objections(before.root, after.root, then, now))


def _objections(old: etree._Element, new: etree._Element, then: Twin, now: Twin) -> Iterator[bool]:
    changed = {
        name for name in {*old.attrib, *new.attrib} if old.get(str(name)) != new.get(str(name))
    }
    if old.getparent() is None and _only_counts_on(old, new):
        changed -= {"epoch", "num_updates"}
    if changed:
        yield then.level(old) == "write" and now.own(new) != "deny"
    wanted = {_key(child): child for child in new}
    for child in old:
        if _key(child) in wanted:
            yield from _objections(child, wanted.pop(_key(child)), then, now)
        else:
            yield then.level(child) == "write"
            yield all(then.own(item) != "deny" for item in child.iterdescendants(etree.Element))
    for child in wanted.values():
        yield from _creation(child, now)


def _only_counts_on(old: etree._Element, new: etree._Element) -> bool:
    """Tell whether a change of something else has raised the version by one, as it would anyway.

    One of the status may name the update it would lead to, and is counted on top of that.
    """
    admin, epoch, updates = (
        (int(old.get(name, "0")), int(new.get(name, "0")))
        for name in ("admin_epoch", "epoch", "num_updates")
    )
    same_below = [_text(child) for child in old] == [_text(child) for child in new]
    is_next = epoch[0] == epoch[1] and updates[1] <= updates[0] + 2
    is_next |= epoch[0] + 1 == epoch[1] and updates[1] <= 1
    return admin[0] == admin[1] and is_next and not same_below


def _creation(new: etree._Element, now: Twin) -> Iterator[bool]:
    for item in new.iter():
        is_in_acls = any(step.tag == "acls" for step in item.iterancestors())
        is_plain = set(item.attrib) <= {"id"} and elements.is_element(item)
        is_reference = item.tag in ("obj_ref", "resource_ref", "role")
        if is_plain and not is_in_acls and not is_reference and now.permissions:
            continue
        yield now.level(item) == "write"


def _key(element: etree._Element) -> tuple[str, str, str]:
    if not elements.is_element(element):
        return "", "", element.text or ""
    return str(element.tag), element.get("id", ""), ""


# --- reading -------------------------------------------------------------------------------------


def _text(element: etree._Element | None) -> str:
    return "" if element is None else etree.tostring(element, method="c14n").decode()


@settings(max_examples=300, deadline=None)
@given(PERMISSIONS, st.sampled_from(["", "resources", "acls", "status"]))
def test_a_user_sees_exactly_what_the_twin_shows(
    permissions: list[Permission], section: str
) -> None:
    made = document(permissions)
    twin = Twin(made.root, permissions)
    part = made.section(section)
    assert part is not None
    expected = twin.shown(part)
    reply = query.answer_query(made, api.Query(0, section, user="u"))
    if twin.shown(made.root) is None:
        assert reply.outcome is api.Outcome.DENIED
        assert reply.xml == b""
    elif expected is None:
        assert reply.outcome is api.Outcome.NOT_FOUND
    else:
        assert _text(xml.parse(reply.xml, keep_comments=True)) == _text(expected)


@settings(deadline=None)
@given(PERMISSIONS, st.sampled_from(["//nvpair", "//@value", "//*[@name='passwd']/..", "//acls/*"]))
def test_no_query_finds_an_element_or_an_attribute_that_is_denied(
    permissions: list[Permission], xpath: str
) -> None:
    made = document(permissions)
    twin = Twin(made.root, permissions)
    reply = query.answer_query(made, api.Query(0, xpath=xpath, user="u"))
    if reply.outcome is not api.Outcome.OK:
        return
    for found in xml.parse(reply.xml).iter(etree.Element):
        if found.tag == "xpath-query":
            continue
        (own,) = [each for each in made.root.iter(found.tag) if each.get("id") == found.get("id")]
        if twin.level(own) == "deny":
            assert set(found.attrib) <= {"id"}
            assert len(found)


# --- writing -------------------------------------------------------------------------------------


def _outcomes(
    permissions: list[Permission], steps: list[api.XmlOperation], *, dry_run: bool = False
) -> tuple[bool, bool] | None:
    """Carry out with rights and without; tells whether twin and guard allow it."""
    before, free, made = (document(permissions) for _ in range(3))
    plain = operations.carry_out(free, steps, LENIENT)
    guard = acl.guard_of(made.root, "u")
    carried = operations.carry_out(made, steps, LENIENT, guard=guard, dry_run=dry_run)
    if plain.outcome is not api.Outcome.OK:
        assert carried.outcome is plain.outcome
        return None
    allowed = carried.outcome is api.Outcome.OK
    expected = free if allowed and not dry_run else before
    assert made.text() == expected.text()
    if not allowed:
        assert carried.outcome is api.Outcome.DENIED
        assert carried.patch == b""
        assert {problem.code for problem in carried.findings} == {"access-denied"}
    return may_write(before, free, permissions), allowed


def _order(step: tuple[Task, str, str, str]) -> api.XmlOperation:
    task, text, section, xpath = step
    return api.XmlOperation(task, text.encode(), section, xpath, task is Task.MODIFY)


@settings(max_examples=400, deadline=None)
@given(PERMISSIONS, st.sampled_from(OPERATIONS), st.booleans())
@example([("write", "/cib"), ("deny", "//nvpair[@name='passwd']")], OPERATIONS[13], False)
@example([("read", "/cib")], OPERATIONS[21], False)
@example([], OPERATIONS[19], False)
@example([("write", "/cib"), ("deny", "//nvpair[@name='passwd']")], OPERATIONS[24], False)
def test_a_write_is_allowed_exactly_when_each_of_its_changes_is(
    permissions: list[Permission], step: tuple[Task, str, str, str], dry_run: bool
) -> None:
    outcomes = _outcomes(permissions, [_order(step)], dry_run=dry_run)
    assert outcomes is None or outcomes[0] is outcomes[1]


@settings(max_examples=200, deadline=None)
@given(PERMISSIONS, st.lists(st.sampled_from(OPERATIONS), min_size=2, max_size=3))
@example([("write", "//*[@id='p']")], [OPERATIONS[8], OPERATIONS[33]])
@example([("write", "//*[@id='p']")], [OPERATIONS[8], OPERATIONS[33], OPERATIONS[33]])
def test_operations_in_one_change_do_not_open_the_door_for_each_other(
    permissions: list[Permission], steps: list[tuple[Task, str, str, str]]
) -> None:
    # What two operations do and undo may be refused; the twin, who sees the ends, allows it.
    outcomes = _outcomes(permissions, [_order(step) for step in steps])
    assert outcomes is None or outcomes[0] or not outcomes[1]


def test_what_is_changed_and_then_removed_with_its_parent_is_judged_where_it_stood() -> None:
    steps = [_order(OPERATIONS[0]), _order(OPERATIONS[12])]
    assert _outcomes([("write", "//resources")], steps) == (True, True)
    assert _outcomes([("write", "//group")], steps) == (True, True)
    assert _outcomes([("write", "//nvpair")], steps) == (False, False)


@settings(max_examples=200, deadline=None)
@given(PERMISSIONS, st.lists(EDITS, min_size=1, max_size=3))
@example([("read", "/cib")], [("<group", "<!-- new --><group")])
@example(
    [("write", "/cib/configuration")],
    [('value="Started"', 'value="Stopped"'), (' epoch="5"', ' epoch="6"')],
)
def test_a_whole_replacement_and_a_patch_smuggle_nothing(
    permissions: list[Permission], edits: list[tuple[str, str]]
) -> None:
    source = document(permissions)
    text = source.text().decode()
    for old, new in edits:
        text = text.replace(old, new)
    target = documents.Document.parse(text.encode())
    whole = _outcomes(permissions, [api.XmlOperation(Task.REPLACE, text.encode())])
    made = copy.deepcopy(source.root)
    difference = _patch_between(documents.Document(made), target)
    patched = _outcomes(permissions, [api.XmlOperation(Task.PATCH, difference)])
    assert whole is None or whole[0] is whole[1]
    assert whole == patched


def _patch_between(source: documents.Document, target: documents.Document) -> bytes:
    edit = edits.Edit(source)
    compare.become(edit, source.root, target.root)
    return patch.write(edit.changes, source.version, target.version)
