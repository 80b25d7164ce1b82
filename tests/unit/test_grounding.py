"""A model's answer as people see it grow: only what is supported, nothing taken back, extracts when it fails."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.analysis import query_tokens
from retrieval.errors import ModelUnavailable
from retrieval.evidence import Evidence, judge
from retrieval.grounding import GroundedWriter
from retrieval.models import LanguageModel, ModelMessage, ScriptedModel
from retrieval.openai_client import open_client
from retrieval.openai_models import OpenAIModel
from retrieval.ranking import QuestionTerms
from retrieval.types import Answer, Band, Citation, Language, Passage, Usage
from tests.builders import a_document
from tests.fakes.model_server import Fault, ModelServer

LEAVE = "Parental leave is at most 24 months. Apply 10 days before the leave begins."
PAY = "During parental leave sixty percent of the salary is paid."
TRAVEL = "A taxi is reimbursed with a receipt."
QUESTION = "How long is parental leave?"
REPLY = "Parental leave is at most 24 months. [1] Sixty percent of the salary is paid. [2]"


def passages(*texts: str) -> list[Passage]:
    return [Passage(a_document(text, title="Policy").chunks[0], 1.0) for text in texts]


def evidence_for(question: str, found: Sequence[Passage]) -> Evidence:
    return judge(QuestionTerms(question, tuple(query_tokens(question)), ()), found)


class Watcher:
    """What people saw while the answer was written."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.citations: list[tuple[Citation, ...]] = []
        self.saw_something = asyncio.Event()

    async def __call__(self, text: str, citations: tuple[Citation, ...]) -> None:
        self.seen.append(text)
        self.citations.append(citations)
        self.saw_something.set()

    def assert_nothing_was_taken_back(self, answer: Answer) -> None:
        for earlier, later in pairwise([*self.seen, answer.text]):
            assert later.startswith(earlier)
        for cited in self.citations:
            assert answer.citations[: len(cited)] == cited


async def written(
    model: LanguageModel | None,
    *,
    texts: Sequence[str] = (LEAVE, PAY, TRAVEL),
    language: Language = Language.ENGLISH,
    timeout_s: float = 5,
    watcher: Watcher | None = None,
    question: str = QUESTION,
) -> Answer:
    found = passages(*texts)
    evidence = evidence_for(question, found)
    writer = GroundedWriter(model, None, timeout_s=timeout_s)
    return await writer.write(question, found, evidence, language=language, on_progress=watcher)


class HangingModel:
    """Says something, then nothing more; *closed* once its reader has left."""

    name = "hanging"

    def __init__(self, beginning: str = "") -> None:
        self._beginning = beginning
        self.closed = False

    async def stream(
        self, messages: Sequence[ModelMessage], *, max_tokens: int
    ) -> AsyncIterator[str | Usage]:
        try:
            yield self._beginning
            await asyncio.Event().wait()
        finally:
            self.closed = True


class TestAScriptedModel:
    async def test_supported_sentences_are_shown_with_their_citations(self) -> None:
        answer = await written(ScriptedModel(REPLY))

        assert answer.text == (
            "Parental leave is at most 24 months. [1] Sixty percent of the salary is paid. [2]"
        )
        assert [(c.number, c.chunk.text) for c in answer.citations] == [(1, LEAVE), (2, PAY)]
        assert answer.band is Band.ANSWERED
        assert not answer.is_extract
        assert answer.notice is None
        assert answer.usage is not None

    async def test_citations_are_numbered_in_the_order_of_the_answer(self) -> None:
        answer = await written(
            ScriptedModel("Sixty percent of the salary is paid. [2] Apply 10 days before. [1]")
        )

        assert answer.text.endswith("is paid. [1] Apply 10 days before. [2]")
        assert [c.chunk.text for c in answer.citations] == [PAY, LEAVE]

    async def test_paragraphs_and_lists_keep_their_shape(self) -> None:
        answer = await written(
            ScriptedModel(
                "Yes, parental leave exists:\n\n1. At most 24 months. [1]\n2. Apply 10 days before. [1]\n"
            )
        )

        assert answer.text == (
            "Yes, parental leave exists: [1]\n\n1. At most 24 months. [1]\n"
            "2. Apply 10 days before. [1]"
        )

    async def test_an_unsupported_sentence_is_left_out_and_counted(self) -> None:
        answer = await written(
            ScriptedModel(
                "Parental leave is at most 24 months. [1] Fathers get a gold watch. [1] "
                "Apply 99 days before. [1]"
            )
        )

        assert answer.text == "Parental leave is at most 24 months. [1]"
        assert answer.removed_sentences == 2

    async def test_when_nothing_is_supported_the_documents_speak_and_it_is_said_why(self) -> None:
        watcher = Watcher()

        answer = await written(ScriptedModel("Fathers get a gold watch. [1]"), watcher=watcher)

        assert answer.is_extract
        assert "Parental leave is at most 24 months." in answer.text
        assert "gold watch" not in answer.text
        assert answer.notice is not None
        assert "not supported" in answer.notice
        assert answer.removed_sentences == 1
        assert watcher.seen == []

    @pytest.mark.parametrize("reply", ["NOT_IN_PASSAGES", "**NOT_IN_PASSAGES**.\n"])
    async def test_a_model_that_declines_leads_to_the_closest_passages(self, reply: str) -> None:
        answer = await written(ScriptedModel(reply))

        assert answer.band is Band.UNSURE
        assert "NOT_IN_PASSAGES" not in answer.text
        assert len(answer.citations) == 3

    async def test_a_model_that_declines_after_an_answer_has_answered(self) -> None:
        answer = await written(
            ScriptedModel("Parental leave is at most 24 months. [1]\nNOT_IN_PASSAGES")
        )

        assert answer.text == "Parental leave is at most 24 months. [1]"

    async def test_an_empty_reply_gives_way_to_the_documents(self) -> None:
        answer = await written(ScriptedModel(""))

        assert answer.is_extract
        assert answer.notice is not None

    async def test_without_evidence_no_model_is_asked(self) -> None:
        model = ScriptedModel()

        answer = await written(model, question="Which oscilloscope measures jitter?")

        assert answer.band is Band.NOTHING
        assert model.asked == []

    async def test_without_a_model_the_documents_speak_without_an_apology(self) -> None:
        answer = await written(None)

        assert answer.is_extract
        assert answer.notice is None

    async def test_a_chinese_answer_may_rest_on_an_english_passage(self) -> None:
        answer = await written(
            ScriptedModel("育嬰假最長 24 個月。[1]須於 10 天前申請。[1]"),
            language=Language.CHINESE,
        )

        assert answer.text == "育嬰假最長 24 個月。 [1] 須於 10 天前申請。 [1]"

    async def test_each_sentence_is_shown_as_soon_as_it_is_checked(self) -> None:
        watcher = Watcher()

        answer = await written(ScriptedModel(REPLY), watcher=watcher)

        assert len(watcher.seen) == 2
        assert watcher.seen[0] == "Parental leave is at most 24 months. [1]"
        assert len(watcher.citations[0]) == 1
        watcher.assert_nothing_was_taken_back(answer)

    async def test_a_silent_model_is_given_up_and_closed(self) -> None:
        model = HangingModel()

        answer = await written(model, timeout_s=0.05)

        assert answer.is_extract
        assert answer.notice is not None
        assert "did not answer" in answer.notice
        assert model.closed

    async def test_a_model_that_falls_silent_keeps_what_was_shown(self) -> None:
        model, watcher = HangingModel("Parental leave is at most 24 months. [1] And so"), Watcher()

        answer = await written(model, timeout_s=0.3, watcher=watcher)

        assert answer.text == "Parental leave is at most 24 months. [1]"
        assert answer.notice is not None
        assert "broke off" in answer.notice
        watcher.assert_nothing_was_taken_back(answer)
        assert model.closed

    async def test_a_reader_who_leaves_stops_the_model(self) -> None:
        model = HangingModel("Parental leave is at most 24 months. [1] And so")
        watcher = Watcher()
        writing = asyncio.create_task(written(model, watcher=watcher))
        await watcher.saw_something.wait()

        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        assert writing.cancelled()
        assert model.closed

    async def test_an_embedder_that_fails_in_between_ends_the_answer_and_not_the_turn(self) -> None:
        class FailingEmbedder:
            name = "failing"

            async def embed(self, texts: Sequence[str]) -> None:
                raise ModelUnavailable("down")

        found = passages(LEAVE)
        evidence = evidence_for(QUESTION, found)
        reply = "Parental leave is at most 24 months. [1] Babies enjoy company. [1] More."

        answer = await GroundedWriter(
            ScriptedModel(reply),
            FailingEmbedder(),  # type: ignore[arg-type]
        ).write(QUESTION, found, evidence, language=Language.ENGLISH)

        assert answer.text == "Parental leave is at most 24 months. [1]"
        assert answer.notice is not None


pieces = st.sampled_from(
    [
        "Parental leave is at most 24 months. ",
        "Apply 10 days before. ",
        "Apply 99 days before. ",
        "Fathers get a watch. ",
        "育嬰假最長 24 個月。",
        "- ",
        "1. ",
        "\n",
        "\n\n",
        " ",
        " [1]",
        "[2]",
        " [9]",
        "[x](//evil.example/x)",
        "NOT_IN_PASSAGES",
        "**",
        "---",
        "<b>",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces, max_size=12).map("".join))
def test_whatever_a_model_writes_nothing_shown_is_ever_taken_back(reply: str) -> None:
    watcher = Watcher()

    answer = asyncio.run(written(ScriptedModel(reply), watcher=watcher))

    watcher.assert_nothing_was_taken_back(answer)
    assert answer.text.strip()
    assert "99" not in answer.text
    assert "watch" not in answer.text
    assert "evil" not in answer.text
    assert [c.number for c in answer.citations] == list(range(1, len(answer.citations) + 1))


class TestARealClient:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault.SERVER_ERROR,
            Fault.RATE_LIMIT,
            Fault.NO_CREDIT,
            Fault.HANG,
            Fault.WEB_PAGE,
        ],
    )
    async def test_a_server_that_gives_nothing_is_replaced_by_the_documents(
        self, fault: Fault
    ) -> None:
        async with ModelServer(REPLY) as server:
            server.fail(*[fault] * 5)

            answer = await self.asked(server, timeout_s=0.5)

        assert answer.is_extract
        assert answer.band is Band.ANSWERED
        assert answer.notice is not None
        assert "did not answer" in answer.notice
        assert "sk-secret" not in repr(answer)

    @pytest.mark.parametrize(
        "fault",
        [
            Fault.CUT_STREAM,
            Fault.ENDED_STREAM,
            Fault.BAD_JSON,
            Fault.ERROR_IN_STREAM,
            Fault.HANG_IN_STREAM,
        ],
    )
    async def test_a_reply_that_breaks_off_keeps_its_finished_sentences_and_says_so(
        self, fault: Fault
    ) -> None:
        watcher = Watcher()
        async with ModelServer(REPLY + " " + REPLY) as server:
            server.fail(fault)

            answer = await self.asked(server, timeout_s=0.5, watcher=watcher)

        assert answer.text.startswith("Parental leave is at most 24 months. [1]")
        assert not answer.is_extract
        assert answer.notice is not None
        assert "broke off" in answer.notice
        watcher.assert_nothing_was_taken_back(answer)

    async def test_a_slow_server_is_waited_for(self) -> None:
        async with ModelServer(REPLY) as server:
            server.fail(Fault.SLOW)

            answer = await self.asked(server, timeout_s=5)

        assert not answer.is_extract
        assert answer.notice is None

    async def test_a_server_that_overloads_once_is_asked_again(self) -> None:
        async with ModelServer(REPLY) as server:
            server.fail(Fault.RATE_LIMIT)

            answer = await self.asked(server, timeout_s=5)

        assert len(server.requests) == 2
        assert answer.notice is None

    async def asked(
        self, server: ModelServer, *, timeout_s: float, watcher: Watcher | None = None
    ) -> Answer:
        client = open_client(server.base_url, "sk-secret", timeout_s=timeout_s)
        model = OpenAIModel(client, model="test-model")
        async with client:
            return await written(model, timeout_s=timeout_s * 2, watcher=watcher)
