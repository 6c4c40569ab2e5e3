"""Every mail as a phone and a wide window show it, light and dark."""

from __future__ import annotations

import pytest

from activities.rendering import Renderer
from starter.previewing import mails
from tests.browser.judges import BOTH, LOOKS, Picture, Tab, faults, overflow

ALL = mails(Renderer(product_name="Acme", public_url="https://relink.acme.example"))
MAILS = {name: mail for name, mail in ALL if not name.startswith("notice_ending_")}  # one notice is like the other
NOT_OF_MAILS = ("landmark-one-main", "page-has-heading-one", "region", "heading-order")  # it stands in another page


@pytest.mark.parametrize("name", MAILS)
async def test_it_fits_and_can_be_read(name: str, tab: Tab, picture: Picture) -> None:
    """No sideways scrolling, nothing loaded, enough contrast; axe-core finds no fault."""
    await tab.page.set_content(MAILS[name].html)
    for look in LOOKS:
        await look.apply(tab.page)
        assert await overflow(tab.page) == 0, look.name
        await picture(tab.page, f"mail-{name}-{look.name}")
    for look in BOTH:
        await look.apply(tab.page)
        assert await faults(tab.page, without=NOT_OF_MAILS) == [], look.name
    assert (tab.complaints, tab.requests) == ([], [])
