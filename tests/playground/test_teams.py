"""The product in Microsoft's own Teams client page, as people use it."""

from contextlib import suppress

import pytest
from playwright.async_api import expect

from tests.fakes.model_server import Messages, ModelServer
from tests.playground.teams_client import TeamsClient

# One browser serves the module, so its tests share the event loop that drives it.
pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "How many days a week may I work from home?"
TWO_DAYS = "every employee may work from home up to two days a week."
HALF_DAYS = "During probation, remote work is allowed for half days only."
ANSWER = f"After passing probation, {TWO_DAYS} [1] {HALF_DAYS} [1]"
SOURCE = "Remote work rules"
WAIT_MS = 20_000


@pytest.fixture(autouse=True)
def _answers(model: ModelServer) -> None:
    def reply(_: Messages) -> str:
        return ANSWER

    # The page loses a change that comes before it has drawn what is changed.
    model.reply, model.pause_s = reply, 0.05


async def test_a_chat_that_it_is_added_to_is_greeted(teams: TeamsClient) -> None:
    await teams.open("Tape-out")

    await expect(teams.shown("Mention me with a question").first).to_be_visible()


async def test_an_answer_in_the_chat_with_it_appears_as_it_is_written(
    teams: TeamsClient, model: ModelServer
) -> None:
    await teams.open("Personal Chat")
    model.pause_s = 0.15

    await teams.say(QUESTION)

    await expect(teams.shown(TWO_DAYS).first).to_be_visible(timeout=WAIT_MS)
    assert await teams.shown(HALF_DAYS).count() == 0
    await expect(teams.shown(HALF_DAYS).first).to_be_visible(timeout=WAIT_MS)
    await expect(teams.page.get_by_text("AI generated").first).to_be_visible(timeout=WAIT_MS)
    assert await teams.page.get_by_text("AI generated").count() == 1


async def test_each_sentence_leads_to_its_source(teams: TeamsClient) -> None:
    await teams.open("Personal Chat")
    marks = teams.page.get_by_role("button", name="1", exact=True)

    await expect(marks.first).to_be_visible()

    assert await marks.count() >= 2
    source = teams.page.get_by_text(SOURCE, exact=True).last
    # A message that is drawn anew forgets that it is pointed at.
    for _ in range(4):
        await teams.page.mouse.move(600, 600)
        await marks.last.hover()
        with suppress(AssertionError):
            await expect(source).to_be_visible(timeout=WAIT_MS / 8)
            break
    await expect(source).to_be_visible()
    await teams.screenshot("personal")


async def test_feedback_with_a_comment_is_taken(teams: TeamsClient) -> None:
    """The Playground does not tell which message is meant, as Teams does; so nothing can be kept of it."""
    await teams.open("Personal Chat")

    await teams.page.get_by_role("button", name="Dislike").first.click()
    dialog = teams.page.get_by_role("dialog")
    await dialog.get_by_role("textbox").fill("which days?")
    await dialog.get_by_role("button", name="Submit").click()

    await expect(dialog).to_contain_text("Thank you!", timeout=WAIT_MS)
    await dialog.get_by_role("button", name="Close").click()
    await expect(teams.page.get_by_text("invoke 200").last).to_be_visible()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("why", "Sources that I considered"),
        ("help", "forget everything about you"),
        ("/sources", "You may read"),
    ],
)
async def test_commands_are_words(teams: TeamsClient, word: str, said: str) -> None:
    await teams.open("Personal Chat")

    await teams.say(word)

    await expect(teams.shown(said).first).to_be_visible(timeout=WAIT_MS)


async def test_a_mention_in_a_group_chat_is_answered_for_all_in_one_message(
    teams: TeamsClient,
) -> None:
    await teams.open("Tape-out")

    await teams.say(QUESTION, mention=True)

    await expect(teams.shown(HALF_DAYS).first).to_be_visible(timeout=WAIT_MS)
    await expect(teams.shown(SOURCE).first).to_be_visible(timeout=WAIT_MS)
    await expect(teams.page.get_by_text("AI generated")).to_have_count(1, timeout=WAIT_MS)
    await teams.screenshot("group")


async def test_a_button_of_the_card_is_answered(teams: TeamsClient) -> None:
    await teams.open("Tape-out")

    await teams.page.get_by_text("Why this answer?").first.click()

    await expect(teams.shown("Sources that I considered").first).to_be_visible(timeout=WAIT_MS)
    await teams.screenshot("why")


async def test_a_mention_in_a_channel_is_answered_in_its_thread(teams: TeamsClient) -> None:
    await teams.open("General")

    # The page loses what comes into a thread before it has drawn it; then it is asked again.
    for _ in range(4):
        await teams.post(QUESTION)
        with suppress(AssertionError):
            await expect(teams.shown(HALF_DAYS).first).to_be_visible(timeout=WAIT_MS / 2)
            break

    await expect(teams.shown(SOURCE).first).to_be_visible(timeout=WAIT_MS)
    await teams.screenshot("channel")
