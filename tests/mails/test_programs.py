"""Mails in the programs that people read them with, judged by the tables of caniemail.com."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from activities.rendering import Renderer
from starter.previewing import mails
from tests.npm import npm_package

PROGRAMS = ("gmail.*", "outlook.*", "apple-mail.*", "yahoo.*")

# What one of them does not support at all, and why the mail is read all the same. A new one needs a reason.
MISSING: Mapping[str, str] = {
    "<body> element": "what body says is said once more by the table around everything",
    "<style> element": "all that matters is in style attributes; the style sheet adds phones and dark mode",
    "@media": "the same; without it a phone shows the mail with wider margins",
    "border-radius": "corners are square",
    "color-scheme CSS property": "such a program keeps the mail light, or darkens it in its own way",
    "color-scheme meta tag": "the same",
    "display:none": "the preview line is also one pixel high, in the colour of the ground",
    "max-height property": "only of the preview line, which Outlook hides by mso-hide",
    "opacity": "only of the preview line, hidden in other ways as well",
    "overflow": "only of the preview line, likewise",
    "overflow-wrap": "only a word that is longer than the line is too wide",
    "role attribute": "a screen reader may announce the table around everything",
    "white-space": "labels of a notice to ourselves may break",
    "word-break": "the long address below the button is broken by overflow-wrap, or makes the mail wider",
}
# What one of them supports in part: for values that we don't use, unless it is said otherwise.
PARTLY: Mapping[str, str] = {
    "<body> element": "becomes a div",
    "<style> element": "below 16 kB, in the head, and for accounts of its own: so is ours, or see above",
    "<ul>, <ol> and <dl>": "no reversed lists, no value on an item",
    "@media": "no nested ones, none of heights",
    "align attribute": "left and right on tables; ours is center",
    "background": "only colours, which is all that ours has",
    "border": "unreliable on a paragraph in Outlook: the bar beside a cause may be missing",
    "border-radius": "no elliptical corners",
    "color-scheme CSS property": "see above",
    "display": "no flex, no grid",
    "display:none": "not of tables in tables, not of images",
    "font-size": "no relative sizes",
    "font-weight": "only normal and bold",
    "lang attribute": "not on cells",
    "line-height": "Outlook takes it as the least height of a line",
    "margin": "nothing negative; that of body is lost, and auto is said by the align attribute as well",
    "max-width": "Outlook only on tables, Apple Mail not on them: ours has both a width attribute and a fluid width",
    "overflow": "only of the preview line",
    "overflow-wrap": "see above",
    "padding": "Outlook only in cells: the button's cell has mso-padding-alt, a cause stands closer to its bar",
    "role attribute": "only on tables, where ours are",
    "text-align": "no start and end",
    "text-decoration": "one value at a time",
    "white-space": "not pre",
    "width attribute": "of images",
    "width property": "only of tables and cells in Outlook",
    "word-break": "see above",
}


@pytest.fixture(scope="module")
def found() -> list[dict[str, str]]:
    """All that some program does not support in full, in any of our mails."""
    renderer = Renderer(product_name="Acme", public_url="https://relink.acme.example")
    html = {name: mail.html for name, mail in mails(renderer)}
    assert len(html) > 20
    script = Path(__file__).with_name("caniemail.mjs")
    command = ["node", str(script), str(npm_package("caniemail@2.0.2")), *PROGRAMS]
    ran = subprocess.run(command, input=json.dumps(html), capture_output=True, text=True, check=True, timeout=300)
    return list(json.loads(ran.stdout))


@pytest.mark.parametrize(("support", "known"), [("none", MISSING), ("partial", PARTLY)])
def test_no_mail_program_is_asked_for_more_than_it_can(
    support: str, known: Mapping[str, str], found: list[dict[str, str]]
) -> None:
    """What Gmail, Outlook, Apple Mail or Yahoo lack is not needed for reading; and no reason is stale."""
    lacking = {entry["feature"]: entry for entry in found if entry["support"] == support}
    assert [entry for feature, entry in lacking.items() if feature not in known] == []
    assert set(known) - set(lacking) == set()
