"""What becomes of a thread of a Teams channel, as Graph tells it."""

from typing import Any

import pytest

from adapters.teams.channel_threads import IndexedChannel, thread_document
from retrieval.ingest.connectors import LoadedDocument
from retrieval.types import Language
from tests.builders import TENANT

ENTRA = "10000000-0000-4000-8000-000000000000"
CHANNEL = IndexedChannel.of(f"{ENTRA}/19:room@thread.tacv2", ENTRA)
BOT = {"mentioned": {"application": {"id": "app"}}, "id": 0}


def a_message(text: str, minute: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"17000000000{minute:02d}",
        "messageType": "message",
        "createdDateTime": f"2026-05-01T08:{minute:02d}:00Z",
        "from": {"user": {"id": "amy", "displayName": "Amy *Lin*", "tenantId": ENTRA}},
        "body": {"contentType": "html", "content": text},
        **fields,
    }


def document_of(root: dict[str, Any], *replies: dict[str, Any]) -> LoadedDocument | None:
    return thread_document(CHANNEL, root, replies, tenant=TENANT)


def loaded(root: dict[str, Any], *replies: dict[str, Any]) -> LoadedDocument:
    found = document_of(root, *replies)
    assert found is not None
    return found


def test_each_message_stands_below_its_author_and_time_oldest_first() -> None:
    found = loaded(a_message("<p>One.</p>"), a_message("Three.", 3), a_message("<p>Two.</p>", 2))

    assert found.markdown == (
        "**Amy Lin** (2026-05-01 08:00 UTC):\n\nOne.\n\n"
        "**Amy Lin** (2026-05-01 08:02 UTC):\n\nTwo.\n\n"
        "**Amy Lin** (2026-05-01 08:03 UTC):\n\nThree."
    )


def test_the_order_in_which_replies_are_told_makes_no_other_document() -> None:
    one, two = a_message("One.", 1), a_message("Two.", 2)

    assert loaded(a_message("Root."), one, two) == loaded(a_message("Root."), two, one, one)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("<h2>The <b>valve</b></h2><p>It sticks.</p>", "The valve"),
        ("<ul><li>Turn it left</li></ul>", "Turn it left"),
        ('<p>See <a href="https://example.com/a">the plan</a></p>', "See the plan"),
        ("<p>" + "long " * 40 + "</p>", ("long " * 40)[:79] + "…"),
        ("<p>!</p><p>壓力閥卡住了</p>", "壓力閥卡住了"),
    ],
)
def test_the_title_is_the_first_line_that_says_something(text: str, title: str) -> None:
    assert loaded(a_message(text)).document.title == title


def test_the_language_is_that_of_what_people_wrote() -> None:
    found = loaded(a_message("<p>員工滿三年有十四天特休假。特休假可以預借。</p>"))

    assert found.document.language is Language.CHINESE


def test_whoever_is_not_named_has_a_time_all_the_same() -> None:
    sender = {"user": {"id": "amy", "displayName": None, "tenantId": ENTRA}}

    assert loaded(a_message("One.") | {"from": sender}).markdown.startswith("(2026-05-01 08:00")


def test_an_edit_counts_as_the_time_of_change() -> None:
    reply = a_message("Two.", 2, lastEditedDateTime="2026-05-03T08:00:00Z")

    changed_at = loaded(a_message("One."), reply).document.modified_at

    assert changed_at is not None
    assert changed_at.day == 3


@pytest.mark.parametrize(
    "root",
    [
        a_message("", messageType="unknownFutureValue"),
        a_message("One.", messageType="systemEventMessage"),
        a_message("One.", deletedDateTime="2026-05-03T08:00:00Z"),
        a_message("One.") | {"from": {"application": {"id": "app"}, "user": None}},
        a_message("One.") | {"from": None},
        a_message("<p> </p>"),
        a_message('<at id="0">Shifu</at> how many bar?', mentions=[BOT]),
        {},
    ],
)
def test_what_nobody_said_or_asked_of_a_bot_alone_is_no_document(root: dict[str, Any]) -> None:
    assert document_of(root) is None


def test_a_question_to_a_bot_that_people_answer_is_one() -> None:
    root = a_message('<at id="0">Shifu</at> how many bar?', mentions=[BOT])

    found = loaded(root, a_message("42, says the sheet.", 2))

    assert "how many bar?" in found.markdown
    assert "42, says the sheet." in found.markdown
