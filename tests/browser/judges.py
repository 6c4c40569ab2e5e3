"""What every page is judged by, whatever is on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page

NARROW, WIDE = (360, 740), (1440, 900)


_SETTLED = "() => document.getAnimations().forEach((a) => isFinite(a.effect.getComputedTiming().endTime) && a.finish())"


@dataclass(frozen=True)
class Look:
    """How a page is looked at."""

    size: tuple[int, int]
    scheme: Literal["light", "dark"]

    @property
    def name(self) -> str:
        return f"{'narrow' if self.size == NARROW else 'wide'}-{self.scheme}"

    async def apply(self, page: Page) -> None:
        width, height = self.size
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=self.scheme)
        await page.evaluate(_SETTLED)  # colours that are still on their way would be judged


LOOKS = (Look(NARROW, "light"), Look(NARROW, "dark"), Look(WIDE, "light"), Look(WIDE, "dark"))
BOTH = (Look(NARROW, "light"), Look(WIDE, "dark"))  # each size and each scheme once, for what is slow to judge


@dataclass(frozen=True)
class Picture:
    """Keeps what pages look like, for people to look at; without a folder (--screenshots) it keeps nothing."""

    folder: Path | None

    async def __call__(self, page: Page, name: str) -> None:
        if self.folder:
            await page.screenshot(path=self.folder / f"{name}.png", full_page=True)


@dataclass
class Tab:
    """A page, and everything that it did behind its reader's back."""

    page: Page
    complaints: list[str] = field(default_factory=list)  # of the console, which includes what the CSP refused
    requests: list[str] = field(default_factory=list)

    async def reset(self) -> None:
        """As good as a new one, and a quarter of a second quicker."""
        await self.page.goto("about:blank")
        await self.page.context.clear_cookies()
        await BOTH[0].apply(self.page)
        self.complaints.clear()
        self.requests.clear()

    def strangers(self) -> set[str]:
        """The origins, other than the page's own, that anything was asked of."""
        origins = {urlsplit(url)[:2] for url in self.requests if not url.startswith("data:")}
        return {f"{scheme}://{host}" for scheme, host in origins - {urlsplit(self.page.url)[:2]}}

    def _said(self, message: ConsoleMessage) -> None:
        about = message.location.get("url")
        is_own_status = about == self.page.url and "responded with a status of" in message.text
        if message.type in {"error", "warning"} and not is_own_status:
            self.complaints.append(message.text)


@asynccontextmanager
async def open_tab(browser: Browser, *, javascript: bool = True) -> AsyncIterator[Tab]:
    """A tab of a browser profile of its own."""
    context = await browser.new_context(java_script_enabled=javascript)
    context.set_default_timeout(120_000)
    tab = Tab(await context.new_page())
    tab.page.on("console", tab._said)
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.page.on("request", lambda request: tab.requests.append(request.url))
    yield tab
    await context.close()


async def overflow(page: Page) -> int:
    """How many pixels of the page are beyond its right edge."""
    beyond: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return beyond


async def faults(page: Page, without: Sequence[str] = ()) -> list[str]:
    """What axe-core finds: rule, how bad it is, and where; `without` names rules that do not apply."""
    options = {"resultTypes": ["violations"], "rules": {rule: {"enabled": False} for rule in without}}
    found = (await Axe().run(page, options=options)).response["violations"]
    return [f"{fault['id']} ({fault['impact']}): {_places(fault)}" for fault in found]


def _places(fault: dict[str, Any]) -> str:
    return "; ".join(f"{node['html'][:120]} {node['failureSummary']}" for node in fault["nodes"])


@dataclass(frozen=True)
class Stop:
    """Where the Tab key leads."""

    name: str
    is_seen: bool  # that it has the focus


_STOPS = """
() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter((e) => e.checkVisibility() && !e.disabled).length
"""
_FOCUSED = """
() => {
  const e = document.activeElement;
  if (!e || e === document.body || e.dataset.visited) return null;
  e.dataset.visited = "yes";
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    name: (e.getAttribute("aria-label") || e.innerText || e.name || e.tagName).trim(),
    is_seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
      && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}
"""


async def tab_stops(page: Page) -> tuple[list[Stop], int]:
    """Where Tab leads from the top of the page, in order; and how many places there are to which it should."""
    expected: int = await page.evaluate(_STOPS)
    stops = []
    for _ in range(expected + 1):
        await page.keyboard.press("Tab")
        found = await page.evaluate(_FOCUSED)
        if found is None:
            break
        stops.append(Stop(**found))
    return stops, expected
