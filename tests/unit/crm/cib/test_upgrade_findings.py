"""What an upgrade warns of reaches whoever asked for it."""

from __future__ import annotations

from lxml import etree

from crm.api import cib as api
from crm.cib import document as documents
from crm.cib import operations, rules


def test_what_an_upgrade_warns_of_is_a_finding_of_the_change() -> None:
    old = documents.Document(
        etree.fromstring(
            b'<cib admin_epoch="0" epoch="1" num_updates="0" have_quorum="true"><configuration>'
            b'<crm_config/><nodes/><resources><primitive id="a" class="lsb" type="x" '
            b'restart_type="restart"/></resources><constraints/></configuration><status/></cib>'
        )
    )

    carried = operations.carry_out(old, [api.XmlOperation(api.XmlTask.UPGRADE)], rules.STANDARD)

    assert carried.outcome is api.Outcome.OK
    assert [(f.code, f.subject) for f in carried.findings] == [("option-dropped", "a")]
