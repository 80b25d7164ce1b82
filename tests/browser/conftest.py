"""A real browser and a server for it to look at."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.fakes.web_site import WebSite

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                reason = "needs Chromium: apt-get install chromium fonts-noto-cjk"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest_asyncio.fixture(loop_scope="module")
async def site(tmp_path: Path) -> AsyncIterator[WebSite]:
    """The page with a scripted conversation behind it."""
    async with WebSite(tmp_path, pause_s=0.05).running() as site:
        yield site


@pytest.fixture
def served_url(site: WebSite) -> str:
    """Where the page is served; override it to look at another server."""
    return site.url


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            # Containers run as root, where Chromium's sandbox refuses to start.
            executable_path=CHROMIUM,
            args=["--no-sandbox"],
        )
        yield browser
        await browser.close()


class Visit:
    """A page opened by one person, with what the browser complained about and asked of whom."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    async def act_as(self, person: str) -> None:
        if not await self.page.locator(".switcher > .person").is_visible():
            await self.page.locator("#menu").click()
        await self.page.locator(".switcher > .person").click()
        await self.page.locator(f".menu [data-person='{person}']").click()
        await self.page.locator(".switcher > .person[aria-expanded='false']").wait_for(
            state="attached"
        )

    async def ask(self, text: str) -> None:
        await self.page.locator("#question").fill(text)
        await self.page.keyboard.press("Enter")

    async def screenshot(self, name: str) -> None:
        """Kept where `SHIFU_SCREENSHOTS` says; not taken without it."""
        if folder := os.environ.get("SHIFU_SCREENSHOTS"):
            await self.page.wait_for_timeout(250)
            await self.page.screenshot(path=str(Path(folder) / f"{name}.png"))


class Visits:
    def __init__(self, chromium: Browser, url: str) -> None:
        self._chromium = chromium
        self._url = url
        self._contexts: list[BrowserContext] = []
        self.opened: list[Visit] = []

    async def open(
        self,
        *,
        width: int = 1280,
        height: int = 800,
        scheme: str = "light",
        locale: str = "en-US",
        is_phone: bool = False,
        context: BrowserContext | None = None,
    ) -> Visit:
        if context is None:
            context = await self._chromium.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                locale=locale,
                has_touch=is_phone,
                is_mobile=is_phone,
            )
            self._contexts.append(context)
        visit = Visit(await context.new_page())
        self.opened.append(visit)
        await visit.page.goto(self._url)
        await visit.page.locator("#composer .scope").wait_for()
        return visit

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def visits(chromium: Browser, served_url: str) -> AsyncIterator[Visits]:
    visits = Visits(chromium, served_url)
    yield visits
    await visits.close()
