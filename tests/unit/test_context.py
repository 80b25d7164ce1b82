"""What is gathered around a message: within limits, within deadlines, and only where it is needed."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot import attachments, context
from bot.context import ContextReader, TurnContext
from bot.messages import Attachment, ConversationKind, IncomingMessage
from bot.surroundings import (
    FetchedFile,
    InMemorySurroundings,
    NoSurroundings,
    Said,
    Surroundings,
    Unreadable,
)
from retrieval.beside import Beside, gist
from retrieval.types import Band, Chunk, Language, Passage
from tests.builders import a_conversation, a_document, a_message

ROOM = a_conversation("#eng", ConversationKind.PRIVATE, thread="t1")
BEGUN = datetime(2026, 11, 23, tzinfo=UTC)


def mid_thread(text: str) -> IncomingMessage:
    return replace(a_message(text, conversation=ROOM), is_mid_thread=True)


def with_file(name: str, *, media_type: str = "", size_bytes: int = 10) -> IncomingMessage:
    file = Attachment("F1", name, media_type, size_bytes)
    return replace(a_message("What is it?"), attachments=(file,))


def said(*texts: str) -> list[Said]:
    return [Said(text, BEGUN + timedelta(minutes=n)) for n, text in enumerate(texts)]


async def read(message: IncomingMessage, surroundings: Surroundings) -> TurnContext:
    return await ContextReader({"test": surroundings}).read(message)


class Recorded(NoSurroundings):
    """Says nothing, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def earlier(self, message: IncomingMessage) -> Sequence[Said]:
        self.asked.append("earlier")
        return ()

    async def fetch(
        self, message: IncomingMessage, attachment: Attachment, *, max_bytes: int
    ) -> FetchedFile:
        self.asked.append(attachment.name)
        return FetchedFile(attachment, b"Some text.")


class Silent(NoSurroundings):
    """A platform that never answers."""

    async def earlier(self, message: IncomingMessage) -> Sequence[Said]:
        await asyncio.Event().wait()
        raise AssertionError

    async def fetch(
        self, message: IncomingMessage, attachment: Attachment, *, max_bytes: int
    ) -> FetchedFile:
        await asyncio.Event().wait()
        raise AssertionError

    async def found_live(self, message: IncomingMessage, query: str) -> Sequence[Chunk]:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_message_alone_asks_the_platform_nothing() -> None:
    platform = Recorded()

    await read(a_message("And that?"), platform)
    await read(mid_thread("How many days of annual leave do I have?"), platform)

    assert platform.asked == []


async def test_a_question_that_leans_on_the_thread_asks_for_it() -> None:
    platform = Recorded()

    await read(mid_thread("And that?"), platform)

    assert platform.asked == ["earlier"]


async def test_of_a_long_thread_the_end_counts() -> None:
    many = said(*(f"message {n}" for n in range(50)))
    long = said("a" * 3_000, "b" * 3_000, "c" * 900)

    of_many = await read(mid_thread("And that?"), InMemorySurroundings(said={ROOM.key: many}))
    of_long = await read(mid_thread("And that?"), InMemorySurroundings(said={ROOM.key: long}))

    assert [one.text for one in of_many.earlier] == [f"message {n}" for n in range(30, 50)]
    assert [one.text[0] for one in of_long.earlier] == ["b", "c"]


async def test_a_single_message_of_great_length_counts_with_its_beginning() -> None:
    long = said("a" * 9_000)

    context = await read(mid_thread("And that?"), InMemorySurroundings(said={ROOM.key: long}))

    assert [len(one.text) for one in context.earlier] == [4_000]


async def test_a_platform_that_does_not_answer_is_done_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(context, "_EARLIER_TIMEOUT_S", 0.01)
    monkeypatch.setattr(context, "_LIVE_TIMEOUT_S", 0.01)
    monkeypatch.setattr(attachments, "_FETCH_TIMEOUT_S", 0.01)
    message = replace(with_file("plan.md"), is_mid_thread=True, text="And that?")

    found = await read(message, Silent())

    assert found.earlier == ()
    assert [file.problem for file in found.files] == [Unreadable.TOO_SLOW]
    assert await found.live("plan") == ()


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        (with_file("photo.png", media_type="image/png"), False),
        (with_file("sheet.xls"), False),
        (with_file("film.mp4", media_type="video/mp4"), False),
        (with_file("huge.pdf", size_bytes=11 * 2**20), False),
        (with_file("plan.md"), True),
        (with_file("sheet.xlsx"), True),
        (with_file("server.log"), True),
        (with_file("main.py", media_type="text/x-python"), True),
        (with_file("Untitled", media_type="text/plain"), True),
        (with_file("F0123"), True),
    ],
)
async def test_only_what_can_be_read_is_fetched(message: IncomingMessage, asked: bool) -> None:
    platform = Recorded()

    await read(message, platform)

    assert bool(platform.asked) is asked


async def test_files_of_a_kind_are_told_of_in_one_sentence() -> None:
    files = tuple(Attachment(f"F{n}", f"{n}.png", "image/png", 1) for n in (1, 2))
    found = await read(replace(a_message("?"), attachments=files), NoSurroundings())

    assert found.notices(Language.ENGLISH) == ["I cannot read images yet: 1.png, 2.png."]
    assert found.notices(Language.CHINESE) == ["我還看不懂圖片：1.png、2.png。"]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("problem", Unreadable)
def test_every_problem_is_told_in_both_languages(problem: Unreadable, language: Language) -> None:
    file = attachments.ReadFile("plan.pdf", problem=problem)

    (told,) = TurnContext((file,)).notices(language)

    assert "plan.pdf" in told
    assert "{" not in told


def test_a_hint_ends_where_an_id_ends() -> None:
    hinted = Beside(hints=("slack:T1/C1",))

    def bonus(document_id: str, source: str = "test") -> float:
        chunk = a_document("Text.", id=document_id, source=source).chunks[0]
        return hinted.bonus(Passage(chunk, 1.0), crosses=False)

    assert bonus("slack:T1/C1/100.1") > 0
    assert bonus("any", source="slack:T1/C1") > 0
    assert bonus("slack:T1/C12/100.1") == 0
    assert bonus("plan") == 0


def test_the_gist_of_a_text_is_what_it_says_most_about() -> None:
    chunks = a_document(
        "The furnace of line two loses heat. Its seal was replaced in May.",
        "Lunch is served at noon in the canteen on the ground floor.",
        "Line two stands still while the furnace seal is checked for lost heat.",
    ).chunks

    passages, evidence = gist(chunks)

    assert evidence.band is Band.ANSWERED
    assert "furnace" in evidence.sentences[0].text
    assert len(evidence.sentences) == 3
    assert [passage.chunk for passage in passages] == list(chunks)


def test_a_text_of_mere_labels_has_a_gist_too() -> None:
    passages, evidence = gist(a_document("Yes.", "No.").chunks)

    assert [sentence.text for sentence in evidence.sentences] == ["Yes.", "No."]
    assert len(passages) == 2


def test_no_text_has_no_gist() -> None:
    passages, evidence = gist(())

    assert passages == []
    assert evidence.sentences == ()
