"""Cron lines as triggers of APScheduler, with the weekdays that cron means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tsrnn.exceptions import MissingDependencyError, SpecError

if TYPE_CHECKING:
    from .sections import ScheduleSpec

__all__ = ["trigger"]

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FIELDS = ("second", "minute", "hour", "day", "month", "day_of_week")


def trigger(schedule: ScheduleSpec) -> Any:
    """Return the trigger of ``schedule``.

    Raises
    ------
    SpecError
        The line or the time zone can't be read.
    MissingDependencyError
        APScheduler is not installed.
    """
    try:
        from apscheduler.triggers.cron import CronTrigger
    except ImportError as error:
        raise MissingDependencyError(
            "A schedule needs APScheduler, which is not installed. "
            "Install it with: pip install 'tsrnn[pipelines]'"
        ) from error
    fields = schedule.cron.split()
    fields = fields if len(fields) == len(_FIELDS) else ["0", *fields]
    try:
        fields[-1] = _weekdays(fields[-1].lower())
        named = dict(zip(_FIELDS, fields, strict=True))
        return CronTrigger(**named, timezone=schedule.timezone)
    except (ValueError, KeyError, LookupError) as error:
        raise SpecError(
            f"schedule.cron must be a cron line such as '30 6 * * mon-fri', and schedule.timezone a zone such "
            f"as Europe/Zurich. Got {schedule.cron!r} and {schedule.timezone!r}: {error}."
        ) from error


def _weekdays(text: str) -> str:
    """Return the weekday field as names: in cron 0 and 7 are Sunday, for APScheduler 0 is Monday."""
    if text == "*":
        return text
    named = []
    for part in text.split(","):
        span, _, every = part.partition("/")
        first, _, last = ("0-6" if span == "*" else span).partition("-")
        low = _number(first)
        high = low if not last else _number(last)
        if high < low:
            high += 7  # sat-mon, and mon-sun
        chosen = range(low, high + 1, int(every or 1))
        named += [_WEEKDAYS[day % 7] for day in chosen]
    return ",".join(dict.fromkeys(named))


def _number(word: str) -> int:
    if word.isdigit() and int(word) <= 7:
        return int(word)
    if word in _WEEKDAYS:
        return _WEEKDAYS.index(word)
    raise ValueError(f"no weekday {word!r}")
