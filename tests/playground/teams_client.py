"""A person at the page of Microsoft's Agents Playground."""

import os
from pathlib import Path

from playwright.async_api import FloatRect, Locator, Page, expect


class TeamsClient:
    def __init__(self, page: Page) -> None:
        self.page = page

    async def open(self, place: str) -> None:
        """A chat or a channel, by its name in the list; whoever is alone with the bot is not greeted."""
        await self.page.get_by_text(place, exact=True).first.click()
        if place != "Personal Chat":
            await expect(self.shown("Hello, I am Shifu").first).to_be_visible(timeout=20_000)

    async def say(self, text: str, *, mention: bool = False) -> None:
        await self._write(text, mention=mention)
        await self.page.keyboard.press("Enter")

    async def post(self, text: str) -> None:
        """Begins a thread of a channel."""
        await self._write(text, mention=True)
        await self.page.get_by_role("button", name="Post").click()

    def shown(self, text: str) -> Locator:
        """Where it stands in the conversation; the list of chats and the log do not count."""
        return self.page.locator("p, span, div[role='none'], li", has_text=text).locator(
            "visible=true"
        )

    async def screenshot(self, name: str) -> None:
        """Kept where `SHIFU_SCREENSHOTS` says; not taken without it."""
        if folder := os.environ.get("SHIFU_SCREENSHOTS"):
            await self.page.wait_for_timeout(400)
            # Without the Playground's own log beside it.
            box = self.page.viewport_size or {"width": 1280, "height": 720}
            clip: FloatRect = {"x": 0, "y": 0, "width": box["width"] - 330, "height": 620}
            await self.page.screenshot(path=str(Path(folder) / f"teams-{name}.png"), clip=clip)

    async def _write(self, text: str, *, mention: bool) -> None:
        await self.page.get_by_role("textbox").first.click()
        if mention:
            await self.page.keyboard.type("@")
            await self.page.get_by_role("menuitem", name="Shifu").click()
        await self.page.keyboard.type(f" {text}" if mention else text)
