"""XML that is parsed step by step: the same tree, or the same refusal, as when parsed at once."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm.plumbing import xml
from crm.plumbing.errors import ConfigurationError
from tests.kit import any_cib, hostile

WHOLE = b'<?xml version="1.0" encoding="utf-8"?>\n<!-- by hand -->\n' + any_cib.from_seed(7)


def at_once(data: bytes) -> bytes:
    return xml.serialise(xml.parse(data, keep_comments=True))


def in_steps(data: bytes, bite: int) -> bytes:
    work: Generator[int, None, xml.Element] = xml.parsing(data, keep_comments=True, bite=bite)
    while True:
        try:
            cost = next(work)
        except StopIteration as end:
            return xml.serialise(end.value)
        assert cost >= 0


def refusal(read: object, *given: object) -> list[str]:
    assert callable(read)
    with pytest.raises(ConfigurationError) as caught:
        read(*given)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("bite", [1, 2, 7, 100, 10_000])
@pytest.mark.parametrize("seed", range(4))
def test_the_tree_is_the_same_however_small_the_steps(seed: int, bite: int) -> None:
    indented = xml.serialise(xml.parse(any_cib.from_seed(seed)), pretty=True)
    assert in_steps(indented, bite) == at_once(indented)


@given(st.data())
def test_any_damage_is_refused_in_the_same_words_or_is_none(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(WHOLE) - 1))
    instead = data.draw(st.sampled_from([b"", b"<", b">", b"\xff", b"'", b"&", "é".encode()]))
    damaged = WHOLE[:place] + instead + WHOLE[place + 1 :]
    bite = data.draw(st.sampled_from([1, 50, 3000]))
    try:
        wanted = at_once(damaged)
    except ConfigurationError:
        assert refusal(in_steps, damaged, bite) == refusal(at_once, damaged)
    else:
        assert in_steps(damaged, bite) == wanted


@pytest.mark.parametrize("bite", [10, 10_000])
@pytest.mark.parametrize(
    "data",
    [b"<x>&e;<y z='1'/><cib/>", b"<cib>&e;<y/><z/></cib>", b'<cib><y/><z a="&e;"/></cib>'],
)
def test_an_entity_that_is_not_declared_is_refused_wherever_it_stands(
    data: bytes, bite: int
) -> None:
    assert refusal(in_steps, data, bite) == refusal(at_once, data)


@example("<<<<><<<<<<<é")
@example("xmlns<</" * 3)
@given(st.text(alphabet="xmlns<>/ é=\"'", max_size=60))
def test_cutting_a_text_loses_nothing_and_counts_the_same(text: str) -> None:
    data = text.encode()
    bites = list(xml.bites(data, 9))
    assert b"".join(bites) == data
    assert all(bites)
    assert all(bite.decode() is not None for bite in bites)


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_a_hostile_document_is_refused_by_the_same_code(name: str) -> None:
    data = hostile.REFUSED[name]()
    for bite in (xml.BITE_BYTES, 20_000):
        with pytest.raises(ConfigurationError) as caught:
            in_steps(data, bite)
        with pytest.raises(ConfigurationError) as wanted:
            xml.parse(data)
        codes = [problem.code for problem in wanted.value.problems]
        assert [problem.code for problem in caught.value.problems] == codes
