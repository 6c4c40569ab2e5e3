"""When many at once are an outage, when it is over, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.provider_outage_facts import Member, OutageView
from activities.rendering import Renderer
from starter import preview_samples as samples
from starter.preview_outage import NOON, OUTAGES, PROVIDER_URL
from starter.previewing import as_text
from workflows.domain.outage import Standing, is_outage, is_over
from workflows.domain.policy import Outage

GOLDEN = Path(__file__).parents[1] / "golden"
MINUTE = timedelta(minutes=1)
RULES = Outage(min_integrations=10, min_share=0.3, window=10 * MINUTE)
NOW = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("together", "there", "expected"),
    [(9, 9, False), (10, 10, True), (10, 33, True), (10, 34, False), (300, 1000, True)],
)
def test_what_an_outage_is(together: int, there: int, expected: bool) -> None:
    """Both the number and the share of the policy."""
    assert is_outage(together, there, RULES) is expected


def standing(down: int, recovering: int, unchanged: float, left: float, *, there: int = 20) -> Standing:
    """Minutes since something changed, and until it may last at most."""
    changed_at, release_at = NOW - unchanged * MINUTE, NOW + left * MINUTE
    return Standing(
        down=down, recovering=recovering, there=there, last_change_at=changed_at, release_at=release_at, now=NOW
    )  # fmt: skip


@pytest.mark.parametrize(
    ("down", "recovering", "unchanged", "left", "expected"),
    [
        (10, 0, 60, 1, False),  # nothing changes, and many are down
        (10, 0, 60, 0, True),  # but people have waited long enough
        (9, 3, 9, 30, False),  # few: the others may follow, or fail again
        (9, 3, 10, 30, True),
        (0, 12, 1, 30, False),  # they have to hold
        (0, 12, 10, 30, True),
        (0, 0, 0, 30, True),  # nobody waits for anything
    ],
)
def test_when_it_is_over(down: int, recovering: int, unchanged: int, left: int, expected: bool) -> None:
    """When all came back and held, when only few are down and nothing changes any more, or when it lasts too long."""
    assert is_over(standing(down, recovering, unchanged, left), RULES) is expected


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 60), st.integers(-5, 60), st.integers(1, 50))
def test_it_ends_once_and_for_all(down: int, recovering: int, unchanged: int, left: int, there: int) -> None:
    """If nothing changes, what is over stays over, and at `release_at` everything is."""
    now = standing(down, recovering, unchanged, left, there=there)
    if is_over(now, RULES):
        assert is_over(replace(now, now=now.now + MINUTE), RULES)
    assert is_over(replace(now, now=max(now.now, now.release_at)), RULES)


def test_what_is_worth_telling_again() -> None:
    """What changes for one's own customers; not what changes for others', or the time."""
    view = OUTAGES["now"]
    mine, others = view.mine[:14], view.outage.members[14:]

    def with_(mine: tuple[Member, ...], others: tuple[Member, ...] = others) -> str:
        return OutageView(replace(view.outage, members=(*mine, *others)), mine).in_short

    first, *rest = mine
    assert with_(mine, others[1:]) == view.in_short
    assert with_((first.model_copy(update={"severity": "medium"}), *rest)) != view.in_short
    assert with_((first.model_copy(update={"status": "recovering"}), *rest)) != view.in_short
    assert with_(mine[1:]) != view.in_short


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(product_name="Acme", public_url="https://relink.acme.example")


@pytest.mark.parametrize("name", OUTAGES)
def test_it_reads_so(renderer: Renderer, name: str) -> None:
    """To the line."""
    message = renderer.provider_outage(UUID(int=1), OUTAGES[name], now=NOON, reader=samples.CSM, url=PROVIDER_URL)
    assert as_text(message) == (GOLDEN / f"slack_provider_outage_{name}.txt").read_text(encoding="utf-8")


def test_hostile_names_stay_names(renderer: Renderer) -> None:
    """A customer's name neither calls the channel nor begins a line of its own."""
    outage = OUTAGES["now"].outage
    member = outage.members[0].model_copy(update={"customer": "<!channel>\n*Evil:*", "integration": "{{7*7}} <script>"})
    hostile = OutageView(replace(outage, members=(member,)), (member,))
    text = str(renderer.provider_outage(UUID(int=1), hostile, now=NOON, reader=samples.CSM, url=PROVIDER_URL).blocks)
    assert "<!channel>" not in text
    assert "\n*Evil:*" not in text
    mail = renderer.provider_outage_as_mail(hostile, now=NOON, reader=samples.CSM, url=PROVIDER_URL)
    assert "<script>" not in mail.html
