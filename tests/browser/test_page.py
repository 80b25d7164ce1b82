"""The page in a real browser, as people use it."""

import asyncio
import re

import pytest
from playwright.async_api import Route, expect

from bot.errors import StateUnavailable
from tests.browser.conftest import Visits
from tests.fakes.web_site import PEOPLE, WebSite

# One browser serves the module, so its tests share the event loop that drives it.
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_question_is_answered_with_citations_that_open_beside_it(visits: Visits) -> None:
    visit = await visits.open()
    page = visit.page

    await visit.screenshot("welcome")
    await visit.ask("How do I fix an antenna violation?")
    answer = page.locator(".message.answer").last
    await expect(answer.locator(".badge.answered")).to_have_text("Answered from documents")
    await visit.screenshot("answer")
    await answer.locator(".prose .cite").first.click()

    panel = page.locator("#panel")
    await expect(panel.locator("h2")).to_have_text("Antenna rules for the 22 nm process")
    await expect(panel.locator(".passage table td").first).to_have_text("M3–M5")
    await expect(panel).to_contain_text("Grace Kao")
    link = panel.get_by_role("link", name="Open the original")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")
    await visit.screenshot("panel")
    await page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await expect(answer.locator(".prose .cite").first).to_be_focused()
    assert visit.complaints == []


async def test_a_superseded_source_says_so(visits: Visits) -> None:
    visit = await visits.open()

    await visit.ask("antenna")
    source = visit.page.locator(".source", has_text="Diode cells")
    await expect(source).to_contain_text("Superseded")
    await source.click()

    await expect(visit.page.locator("#panel .notice.warn")).to_contain_text("newer version")


async def test_switching_the_person_offers_to_ask_again_and_shows_another_answer(
    visits: Visits,
) -> None:
    visit = await visits.open()
    page = visit.page
    await visit.act_as("david.hsu")
    await visit.ask("When is the tape-out of Borealis?")
    await expect(page.locator(".prose").last).to_contain_text("15 March 2027")

    await visit.act_as("max.weber")
    await expect(page.locator(".switcher .kind")).to_have_text("Contractor")
    await expect(page.locator("#log")).not_to_contain_text("2027")
    await visit.screenshot("again")
    await page.get_by_role("button", name="Ask this again as Max Weber").click()

    await expect(page.locator(".badge.nothing")).to_have_text("Nothing found")
    await expect(page.locator("#log")).not_to_contain_text("2027")


async def test_a_private_reply_is_marked_and_seen_by_one(visits: Visits) -> None:
    first = await visits.open()
    second = await visits.open()
    for visit, person in ((first, "david.hsu"), (second, "carol.wu")):
        await visit.act_as(person)
        await visit.page.locator("[data-conversation='#verification']").click()

    await first.ask("private: when is the tape-out?")
    private = first.page.locator(".message.private")
    await expect(private.locator(".badge.private")).to_have_text("Only you can see this")
    await expect(second.page.locator(".message.answer .prose")).to_have_count(1)
    await expect(second.page.locator("#log")).not_to_contain_text("2027")
    await first.screenshot("private")


async def test_a_follow_up_stays_in_its_thread_until_something_new_is_asked(
    visits: Visits,
) -> None:
    visit = await visits.open()
    page = visit.page
    await page.locator("[data-conversation='#general']").click()
    await expect(page.locator("#composer .scope")).to_contain_text("all 4 readers")

    await visit.ask("antenna")
    await page.locator(".badge.answered").wait_for()
    await visit.ask("and above M6?")
    await expect(page.locator(".thread")).to_have_count(1)
    await expect(page.locator(".badge.answered")).to_have_count(2)
    await page.get_by_role("button", name="Ask something new instead").click()
    await visit.ask("antenna, anew")

    await expect(page.locator(".thread")).to_have_count(2)


async def test_a_running_answer_can_be_stopped(visits: Visits) -> None:
    visit = await visits.open()

    await visit.ask("slow")
    await expect(visit.page.locator(".prose")).to_have_text("The first sentence.")
    await visit.page.get_by_role("button", name="Stop").click()

    await expect(visit.page.locator(".message .notice")).to_contain_text("Stopped")
    await expect(visit.page.get_by_role("button", name="Stop")).to_have_count(0)


async def test_stop_is_offered_once_the_server_has_the_question(visits: Visits) -> None:
    visit = await visits.open()
    page = visit.page
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    await page.route("**/api/messages*", hold)
    await visit.ask("slow")
    await expect(page.locator(".status")).to_have_text("Working on it")
    await expect(page.get_by_role("button", name="Stop")).to_have_count(0)

    held.set()
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator(".message .notice")).to_contain_text("Stopped")


async def test_unhelpful_asks_what_was_wrong(visits: Visits, site: WebSite) -> None:
    visit = await visits.open()
    await visit.ask("antenna")

    await visit.page.get_by_role("button", name="Not helpful").click()
    await visit.page.locator(".comment textarea").fill("the layer is wrong")
    await visit.page.keyboard.press("Enter")

    await expect(visit.page.locator(".thanks")).to_be_visible()
    kept = await site.state.feedback()
    assert [(f.rating, f.comment) for f in kept] == [("unhelpful", "the layer is wrong")]


async def test_nothing_in_an_answer_becomes_a_link_an_image_or_a_request(
    visits: Visits, served_url: str
) -> None:
    visit = await visits.open()

    await visit.ask("hostile")
    prose = visit.page.locator(".message.answer .prose")
    await expect(prose).to_contain_text("https://evil.example/bare")
    await visit.page.locator(".message footer").wait_for()

    await expect(prose).to_contain_text("<script>")
    await expect(prose.locator("a, img, script, iframe")).to_have_count(0)
    await expect(prose.locator("strong code")).to_have_text("code")
    await expect(prose.locator(".cite")).to_have_count(1)
    assert "pwned" not in await visit.page.title()
    assert all(url.startswith(served_url) for url in visit.requests)
    assert visit.complaints == []


async def test_a_javascript_link_of_a_document_is_not_offered(visits: Visits) -> None:
    visit = await visits.open()
    await visit.act_as("grace.kao")
    await visit.ask("tape-out")

    await visit.page.locator(".prose .cite").click()

    await expect(visit.page.locator("#panel .passage")).to_contain_text("15 March 2027")
    await expect(visit.page.locator("#panel a")).to_have_count(0)


async def test_a_reload_and_a_second_tab_catch_up(visits: Visits) -> None:
    visit = await visits.open()
    await visit.act_as("carol.wu")
    await visit.page.locator("[data-conversation='#verification']").click()
    await visit.ask("antenna")
    await visit.page.locator(".badge.answered").wait_for()

    await visit.page.reload()
    await expect(visit.page.locator(".badge.answered")).to_have_count(1)
    await expect(visit.page.locator(".place h1")).to_have_text("verification")

    other = await visits.open(context=visit.page.context)
    await other.act_as("leo.fang")
    await other.page.locator("[data-conversation='#verification']").click()
    await expect(other.page.locator(".badge.answered")).to_have_count(1)


async def test_a_lost_connection_is_said_keeps_the_question_and_heals(visits: Visits) -> None:
    visit = await visits.open()
    page = visit.page
    await page.route("**/api/messages*", lambda route: route.abort())

    await visit.ask("antenna")
    await expect(page.locator(".problem")).to_contain_text("was not sent")
    await expect(page.locator("#question")).to_have_value("antenna")
    await page.unroute("**/api/messages*")
    await page.locator("#question").press("Enter")

    await expect(page.locator(".badge.answered")).to_be_visible()
    await expect(page.locator(".asked")).to_have_count(1)


async def test_a_question_that_was_not_accepted_is_sent_once_more_as_the_same(
    visits: Visits, site: WebSite
) -> None:
    visit = await visits.open()
    page = visit.page
    site.worker.failure = StateUnavailable("down")

    await visit.ask("antenna")
    await expect(page.locator(".problem")).to_contain_text("try again")
    await expect(page.locator("#question")).to_have_value("antenna")
    await expect(page.locator(".status")).to_have_count(0)
    site.worker.failure = None
    await page.locator("#question").press("Enter")

    await expect(page.locator(".badge.answered")).to_be_visible()
    await expect(page.locator(".asked")).to_have_count(1)
    assert len(site.conversation.heard) == 1


async def test_a_lost_stream_is_said_until_it_is_back_and_nothing_is_missing(
    visits: Visits, site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(*_: object) -> None:
        raise StateUnavailable("down")

    visit = await visits.open()
    page = visit.page
    await visit.ask("antenna")
    await page.locator(".badge.answered").wait_for()

    with monkeypatch.context() as outage:
        outage.setattr(site.logs, "read", read)
        await expect(page.locator("#banner")).to_contain_text("Connection lost", timeout=10_000)

    await expect(page.locator("#banner")).to_be_hidden(timeout=20_000)
    await expect(page.locator(".badge.answered")).to_have_count(1)
    await visit.ask("antenna again")
    await expect(page.locator(".badge.answered")).to_have_count(2)


async def test_whoever_leaves_a_channel_is_taken_out_of_it(visits: Visits, site: WebSite) -> None:
    visit = await visits.open()
    await visit.act_as("carol.wu")
    await visit.page.locator("[data-conversation='#verification']").click()
    await expect(visit.page.locator(".place h1")).to_have_text("verification")

    people = PEOPLE.replace("members: [carol.wu, david.hsu", "members: [david.hsu")
    site.people_file.write_text(people, encoding="utf-8")

    await expect(visit.page.locator(".problem")).to_contain_text("no longer a member")
    await expect(visit.page.locator("[data-conversation='#verification']")).to_have_count(0)


async def test_enter_that_picks_a_word_of_an_input_method_sends_nothing(visits: Visits) -> None:
    visit = await visits.open(locale="zh-TW")
    question = visit.page.locator("#question")
    await question.fill("天線")

    await question.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    await question.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})
    await question.press("Shift+Enter")

    await expect(visit.page.locator(".message")).to_have_count(0)
    await expect(question).to_have_value("天線\n")


async def test_a_long_question_is_counted_and_not_sent(visits: Visits) -> None:
    visit = await visits.open()

    await visit.page.locator("#question").fill("x" * 7_500)
    await expect(visit.page.locator(".counter")).to_have_text("7,500 of 8,000 characters")
    await visit.ask("x" * 8_003)

    await expect(visit.page.locator(".counter")).to_have_text("3 characters too many")
    await expect(visit.page.locator(".message")).to_have_count(0)


async def test_the_page_speaks_chinese_by_the_browsers_language_and_switches(
    visits: Visits,
) -> None:
    visit = await visits.open(locale="zh-TW", scheme="dark")
    page = visit.page
    await expect(page.locator("html")).to_have_attribute("lang", "zh-TW")
    await expect(page.locator(".welcome h1")).to_contain_text("想知道什麼呢？")

    await page.locator(".welcome .chip").first.click()
    await expect(page.locator(".badge.answered")).to_have_text("依據文件回答")
    await page.locator(".prose .cite").first.click()
    await page.locator("#panel .passage").wait_for()
    await visit.screenshot("dark-zh")
    await page.locator("#language").click()

    await expect(page.locator(".badge.answered")).to_have_text("Answered from documents")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "en")


async def test_light_and_dark_follow_the_system_until_chosen(visits: Visits) -> None:
    visit = await visits.open(scheme="dark")
    root = visit.page.locator("html")
    await expect(root).to_have_attribute("data-theme", "dark")

    await visit.page.locator("#theme").click()
    await expect(root).to_have_attribute("data-theme", "light")
    await visit.page.reload()

    await expect(root).to_have_attribute("data-theme", "light")


async def test_everything_can_be_done_by_keyboard(visits: Visits) -> None:
    visit = await visits.open()
    page = visit.page
    await page.locator(".switcher > .person").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator(".switcher .name")).to_contain_text("David Hsu")
    await page.locator("#scroller").focus()

    await page.keyboard.press("/")
    await expect(page.locator("#question")).to_be_focused()
    await page.keyboard.type("antenna")
    await page.keyboard.press("Enter")
    await page.locator(".badge.answered").wait_for()
    await page.locator(".prose .cite").first.focus()
    await page.keyboard.press("Enter")

    await expect(page.locator("#panel")).to_be_visible()
    await expect(page.locator("#live")).to_contain_text("Answer from Shifu")
    unnamed = page.locator("button:visible:not([aria-label])").filter(
        has_not_text=re.compile(r"\S")
    )
    await expect(unnamed).to_have_count(0)


async def test_on_a_phone_nothing_is_cut_off(visits: Visits) -> None:
    width = 390
    visit = await visits.open(width=width, height=844, is_phone=True, locale="zh-TW")
    page = visit.page
    await page.locator("#menu").tap()
    await page.locator("[data-conversation='#general']").tap()
    await expect(page.locator("#scrim")).to_be_hidden()

    await visit.ask("天線效應違規要怎麼修？")
    await page.locator(".message footer").wait_for()
    await visit.screenshot("phone")

    for selector in (".source", ".prose", ".field", "#head", ".tools"):
        box = await page.locator(selector).first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    await page.locator(".prose .cite").first.tap()
    await page.locator("#panel .passage").wait_for()
    await visit.screenshot("phone-panel")
    await page.locator("#panel .icon-button").tap()
    await expect(page.locator("#panel")).to_be_hidden()


async def test_a_failure_at_the_start_offers_to_try_again(visits: Visits) -> None:
    visit = await visits.open()
    page = visit.page
    await page.route("**/api/me*", lambda route: route.abort())
    await page.reload()
    await expect(page.locator(".welcome.failed")).to_contain_text("cannot be reached")

    await page.unroute("**/api/me*")
    await page.get_by_role("button", name="Try again").click()

    await expect(page.locator(".welcome h1")).to_contain_text("Hello")
