"""Differences of two documents, and that they lead from one to the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cli.tools import crm_diff
from crm.cib import difference
from crm.plumbing import xml

ATTRIBUTES = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)
NAMES = st.lists(st.integers(1, 6), unique=True, max_size=6)


@st.composite
def configurations(draw: st.DrawFn, epoch: int) -> bytes:
    """Draw a CIB with some resources, comments among them."""
    items = []
    for name in draw(NAMES):
        attributes = "".join(f' {k}="{v}"' for k, v in draw(ATTRIBUTES).items())
        items.append(f'<primitive id="p{name}"{attributes}><!--of p{name}--></primitive>')
    for text in draw(st.lists(st.sampled_from("uvw"), max_size=2)):
        items.insert(draw(st.integers(0, len(items))), f"<!--{text}-->")
    return (
        f'<cib admin_epoch="0" epoch="{epoch}" num_updates="0"><configuration><crm_config/><nodes/>'
        f"<resources>{''.join(items)}</resources><constraints/></configuration><status/></cib>"
    ).encode()


def resources(epoch: int, inner: str) -> bytes:
    return (
        f'<cib admin_epoch="0" epoch="{epoch}" num_updates="0"><configuration><crm_config/><nodes/>'
        f"<resources>{inner}</resources><constraints/></configuration><status/></cib>"
    ).encode()


P1, P2 = '<primitive id="p1"/>', '<primitive id="p2"/>'


@given(configurations(epoch=1), configurations(epoch=2))
@example(resources(1, f"{P1}<!--u-->{P2}"), resources(2, f"{P2}<!--u-->{P1}"))
def test_the_difference_leads_from_the_old_to_the_new(before: bytes, after: bytes) -> None:
    old = xml.parse(before, keep_comments=True)
    new = xml.parse(after, keep_comments=True)
    found = difference.write(old, new, as_cib=False)
    assert found is not None
    assert difference.same(difference.apply(old, found), new)


def test_equal_documents_give_nothing_and_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    text = '<cib admin_epoch="0" epoch="1" num_updates="0"/>'
    assert crm_diff.main(["-O", text, "-N", text]) == 0
    assert capsys.readouterr().out == ""


def test_a_patch_for_another_version_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = '<cib admin_epoch="0" epoch="1" num_updates="0"/>'
    new = '<cib admin_epoch="0" epoch="2" num_updates="0"/>'
    assert crm_diff.main(["-O", old, "-N", new]) == 1
    patch = tmp_path / "patch.xml"
    patch.write_text(capsys.readouterr().out)
    assert crm_diff.main(["-O", new, "-p", str(patch), "-V"]) == 1
    assert "the patch is for version 0.1.0, this is 0.2.0" in capsys.readouterr().err


@pytest.mark.parametrize("bad", ["<a", "", "<!DOCTYPE a><a/>"])
def test_what_is_no_xml_is_refused(bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_diff.main(["-O", bad, "-N", "<a/>"]) == 65
    assert capsys.readouterr().err.startswith("Could not parse the first XML fragment")
