"""The command for the people who look at the pages: sign-in."""

from __future__ import annotations

import getpass

from cyclopts import App

from activities.settings import Settings
from starter.commands.output import console, print_json
from starter.site.sessions import sign_in_link
from starter.site.staff import Role


def register(app: App) -> None:
    """Adds this command."""
    app.command(sign_in)


def sign_in(*, operator: bool = False, name: str | None = None, json: bool = False) -> None:
    """Print a link that signs one person in to the pages, once, within fifteen minutes.

    Parameters
    ----------
    operator
        Who follows it may also act: acknowledge, snooze, close.
    name
        Who that is, best their address: what they do is recorded under it. Without it: who you are on this machine.
    """
    settings = Settings.load("secret_key", "public_url")
    assert settings.secret_key is not None  # Settings.load insisted on both
    assert settings.public_url is not None
    role = Role.OPERATOR if operator else Role.VIEWER
    secret = settings.secret_key.get_secret_value()
    link = sign_in_link(settings.public_url, secret, name or getpass.getuser(), role)
    if json:
        print_json({"link": link})
    else:
        console.print(link, markup=False, highlight=False, soft_wrap=True)
