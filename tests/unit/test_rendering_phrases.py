"""How times, durations and money are written."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from activities import phrases
from activities.views import Person, PreviousIncident

AT = datetime(2026, 1, 29, 15, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("America/New_York", "Jan 29, 2026 at 10:45 AM"),
        ("Asia/Tokyo", "Jan 30, 2026 at 12:45 AM"),
        ("Asia/Kathmandu", "Jan 29, 2026 at 9:30 PM"),
        (None, "Jan 29, 2026 at 3:45 PM"),
        ("Mars/Olympus", "Jan 29, 2026 at 3:45 PM"),
        ("../etc/passwd", "Jan 29, 2026 at 3:45 PM"),
        ("", "Jan 29, 2026 at 3:45 PM"),
        ("America", "Jan 29, 2026 at 3:45 PM"),
    ],
)
def test_a_moment_in_a_zone(zone: str | None, said: str) -> None:
    """Moments are those of the reader's wall clock; an unknown zone is UTC, never an error."""
    assert phrases.moment(AT, phrases.zone(zone)) == said


def test_noon_and_midnight() -> None:
    """Twelve o'clock is 12, not 0."""
    assert phrases.clock(AT.replace(hour=12, minute=0), UTC) == "12:00 PM"
    assert phrases.clock(AT.replace(hour=0, minute=5), UTC) == "12:05 AM"


def test_utc_is_said_where_nothing_else_says_it() -> None:
    """A time without a zone says that it is UTC."""
    assert phrases.moment_with_zone(AT, UTC) == "Jan 29, 2026 at 3:45 PM UTC"
    assert phrases.moment_with_zone(AT, phrases.zone("America/New_York")) == "Jan 29, 2026 at 10:45 AM"


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-90), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(hours=3, minutes=59), "3 hours ago"),
        (timedelta(hours=47), "47 hours ago"),
        (timedelta(hours=48), "2 days ago"),
        (timedelta(days=1200), "1,200 days ago"),
    ],
)
def test_ago(passed: timedelta, said: str) -> None:
    """The largest whole unit; a clock that runs ahead is "just now"."""
    assert phrases.ago(AT - passed, AT) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (Decimal(200_000), "$200,000"),
        (Decimal("200000.00"), "$200,000"),
        (Decimal("1234.5"), "$1,234.50"),
        (Decimal(0), "$0"),
        (Decimal(-5), "-$5"),
        (Decimal("NaN"), "not known"),
        (None, "not known"),
    ],
)
def test_money(amount: Decimal | None, said: str) -> None:
    """Cents only where there are any."""
    assert phrases.money(amount) == said


def test_previously() -> None:
    """Never, or when and how long, and how often before."""
    once = PreviousIncident(opened_at=datetime(2026, 3, 3, tzinfo=UTC), closed_at=datetime(2026, 3, 3, 2, tzinfo=UTC))
    assert phrases.previously(None, 0, UTC) == "Never"
    assert phrases.previously(once, 1, UTC) == "Mar 3, 2026 (fixed in 2 hours)"
    assert phrases.previously(once, 3, UTC) == "Mar 3, 2026 (fixed in 2 hours; 3 times before)"
    assert phrases.previously(once.model_copy(update={"closed_at": None}), 1, UTC) == "Mar 3, 2026 (not fixed)"


def test_people() -> None:
    """Name and title; the address where there is no name; nothing where there is neither."""
    assert phrases.introduced(Person(name="Bob Smith", title="IT Admin")) == "Bob Smith (IT Admin)"
    assert phrases.introduced(Person(email="bob@techcorp.example")) == "bob@techcorp.example"
    assert phrases.introduced(Person()) is None
    assert phrases.introduced(None) is None


@pytest.mark.parametrize(
    ("text", "limit", "said"),
    [
        ("short", 5, "short"),
        ("one two three four", 15, "one two three…"),
        ("aaaaaaaaaaaaaaaaaaaa", 10, "aaaaaaaaa…"),
        ("one two, three four five", 10, "one two…"),
    ],
)
def test_shorten(text: str, limit: int, said: str) -> None:
    """Cuts after a word where that costs little, and says so."""
    assert phrases.shorten(text, limit) == said
    assert len(said) <= limit


def test_a_time_to_be_kept_is_never_two() -> None:
    """When clocks go back an hour comes twice, and each says which one it is; the rest of the year nothing is added."""
    new_york = phrases.zone("America/New_York")
    night = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert phrases.slot(night, new_york) == "Sunday, Nov 1, 2026 at 1:30 AM EDT"
    assert phrases.slot(night + timedelta(hours=1), new_york) == "Sunday, Nov 1, 2026 at 1:30 AM EST"
    assert phrases.slot(night + timedelta(hours=2), new_york) == "Sunday, Nov 1, 2026 at 2:30 AM"
    assert phrases.slot(datetime(2026, 3, 8, 7, tzinfo=UTC), new_york) == "Sunday, Mar 8, 2026 at 3:00 AM"
    assert phrases.slot(night, UTC) == "Sunday, Nov 1, 2026 at 5:30 AM"
