"""Whether a rule with a date is in effect, is over, or is yet to come."""

from __future__ import annotations

import pytest

from cli.tools import crm_rule
from crm.model.exit_codes import Exit


def check(expression: str, when: str) -> int:
    cib = (
        '<cib admin_epoch="0" epoch="1" num_updates="0"><configuration><constraints>'
        f'<rsc_location id="l" rsc="p"><rule id="r" score="1">{expression}</rule></rsc_location>'
        "</constraints></configuration></cib>"
    )
    return crm_rule.main(["-c", "-r", "r", "-d", when, "-X", cib])


RANGE = '<date_expression id="e" operation="in_range" start="2026-01-31" {}</date_expression>'
MONTH = RANGE.format('><duration id="d" months="1"/>')


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("2026-01-30", Exit.NOT_YET_IN_EFFECT),
        ("2026-01-31", Exit.OK),
        ("2026-02-28", Exit.OK),
        ("2026-02-28 00:00:01Z", Exit.EXPIRED),
    ],
)
def test_a_month_ends_by_the_calendar(when: str, code: Exit) -> None:
    assert check(MONTH, when) == code


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("2025-05-01", Exit.NOT_YET_IN_EFFECT),
        ("2026-05-01", Exit.OK),
        ("2026-04-01", Exit.NOT_YET_IN_EFFECT),
        ("2026-06-01", Exit.EXPIRED),
        ("2028-05-01", Exit.EXPIRED),
    ],
)
def test_a_date_spec_with_years_is_judged(when: str, code: Exit) -> None:
    fields = '<date_spec id="s" years="2026-2027" months="5"/>'
    expression = f'<date_expression id="e" operation="date_spec">{fields}</date_expression>'
    assert check(expression, when) == code


def test_the_ends_of_gt_and_lt_are_not_in_effect() -> None:
    after = '<date_expression id="e" operation="gt" start="2026-01-01"/>'
    before = '<date_expression id="e" operation="lt" end="2026-01-01"/>'
    assert check(after, "2026-01-01") == Exit.NOT_YET_IN_EFFECT
    assert check(before, "2026-01-01") == Exit.EXPIRED


def test_a_date_that_cannot_be_read_leaves_the_rule_undetermined(
    capsys: pytest.CaptureFixture[str],
) -> None:
    expression = '<date_expression id="e" operation="gt" start="soon"/>'
    assert check(expression, "2026-01-01") == Exit.INDETERMINATE
    assert "'soon' is no date" in capsys.readouterr().err


def test_a_bad_date_of_the_call_is_bad_data() -> None:
    assert check(MONTH, "soon") == Exit.BAD_DATA
