"""Whose Monday morning has come, and how a week is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from activities.digest_facts import MOST, MOST_FRAGILE, DigestView, Ending, Fragile, Mended, StillOpen
from activities.rendering import Renderer
from activities.views import SlackMessage
from starter import preview_samples as samples
from starter.preview_week import FLEET, MONDAY, week
from starter.previewing import as_text
from tests.unit.test_rendering_hostile import HOSTILE
from workflows.domain.digest import LATE, Csm, Week, readers, week_due
from workflows.domain.policy import Digest

GOLDEN = Path(__file__).parent.parent / "golden"
QUARTER = timedelta(minutes=15)
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati",
    "Pacific/Honolulu", "Africa/Cairo", "Asia/Gaza", "America/St_Johns",
]  # fmt: skip


def weeks(zone: str, at: time, first: datetime, days: int) -> list[tuple[datetime, Week]]:
    """The starts of the schedule at which a week is due for the first time."""
    found: dict[date, tuple[datetime, Week]] = {}
    for n in range(days * 96):
        due = week_due(now := first + n * QUARTER, at, ZoneInfo(zone))
        if due is not None:
            found.setdefault(due.monday, (now, due))
    return list(found.values())


@pytest.mark.parametrize("zone", ZONES)
def test_every_monday_at_nine_on_their_wall(zone: str) -> None:
    """A whole year, both changes of the clock included: once a Monday, at 9:00 to the minute; the weeks leave no gap
    and do not overlap."""
    found = weeks(zone, time(9), datetime(2026, 1, 1, tzinfo=UTC), 365)
    assert len(found) == 52
    for now, due in found:
        local = now.astimezone(ZoneInfo(zone))
        assert (local.weekday(), local.time()) == (0, time(9))
        assert due.monday == local.date()
        assert due.ended_at == now
    assert all(earlier.ended_at == later.began_at for (_, earlier), (_, later) in pairwise(found))


def test_a_week_with_a_change_of_the_clock_is_an_hour_longer_or_shorter() -> None:
    """What was resolved on the Sunday of the change is told once."""
    spring = week_due(datetime(2026, 3, 30, 7, tzinfo=UTC), time(9), ZoneInfo("Europe/Berlin"))
    autumn = week_due(datetime(2026, 10, 26, 8, tzinfo=UTC), time(9), ZoneInfo("Europe/Berlin"))
    assert spring is not None
    assert autumn is not None
    assert spring.ended_at - spring.began_at == timedelta(hours=167)
    assert autumn.ended_at - autumn.began_at == timedelta(hours=169)


def test_an_hour_that_the_clock_skips() -> None:
    """Tehran put its clock forward at midnight of Monday, 2021-03-22: what was to come at 00:30 came at 01:30."""
    tehran = ZoneInfo("Asia/Tehran")
    assert datetime(2021, 3, 22, 0, 30, tzinfo=tehran).astimezone(UTC).astimezone(tehran).time() == time(1, 30)
    [_, (now, due), _] = weeks("Asia/Tehran", time(0, 30), datetime(2021, 3, 14, 12, tzinfo=UTC), 21)
    assert due.monday == date(2021, 3, 22)
    assert now.astimezone(tehran).time() == time(1, 30)


@given(st.integers(0, 5_000_000), st.times(), st.sampled_from(ZONES))
def test_it_comes_for_a_day_and_not_after(minutes: int, at: time, zone: str) -> None:
    """A worker that was away on Monday morning still sends it within a day; later the next one has to do."""
    now = datetime(2021, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    due = week_due(now, at.replace(second=0, microsecond=0), ZoneInfo(zone))
    if due is not None:
        assert timedelta(0) <= now - due.ended_at < LATE
        assert due.monday.weekday() == 0


def csm(*addresses: str, customer: int = 0, timezone: str | None = None) -> Csm:
    return Csm(UUID(int=customer), uuid4(), frozenset(addresses), timezone)


def test_one_human_of_many_customers() -> None:
    """Rows that share an address, directly or through another, are one reader; who shares none is somebody else."""
    found = readers([
        csm("maria@x", customer=1),
        csm("u1", customer=2, timezone="Europe/Madrid"),
        csm("tom@x", customer=3),
        csm("maria@x", "u1", customer=4, timezone="Asia/Tokyo"),
    ])  # fmt: skip
    assert [[c.int for c in reader.customers] for reader in found] == [[1, 2, 4], [3]]
    maria = found[0]
    assert maria.addresses == {"maria@x", "u1"}
    assert maria.timezone == "Europe/Madrid"
    assert maria.person == next(c.person for c in maria.csms if len(c.addresses) == 2)


@given(st.lists(st.frozensets(st.sampled_from("abcdefg"), min_size=1, max_size=3), max_size=12))
def test_readers_share_no_address(addresses: list[frozenset[str]]) -> None:
    """Nobody is told twice, and nobody's customer is left out."""
    found = readers(csm(*each, customer=n) for n, each in enumerate(addresses))
    told = [address for reader in found for address in reader.addresses]
    assert len(told) == len(set(told))
    assert sorted(c.int for reader in found for c in reader.customers) == list(range(len(addresses)))


@pytest.mark.parametrize("wrong", ["9:00", "25:00", "09:00:30", 9, "nine"])
def test_a_wrong_time_of_day_is_refused(wrong: object) -> None:
    """A number would be read as seconds after midnight."""
    with pytest.raises(ValidationError, match="at"):
        Digest.model_validate({"at": wrong})
    assert Digest.model_validate(Digest(at=time(7, 30)).model_dump(mode="json")).at == time(7, 30)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(product_name="Acme", public_url="https://relink.acme.example")


def test_a_week_reads_so(renderer: Renderer) -> None:
    """To the line."""
    message = renderer.digest(UUID(int=1), week(), now=MONDAY, reader=samples.CSM, fleet_url=FLEET)
    assert as_text(message) == (GOLDEN / "slack_weekly_digest.txt").read_text(encoding="utf-8")
    assert message.text == ":calendar: Your integrations this week: 3 open, 2 resolved, 1 fragile, 1 about to end"
    mail = renderer.digest_as_mail(week(), now=MONDAY, reader=samples.CSM, fleet_url=FLEET)
    assert mail.subject == "Your integrations this week: 3 open, 2 resolved, 1 fragile, 1 about to end"
    assert "- Initech, Xero: down for 5 h, verified by our own check" in mail.text


def test_it_leads_to_their_fleet(renderer: Renderer) -> None:
    """One click from the message, and from the mail, to what is down now."""
    message = renderer.digest(UUID(int=1), week(), now=MONDAY, reader=samples.CSM, fleet_url=FLEET)
    [button] = [element for block in message.blocks for element in block.get("elements", []) if "url" in element]
    assert (button["text"]["text"], button["url"]) == ("View Your Fleet", FLEET)
    mail = renderer.digest_as_mail(week(), now=MONDAY, reader=samples.CSM, fleet_url=FLEET)
    assert f"[View Your Fleet]\n{FLEET}" in mail.text
    assert f'href="{FLEET}"' in mail.html


def test_a_bad_week_still_fits(renderer: Renderer) -> None:
    """Of each kind the most urgent, and how many more there are: a minute's reading, whatever happened."""
    bad = week()
    bad = bad.model_copy(
        update={name: getattr(bad, name)[:1] * 300 for name in ("still_open", "mended", "fragile", "ending")}
    )
    text = as_text(renderer.digest(UUID(int=1), bad, now=MONDAY, reader=samples.CSM, fleet_url=FLEET))
    assert text.count("\n- ") == 3 * MOST + MOST_FRAGILE
    assert (text.count("and 292"), text.count("and 297")) == (3, 1)
    assert len(text) < 5000


def lines(message: SlackMessage) -> list[str]:
    """The first letter of every line; where a long one needed several blocks is left out."""
    return [line[:1] for line in as_text(message).splitlines() if line]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(renderer: Renderer, name: str) -> None:
    """No customer, integration, certificate or suggestion can add a line, a mention, a link or a block."""
    payload = HOSTILE[name]
    of = {"customer": payload, "integration": payload}
    plain = week()
    poisoned = DigestView(
        began_at=plain.began_at,
        ended_at=plain.ended_at,
        still_open=tuple(StillOpen.model_validate(i.model_dump() | of) for i in plain.still_open),
        mended=tuple(Mended.model_validate(i.model_dump() | of) for i in plain.mended),
        fragile=tuple(Fragile(**of, reason=payload, suggestion=payload) for _ in plain.fragile),
        ending=tuple(Ending.model_validate(i.model_dump() | of | {"label": payload}) for i in plain.ending),
    )
    reader = samples.CSM.model_copy(update={"name": payload})
    message = renderer.digest(UUID(int=1), poisoned, now=MONDAY, reader=reader, fleet_url=FLEET)
    usual = renderer.digest(UUID(int=1), plain, now=MONDAY, reader=samples.CSM, fleet_url=FLEET)
    assert lines(message) == lines(usual)
    shown = str(message.blocks)
    assert "<!channel>" not in shown
    assert "<@U123>" not in shown
    assert "<https" not in shown
    mail = renderer.digest_as_mail(poisoned, now=MONDAY, reader=reader, fleet_url=FLEET)
    assert "<script" not in mail.html
    assert "<img" not in mail.html
    assert mail.subject == renderer.digest_as_mail(plain, now=MONDAY, reader=samples.CSM, fleet_url=FLEET).subject
