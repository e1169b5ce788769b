"""XML from anybody: what is refused, why, and how quickly."""

from __future__ import annotations

from xml.sax import saxutils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError
from tests.kit import hostile

BILLION = b"""<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;&x;&x;">
<!ENTITY z "&y;&y;&y;&y;&y;&y;&y;&y;&y;&y;">]><a>&z;</a>"""


@pytest.mark.parametrize(
    ("code", "document"),
    [
        ("xml-syntax", b"<a><b></a>"),
        ("xml-syntax", b"<a>\0</a>"),
        ("xml-syntax", b"<a" + b"/>" * 2),
        ("xml-syntax", b"<a>&undefined;</a>"),
        ("xml-empty", b" \n"),
        ("xml-encoding", "<a b='é'/>".encode("latin-1")),
        ("xml-encoding", "<a/>".encode("utf-16")),
        ("xml-doctype", b"<!DOCTYPE a><a/>"),
        ("xml-doctype", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'),
        ("xml-too-large", b"<a>" * 65 + b"</a>" * 65),
        ("xml-too-large", b"<a>" + b"<b/>" * 200_001 + b"</a>"),
        ("xml-too-large", b"<a " + b" ".join(b"a%d=''" % n for n in range(65)) + b"/>"),
        ("xml-too-large", b"<a " + b" ".join(b"a%d=''" % n for n in range(300_000)) + b"/>"),
        ("xml-too-large", b"<a b='" + b"x" * 65_537 + b"'/>"),
        ("xml-too-large", b"<a>" + b" " * (64 * 1024 * 1024) + b"</a>"),
    ],
    ids=range(15),
)
def test_hostile_input_is_refused_by_name(code: str, document: bytes) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        xml.parse(document)
    assert [problem.code for problem in refusal.value.problems] == [code]


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_no_hostile_document_is_read(name: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        xml.parse(hostile.REFUSED[name]())

    [problem] = refusal.value.problems
    assert len(str(problem)) < 500
    assert problem.hint


@pytest.mark.parametrize(
    "name", [n for n in hostile.REFUSED if n not in hostile.ONLY_BY_THE_PARSER]
)
def test_most_are_refused_before_there_is_a_tree(name: str) -> None:
    with pytest.raises(ConfigurationError):
        xml.check_bytes(hostile.REFUSED[name]())


@pytest.mark.parametrize("name", hostile.STRANGE)
def test_strange_documents_keep_to_all_limits(name: str) -> None:
    xml.parse(hostile.STRANGE[name]())


def test_a_document_type_in_a_comment_is_none() -> None:
    xml.parse(b"\xef\xbb\xbf<?xml version='1.0'?> <!-- <!DOCTYPE a> --><a>\n</a>")


@pytest.mark.parametrize("declared", ["UTF-8", "utf8", "US-ASCII"])
def test_an_encoding_that_does_no_harm_may_be_declared(declared: str) -> None:
    text = "ä" if declared.lower().startswith("utf") else "a"
    xml.parse(f'<?xml version="1.0" encoding="{declared}"?><a b="{text}"/>'.encode())


def test_many_values_with_signs_of_equality_are_not_taken_for_attributes() -> None:
    text = "a=&quot;b&quot; " * 200
    xml.parse(f'<a b="{text}"/>'.encode())
    xml.parse(("<a b='" + 'a="b" ' * 200 + "'/>").encode())


def test_entities_are_never_expanded() -> None:
    with pytest.raises(ConfigurationError):
        xml.parse(BILLION)


def test_a_syntax_error_says_where_it_is() -> None:
    with pytest.raises(ConfigurationError, match="line 2, column 10"):
        xml.parse(b"<cib>\n  <a></b>\n</cib>")


def test_exactly_the_limits_are_accepted() -> None:
    limits = xml.Limits(depth=3, elements=4, attributes=2, attribute_chars=5)
    xml.parse(b"<a><b><c x='12345' y=''/></b><d/></a>", limits)


@pytest.mark.parametrize(
    "document",
    [
        "<a><b><c><d/></c></b></a>",
        "<a x='' y='' z=''/>",
        "<a><b/><b/><b x = '' y\n=\n'' z=''/></a>",
        "<a x='123456'/>",
        '<a b="&quot;23456"/>',
    ],
)
def test_a_short_document_is_measured_as_well(document: str) -> None:
    limits = xml.Limits(depth=3, elements=9, attributes=2, attribute_chars=5)
    with pytest.raises(ConfigurationError) as refusal:
        xml.parse(document.encode(), limits)
    assert [problem.code for problem in refusal.value.problems] == ["xml-too-large"]


def test_comments_are_left_out_unless_they_are_wanted() -> None:
    document = b"<a><!-- why --><?pi?><b/></a>"
    assert xml.serialise(xml.parse(document)) == b"<a><b/></a>"
    kept = xml.serialise(xml.parse(document, keep_comments=True))
    assert kept == b"<a><!-- why --><b/></a>"


def test_what_follows_an_element_is_not_written_with_it() -> None:
    root = xml.parse(b"<a><b/>text</a>")
    assert xml.serialise(root[0]) == b"<b/>"
    assert xml.serialise(root[0], pretty=True) == b"<b/>\n"


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused_as_configuration(data: bytes) -> None:
    try:
        root = xml.parse(b"<a>" + data + b"</a>")
    except ConfigurationError as refusal:
        assert refusal.problems
    else:
        assert root.tag == "a"


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("before", [0, 1, 700, 65_536])
def test_a_long_value_is_found_wherever_it_stands(quote: str, before: int) -> None:
    padding = f'<n v="{"y" * before}"/>'
    longest = f"<r>{padding}<n v={quote}{'x' * 65_536}{quote}/></r>"
    xml.parse(longest.encode())
    too_long = f"<r>{padding}<n v={quote}{'x' * 65_537}{quote}/></r>"
    with pytest.raises(ConfigurationError):
        xml.parse(too_long.encode())


@given(st.text())
def test_texts_and_values_are_written_as_the_standard_library_does(text: str) -> None:
    assert xml.escaped(text) == saxutils.escape(text)
    assert xml.quoted(text) == saxutils.quoteattr(text)
