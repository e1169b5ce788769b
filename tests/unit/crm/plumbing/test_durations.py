"""Durations of both eras, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.plumbing import durations


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("10", 10_000),
        ("5s", 5000),
        ("20 s", 20_000),
        ("20sec", 20_000),
        ("1min", 60_000),
        ("2m", 120_000),
        ("2h", 7_200_000),
        ("1hr", 3_600_000),
        ("500ms", 500),
        ("1500us", 1),
        ("0", 0),
        ("1.5s", 1500),
        ("20S", 20_000),
        ("PT5M", 300_000),
        ("P1DT12H", 129_600_000),
        ("PT0.5S", 500),
        ("P2W", 1_209_600_000),
    ],
)
def test_durations_of_the_cib_are_read(text: str, expected_ms: int) -> None:
    assert durations.parse_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "ten",
        "-5s",
        "5 apples",
        "5d",
        "P",
        "PT",
        "P5",
        "1e3",
        "٣s",
        "5s5s",
        "9" * 30,
        "0x1",
    ],
)
def test_what_is_no_duration_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}'" if text else "''"):
        durations.parse_ms(text)


@pytest.mark.parametrize(
    ("text", "expected_ms"), [("2", 2000), ("1500ms", 1500), ("1.5", 1500), ("1500000us", 1500)]
)
def test_durations_of_ha_cf_are_read(text: str, expected_ms: int) -> None:
    assert durations.parse_heartbeat_ms(text) == expected_ms


@pytest.mark.parametrize("text", ["1min", "2h", "PT5M", "//"])
def test_units_of_the_cib_are_refused_in_ha_cf(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        durations.parse_heartbeat_ms(text)


@given(st.integers(0, 10**12))
def test_a_written_duration_reads_as_the_same(duration_ms: int) -> None:
    assert durations.parse_ms(durations.text(duration_ms)) == duration_ms


def test_hours_and_seconds_may_follow_p_directly_as_published_inputs_have_them() -> None:
    assert durations.parse_ms("P10S") == 10_000
    with pytest.raises(ValueError, match="P5M"):
        durations.parse_ms("P5M")
