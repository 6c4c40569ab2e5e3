"""Pages: they work without scripts, by keyboard and screen reader, and say only what their reader may know."""

import re
from itertools import pairwise

import lxml.html
import pytest

from activities.rendering import Renderer
from starter import preview_samples as samples
from starter.previewing import pages

RENDERER = Renderer(product_name="Acme", public_url="https://acme.example/relink/")
PAGES = dict(pages(RENDERER))


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_sound(name: str) -> None:
    """One title, one heading, a language, no script, no inline style, nothing from elsewhere, nothing to be indexed."""
    tree = lxml.html.document_fromstring(PAGES[name])
    assert tree.get("lang") == "en"
    assert " · Acme" in tree.findtext(".//title", "")
    assert len(tree.xpath("//h1")) == 1
    assert len(tree.xpath("//main")) == 1
    assert not tree.xpath("//script | //style | //img | //iframe | //*[@style] | //@*[starts-with(name(), 'on')]/..")
    assert [href for href in tree.xpath("//link/@href") if not href.startswith("data:")] == ["relink.css"]
    assert tree.xpath("//meta[@name='robots']/@content") == ["noindex, nofollow"]
    assert tree.xpath("//meta[@name='referrer']/@content") == ["no-referrer"]
    levels = [int(str(heading.tag)[1]) for heading in tree.xpath("//h1 | //h2 | //h3")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len({e.get("id") for e in tree.xpath("//*[@id]")}) == len(tree.xpath("//*[@id]"))
    assert all(tree.xpath(f"//*[@id='{label}']") for label in tree.xpath("//@aria-labelledby"))


def test_the_style_sheet_is_served_below_the_public_url() -> None:
    """An installation below a path works too."""
    page = RENDERER.page("message.html", title="x", text="y")
    assert 'href="/relink/static/relink.css"' in page
    assert "prefers-color-scheme: dark" in RENDERER.stylesheet()


@pytest.mark.parametrize(
    ("name", "button"),
    [
        ("reconnect_ready", ("reconnect", "Reconnect Salesforce")),
        ("reconnect_by_hand", ("reconnected", "I have reconnected it")),
        ("reconnect_no_self_serve", None),
        ("reconnect_fixed", None),
        ("reconnect_invalid", ("mail", "Send me a new link")),
        ("reconnect_mailed", None),
        ("returned_ask", ("reconnected", "I have reconnected it")),
        ("returned_thanks", None),
    ],
)
def test_there_is_one_button_in_a_post_form_or_none(name: str, button: tuple[str, str] | None) -> None:
    """A GET can't do anything; what a button does is named on it."""
    tree = lxml.html.document_fromstring(PAGES[name])
    buttons = tree.xpath("//form[@method='post']//button[@type='submit' and @name='do']")
    assert [(b.get("value"), b.text) for b in buttons] == ([button] if button else [])
    assert len(tree.xpath("//form")) == len(buttons)


@pytest.mark.parametrize("state", ["invalid", "mailed"])
def test_a_bad_link_learns_nothing(state: str) -> None:
    """No customer, provider or reason for somebody who has guessed or found an address."""
    page = RENDERER.page("reconnect.html", state=state)
    assert not re.search(r"TechCorp|Salesforce|Bob", page)


def test_the_reconnect_page_tells_what_the_mail_tells() -> None:
    """The same cause and the same steps, in the contact's time zone."""
    page = PAGES["reconnect_ready"]
    for words in (samples.DISCONNECTED.customer_reason, "Log in to Acme", "takes about 2 minutes", "9:45 AM"):
        assert words in page
    assert "whoever administers Salesforce at TechCorp" in page


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_colours_have_contrast(scheme: int) -> None:
    """WCAG 2.2 AA: 4.5 to 1 for every text on every ground that it stands on, light and dark."""
    sheet = RENDERER.stylesheet()
    blocks = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    colour = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[scheme]))
    pairs = [
        *((ink, ground) for ink in ("ink", "strong", "quiet") for ground in ("ground", "card", "soft")),
        ("accent", "card"),
        ("on-accent", "accent"),
        ("on-accent", "accent-hover"),
        *((tone, f"{tone}-soft") for tone in ("bad", "warn", "good")),
    ]
    for ink, ground in pairs:
        assert contrast(colour[ink], colour[ground]) >= 4.5, (ink, ground)
