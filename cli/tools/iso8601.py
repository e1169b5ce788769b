"""`iso8601`: show and check dates, durations and periods.

Responsible for the options, the layout and the exit codes; what a date is is the affair of
`cli.tools.moments`.

Source: tools.md section 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import TypeVar

import click

from cli.tools import moments, result
from cli.tools.result import Failure
from crm.model.exit_codes import Exit

_Show = Callable[[datetime], str]
_DAY_S = 86_400
_Read = TypeVar("_Read")


@click.command(
    "iso8601",
    context_settings=result.HELP,
    help="Display and parse ISO 8601 dates, durations and periods.",
)
@click.option("-n", "--now", is_flag=True, help="Show the current date and time.")
@click.option("-d", "--date", "moment", help="Show this date.")
@click.option("-p", "--period", help="Show this period: START/END, START/DURATION or DURATION/END.")
@click.option("-D", "--duration", help="Show this duration, and where it ends after --date.")
@click.option("-E", "--expected", help="Exit with 1 unless this is the date.")
@click.option("-s", "--seconds", is_flag=True, help="As seconds since 0001-01-01.")
@click.option("-S", "--epoch", is_flag=True, help="As seconds since 1970-01-01.")
@click.option("-O", "--ordinal", is_flag=True, help="With the day of the year.")
@click.option("-W", "--week", is_flag=True, help="With the week of the year.")
@click.option("-L", "--local", "as_local", is_flag=True, help="In its own zone, not in UTC.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@result.json_option
@result.version_option
@click.pass_obj
def iso8601(
    answer: result.Answer,
    /,
    now: bool,
    moment: str | None,
    period: str | None,
    duration: str | None,
    expected: str | None,
    as_local: bool,
    verbose: int,
    **forms: bool,
) -> int:
    """Show and check dates."""
    present = datetime.now().astimezone().replace(microsecond=0)
    local = present.tzinfo or UTC
    # Of several forms the first of this order wins.
    form = next((name for name in ("seconds", "epoch", "week", "ordinal") if forms[name]), "")
    show = _display(form, None if as_local else UTC)
    last: datetime | None = None
    if now or moment == "now":
        last = present
        answer.line(f"Current date/time: {show(last)}")
    elif moment is not None:
        last = _read("date/time", moment, lambda: _moment(moment, present, local))
        answer.line(f"Date: {show(last)}")
    if duration is not None:
        length = _read("duration", duration, lambda: moments.duration(duration))
        answer.line(f"Duration: {moments.duration_text(length)}")
        if last is not None:
            start = last
            last = _read("duration", duration, lambda: moments.add(start, length))
            text = show(last) if form or as_local else moments.calendar_text(last)
            answer.line(f"Duration ends at: {text}")
    if period is not None:
        start, end = _read("interval", period, lambda: _period(period, present, local))
        answer.line(f"Period: {show(start)} to {show(end)}")
    agrees = expected is None or last is None or show(last) == expected
    return answer.end(Exit.OK if agrees else Exit.ERROR)


def _moment(text: str, present: datetime, local: tzinfo) -> datetime:
    return moments.moment(text, today=present.date(), local=local)


def _period(text: str, present: datetime, local: tzinfo) -> tuple[datetime, datetime]:
    return moments.period(text, now=present, local=local)


def _read(what: str, text: str, read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except ValueError as problem:
        message = f"iso8601: Invalid {what} specified: {text}"
        raise Failure(Exit.INVALID_PARAMETER, message) from problem


def _display(form: str, zone: tzinfo | None) -> _Show:
    """Choose how to write a moment: in a form, in this zone or the one it was given in."""
    match form:
        case "seconds":
            return lambda when: str(_seconds_since_year_1(when))
        case "epoch":
            return lambda when: str(int(when.timestamp()))
        case "ordinal":
            write = moments.ordinal_text
        case "week":
            write = moments.week_text
        case _:
            write = moments.calendar_text
    return lambda when: write(when if zone is None else when.astimezone(zone))


def _seconds_since_year_1(when: datetime) -> int:
    utc = when.astimezone(UTC)
    return (utc.toordinal() - 1) * _DAY_S + utc.hour * 3600 + utc.minute * 60 + utc.second


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(iso8601, argv)


if __name__ == "__main__":
    sys.exit(main())
