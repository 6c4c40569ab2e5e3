"""PRD-101 §5.1 and §5.2, line by line, with the PRD's own example.

The files in tests/golden come from the PRD. To see what the templates say now: `relink templates preview`.
"""

from pathlib import Path

import pytest

from activities.rendering import Renderer
from starter import preview_samples as samples
from starter.previewing import as_text

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(product_name="Acme", public_url="https://relink.acme.example")


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def test_the_csm_alert_reads_like_the_prd(renderer: Renderer) -> None:
    """§5.1 to the line; below its buttons only a second row of them and the severity."""
    message = renderer.csm_alert(samples.sample(), now=samples.NOW, reader=samples.CSM, status_url=samples.STATUS_URL)
    assert as_text(message) == golden("slack_integration_disconnected_alert.txt")


def test_the_customer_mail_reads_like_the_prd(renderer: Renderer) -> None:
    """§5.2 to the line; the address of the button stands below it."""
    mail = renderer.customer_mail(
        samples.sample(), contact=samples.CONTACT, now=samples.NOW, reconnect_link=samples.RECONNECT_LINK
    )
    assert f"Subject: {mail.subject}\n\n{mail.text}" == golden("email_integration_disconnected_customer.txt")


@pytest.mark.parametrize("state", ["acknowledged", "recovering", "resolved"])
def test_later_states_keep_the_layout(renderer: Renderer, state: str) -> None:
    """The message is edited, not replaced by another one."""
    view = samples.sample(state)
    message = renderer.csm_alert(view, now=samples.NOW, reader=samples.CSM, status_url=samples.STATUS_URL)
    assert as_text(message) == golden(f"slack_alert_{state}.txt")
