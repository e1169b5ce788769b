"""What `crm_error` says about codes."""

from __future__ import annotations

import pytest

from cli.tools import crm_error
from crm.model import exit_codes
from crm.model.exit_codes import Exit


def test_an_exit_code_is_a_number_with_a_name_and_a_text() -> None:
    code = exit_codes.exit_code(105)
    assert code == (105, "CRM_EX_NOSUCH", "No such object")
    assert Exit.NO_SUCH_OBJECT == 105


def test_no_exit_code_stands_twice_in_the_table() -> None:
    names = [code.name for code in exit_codes.exit_codes()]
    assert len(names) == len(set(names)) == len(Exit)


def test_a_signal_is_named_as_one() -> None:
    assert exit_codes.exit_code(137).text == "Interrupted by signal"


def test_the_name_stands_before_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_error.main(["-X", "-n", "1", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "CRM_EX_ERROR - Error occurred",
        "CRM_EX_INVALID_PARAM - Invalid parameter",
    ]


@pytest.mark.parametrize("kind", [[], ["-r"], ["-X"]])
def test_a_call_without_a_code_lists_them_all(
    kind: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_error.main([*kind, "-l"]) == 0
    listed = capsys.readouterr().out
    assert crm_error.main(kind) == 0
    assert capsys.readouterr().out == listed
    assert len(listed.splitlines()) > 40


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("5x", "EIO - Input/output error"),
        ("nonsense", "Unknown - Error"),
        ("9" * 40, "Unknown - Error"),
        (str(-(2**31)), "Unknown - Error"),
    ],
)
def test_a_word_counts_as_the_number_it_begins_with(
    word: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crm_error.main(["-n", "--", word]) == 0
    assert capsys.readouterr().out == f"{text}\n"


def test_an_unknown_option_is_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    assert crm_error.main(["--frob"]) == Exit.USAGE
    assert capsys.readouterr().err == "crm_error: Unknown option --frob\n"
