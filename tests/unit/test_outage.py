"""When many at once are an outage, when it is over, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.outage_facts import OutageView
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


@pytest.mark.parametrize(
    ("down", "unchanged", "left", "expected"),
    [
        (10, 60, 1, False),  # nothing changes, and many are down
        (10, 60, 0, True),  # but people have waited long enough
        (9, 9, 30, False),  # few: the others may follow
        (9, 10, 30, True),
        (0, 0, 30, True),  # nobody waits for anything
    ],
)
def test_when_it_is_over(down: int, unchanged: int, left: int, expected: bool) -> None:
    """When nobody is down, when only few are and nothing changes any more, or when it lasts too long."""
    standing = Standing(
        down=down, there=20, last_change_at=NOW - unchanged * MINUTE, release_at=NOW + left * MINUTE
    )  # fmt: skip
    assert is_over(standing, NOW, RULES) is expected


@given(down=st.integers(0, 50), there=st.integers(1, 50), unchanged=st.integers(0, 600), left=st.integers(-5, 60))
def test_it_ends_once_and_for_all(down: int, there: int, unchanged: int, left: int) -> None:
    """If nothing changes, what is over stays over, and at `release_at` everything is."""
    standing = Standing(
        down=down, there=there, last_change_at=NOW - timedelta(seconds=unchanged), release_at=NOW + left * MINUTE
    )
    if is_over(standing, NOW, RULES):
        assert is_over(standing, NOW + MINUTE, RULES)
    assert is_over(standing, standing.release_at, RULES)


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
    view = OUTAGES["now"]
    member = view.mine[0].model_copy(update={"customer": "<!channel>\n*Evil:*", "integration": "{{7*7}} <script>"})
    hostile: OutageView = view.model_copy(update={"mine": (member,), "everyone": (member,)})
    text = str(renderer.provider_outage(UUID(int=1), hostile, now=NOON, reader=samples.CSM, url=PROVIDER_URL).blocks)
    assert "<!channel>" not in text
    assert "\n*Evil:*" not in text
    mail = renderer.provider_outage_as_mail(hostile, now=NOON, reader=samples.CSM, url=PROVIDER_URL)
    assert "<script>" not in mail.html
