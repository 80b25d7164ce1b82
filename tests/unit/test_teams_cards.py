"""The cards of dialogs and of answers to buttons: taken by Teams, in both languages, with nobody's markup in them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.chat import dialog_texts
from adapters.teams import cards, verbs
from adapters.teams.dialog_texts import SOURCES_NONE
from bot.capture.review import Submission
from bot.given_answers import SharePreview
from bot.messages import UserRef
from retrieval.types import Language
from tests.fakes.teams.cards import actions_in, check_card, readable
from tests.fakes.teams.world import Json
from tests.unit.test_slack_render import NOW, WORDS, a_citation
from tests.unit.test_teams_render import AT, CITATIONS, elements_of

EN, ZH = Language.ENGLISH, Language.CHINESE
PREVIEW = SharePreview(
    question="How do I reset [it](https://evil.io)?",
    missing=("Secret plan", "Wages"),
    shared=1,
    readers=12,
    is_checked=True,
)
SUBMISSION = Submission(
    id="s1",
    title="Resetting",
    text="Hold **reset** for `3 s`.\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    audience="everyone",
    by=UserRef("acme", "teams:t/a"),
    at=datetime(2026, 11, 23, tzinfo=UTC),
    permalink="https://teams.microsoft.com/l/message/1",
)


def submitted(card: Json) -> list[Json]:
    return [a["data"] for a in actions_in(card) if a["type"] == "Action.Submit"]


class TestSources:
    def test_all_are_shown_with_their_numbers(self) -> None:
        card = cards.sources_card([a_citation(n) for n in (2, 5)], EN, NOW)

        lines = readable(card).splitlines()
        assert [line[:12] for line in lines[1:]] == ["[2] Manual 2", "[5] Manual 5"]

    def test_none_is_said(self) -> None:
        assert readable(cards.sources_card([], ZH, NOW)) == SOURCES_NONE[ZH]


class TestSharing:
    def test_what_will_be_missing_is_named(self) -> None:
        told = readable(cards.share_card(PREVIEW, {verbs.ANSWER: "a1"}, EN))

        assert "How do I reset [it](https://evil.io)?" in told
        assert "2 of your sources" in told
        assert "12 people" in told
        assert "• Secret plan\n• Wages" in told

    def test_both_buttons_tell_what_it_is_about(self) -> None:
        card = cards.share_card(PREVIEW, {verbs.ANSWER: "a1"}, EN)

        assert submitted(card) == [
            {verbs.ANSWER: "a1", verbs.VERB: verbs.SHARE_CONFIRMED},
            {verbs.ANSWER: "a1", verbs.VERB: verbs.CANCELLED},
        ]

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"missing": ()}, dialog_texts.SHARE_NOTHING_MISSING[ZH].format(readers=12)),
            ({"is_checked": False}, dialog_texts.SHARE_UNCHECKED[ZH]),
        ],
    )
    def test_it_says_what_is_known_of_the_readers(
        self, changes: dict[str, Any], expected: str
    ) -> None:
        card = cards.share_card(replace(PREVIEW, **changes), {}, ZH)

        assert expected in readable(card)
        assert "Secret plan" not in readable(card) or "missing" not in changes


class TestDialogs:
    def test_feedback_asks_for_reasons_and_words(self) -> None:
        card = cards.feedback_card("a1", ZH)

        [reasons] = elements_of(card, "Input.ChoiceSet")
        assert reasons["isMultiSelect"]
        assert [c["title"] for c in reasons["choices"]][:2] == ["內容不正確", "內容不完整"]
        assert [i["id"] for i in elements_of(card, "Input.Text")] == [verbs.COMMENT]
        assert submitted(card) == [{verbs.ANSWER: "a1"}]

    def test_what_is_saved_can_be_changed_first(self) -> None:
        card = cards.save_card("Title", "Text", {"claim": "x"}, EN, hint="Nobody checked it.")

        title, text = elements_of(card, "Input.Text")
        assert (title["value"], text["value"]) == ("Title", "Text")
        assert title["isRequired"]
        assert text["isRequired"]
        [audience] = elements_of(card, "Input.ChoiceSet")
        assert audience["value"] == "channel"
        assert "Nobody checked it." in readable(card)
        assert submitted(card) == [{"claim": "x"}]

    def test_what_is_too_long_to_save_is_cut_and_that_is_said(self) -> None:
        card = cards.save_card("T" * 500, "字" * 5_000, {}, ZH)

        title, text = elements_of(card, "Input.Text")
        assert (len(title["value"]), len(text["value"])) == (150, 3_000)
        assert "3,000" in readable(card)

    def test_whoever_offers_something_sees_it_wait_and_may_take_it_back(self) -> None:
        card = cards.review_card(SUBMISSION, EN)

        told = readable(card)
        assert "Hold reset for 3 s." in told
        assert "All employees" in told
        assert elements_of(card, "Table")
        (button,) = [a for a in actions_in(card) if a["type"] == "Action.Submit"]
        assert button["data"] == {verbs.VERB: verbs.WITHDRAW, verbs.SUBMISSION: SUBMISSION.id}

    def test_what_is_told_keeps_its_lines(self) -> None:
        assert readable(cards.told_card("one\n\ntwo", EN)) == "one\ntwo"


@settings(deadline=None, max_examples=40)
@given(WORDS, WORDS, st.lists(WORDS, max_size=12), CITATIONS, st.sampled_from(Language))
def test_teams_takes_every_card_and_nothing_in_it_is_markup(
    title: str, text: str, several: list[str], citations: Any, language: Language
) -> None:
    preview = SharePreview(text, tuple(several), 1, 2, is_checked=True)
    submission = Submission("s", title, text * 9, title, SUBMISSION.by, SUBMISSION.at, title)
    for card in (
        cards.told_card(text, language),
        cards.sources_card(citations, language, NOW),
        cards.share_card(preview, {verbs.ANSWER: "a"}, language),
        cards.feedback_card("a", language),
        cards.save_card(title, text, {}, language, hint=title[:300]),
        cards.review_card(submission, language),
    ):
        assert not check_card(card)
        assert not elements_of(card, "Image")
        for block in elements_of(card, "TextBlock"):
            assert not AT.search(block["text"])
            assert "](" not in block["text"]
            assert block["wrap"]
        for run in elements_of(card, "TextRun"):
            assert not AT.search(run["text"])
