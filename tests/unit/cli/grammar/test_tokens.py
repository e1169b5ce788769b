"""Words, quotes, and where the caret stands."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.grammar.tokens import StatementError, Words, from_words, quoted, split


def texts(line: str) -> list[str]:
    return [token.text for token in split(line)]


@given(st.text(alphabet="ab \"'\\$#;=:()", max_size=30))
def test_words_are_cut_as_a_posix_shell_cuts_them(line: str) -> None:
    try:
        expected = shlex.split(line, comments=False, posix=True)
    except ValueError:
        return  # an open quote or a backslash at the very end: no words to compare
    assert texts(line) == expected


@given(st.lists(st.text(max_size=8), max_size=6))
def test_a_command_line_comes_back_as_its_words(words: list[str]) -> None:
    line, tokens = from_words(words)
    assert [token.text for token in tokens] == words
    assert all(line[token.start : token.start + token.width] for token in tokens)


def test_an_open_quote_is_shown_where_it_opens() -> None:
    with pytest.raises(StatementError) as caught:
        split('primitive p "Dummy')
    (problem,) = caught.value.problems
    assert problem.code == "open-quote"
    assert problem.hint.splitlines()[1].index("^") == 8 + len("primitive p ")


def test_the_caret_stands_under_the_word_that_was_not_understood() -> None:
    line = "location l p1 node1"
    words = Words(line, split(line), "location")
    for _ in range(3):
        words.take("a word")
    with pytest.raises(StatementError) as caught:
        words.fail("expected SCORE: NODE")
    shown, caret = caught.value.problems[0].hint.splitlines()
    assert shown == line
    assert caret == " " * (8 + line.index("node1")) + "^" * len("node1")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("abc", "abc"), ("a b", '"a b"'), ("", '""'), ('say "x"', '"say \\"x\\""'), ("/x", '"/x"')],
)
def test_a_value_is_quoted_only_when_it_must_be(value: str, shown: str) -> None:
    assert quoted(value) == shown
