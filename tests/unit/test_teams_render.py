"""What stands in Teams: messages that Teams takes, and words that reach nobody and lead nowhere."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.chat import texts
from adapters.chat.inert import BREAK
from adapters.teams import verbs
from adapters.teams.ai_label import MAX_CITATIONS
from adapters.teams.answer_cards import Surface
from adapters.teams.elements import MAX_CARD_BYTES
from adapters.teams.markdown import blocks, inert, message_markdown
from adapters.teams.render import MAX_CHARACTERS, Rendered, personal_card, rendered
from bot.messages import Reply, ReplyKind
from retrieval.access import Level
from retrieval.types import Band, Language
from tests.builders import an_acl
from tests.fakes.teams.cards import actions_in, check_card, readable
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.shapes import check_activity, split
from tests.fakes.teams.world import Conversation, Json
from tests.unit.test_slack_render import HOSTILE, NOW, WORDS, _followed, a_citation, an_answer

EN, ZH = Language.ENGLISH, Language.CHINESE
USER = "29:1ann"
AT = re.compile(r"<\s*/?\s*at\b", re.I)

TABLE = "| Mode | Volts |\n|---|--:|\n| idle | 0.9 [1] |\n| `run` | **1.1** [2] |"
LONG = "\n\n".join(f"Step {n}: turn the valve by a quarter and wait [1]." for n in range(1, 90))


def shown(reply: Reply, surface: Surface = Surface.SHARED, **more: Any) -> Rendered:
    return rendered(reply, surface, now=NOW, **more)


def card_of(made: Rendered) -> Json:
    assert made.card is not None
    return made.card


def taken_by_teams(activity: Json, kind: str = "groupChat") -> None:
    check_activity(Teams(app_id="app", app_password=""), Conversation("19:x", kind, "t"), activity)
    assert len(split(activity)) == 1


def elements_of(value: Any, kind: str) -> list[Json]:
    if isinstance(value, list):
        return [found for inner in value for found in elements_of(inner, kind)]
    if not isinstance(value, dict):
        return []
    own = [value] if value.get("type") == kind else []
    return own + [found for inner in value.values() for found in elements_of(inner, kind)]


class TestText:
    @pytest.mark.parametrize(
        "text",
        [
            "Press **reset** [1].",
            "1. Open `top.sdc`\n\n2. Run **make**",
            "```cpp\n#include <vector>\n\na[i](x);\n```",
            "重新啟動 IC-7（按住 3 秒）。詳見「手冊.pdf」[1]。",
        ],
    )
    def test_what_teams_shows_well_stays_as_it_is(self, text: str) -> None:
        assert shown(an_answer(text)).text == text

    def test_headings_become_bold_lines_of_their_own(self) -> None:
        made = shown(an_answer("## The **first** part\nText [1].\n\n# Second #\n\nMore."))

        assert made.text == "**The first part**\n\nText [1].\n\n**Second**\n\nMore."

    def test_single_lines_stay_lines(self) -> None:
        assert shown(an_answer("one\ntwo\n\nthree")).text == "one  \ntwo\n\nthree"

    @pytest.mark.parametrize("text", ["<at>Ben</at>", "`<at>Ben</at>`", "```\n< /AT>\n```"])
    def test_nobody_is_mentioned_not_even_in_code(self, text: str) -> None:
        assert not AT.search(shown(an_answer(text)).text)

    @settings(deadline=None)
    @given(
        st.text() | st.lists(st.sampled_from([*HOSTILE, " ", "\n", "\n\n", "x", "`"])).map("".join)
    )
    @example("".join(HOSTILE))
    def test_nothing_in_it_is_live(self, text: str) -> None:
        made = message_markdown(blocks(text))

        assert not AT.search(made)
        assert not _followed(made)

    @settings(deadline=None)
    @given(
        st.lists(st.sampled_from(["# a\n", "b", "\n", "\n\n", "| c |\n", "|-|\n", "```\n", "> d"]))
    )
    def test_blocks_are_the_whole_text(self, parts: list[str]) -> None:
        text = "".join(parts)

        assert "".join(block.raw for block in blocks(text)) == text

    @settings(deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                ["Word. ", "Line.\n", "\n\n", "- item [1]\n", "**bold** x. ", "長句。"]
            ),
            max_size=60,
        ),
        st.data(),
    )
    def test_what_is_streamed_only_grows(self, parts: list[str], data: st.DataObject) -> None:
        """In what has no markup that opens in one sentence and closes in another."""
        cut = data.draw(st.integers(0, len(parts)))
        half = shown(an_answer("".join(parts[:cut]), kind=ReplyKind.PARTIAL), Surface.PERSONAL)
        whole = shown(an_answer("".join(parts)), Surface.PERSONAL)

        assert whole.text.startswith(half.text.rstrip())

    @pytest.mark.parametrize("end", ["\n\n| Mode |", "\n\n## Ste", "\n\n```\ncode"])
    def test_what_may_still_turn_out_to_be_something_else_is_held(self, end: str) -> None:
        assert shown(an_answer("Text." + end, kind=ReplyKind.PARTIAL)).text == "Text."


class TestCard:
    def test_it_shows_where_the_answer_comes_from_and_how_old_that_is(self) -> None:
        lines = readable(card_of(shown(an_answer()))).splitlines()

        assert lines[:3] == [
            "Press reset [1].",
            "Sources",
            "[1] Manual 1 · Part › Reset · amy · updated 3 months ago",
        ]
        [opened] = elements_of(card_of(shown(an_answer())), "Action.OpenUrl")
        assert opened["url"] == "https://docs.example/1"

    def test_a_table_becomes_a_table_and_what_follows_it_follows_it(self) -> None:
        made = shown(an_answer(f"See:\n\n{TABLE}\n\nThen **rest** [1].", citations=(a_citation(),)))

        card = card_of(made)
        [table] = elements_of(card, "Table")
        assert made.text == "See:"
        assert readable(card).startswith("See:")
        assert readable(table).splitlines() == ["Mode | Volts", "idle | 0.9 [1]", "run | 1.1 [2]"]
        assert table["firstRowAsHeaders"]
        assert "Then rest [1]." in readable(card)
        assert card["msteams"] == {"width": "Full"}

    @pytest.mark.parametrize("surface", Surface)
    def test_a_table_is_a_card_everywhere_and_in_the_reply_to_a_command_too(
        self, surface: Surface
    ) -> None:
        for kind in (ReplyKind.ANSWER, ReplyKind.NOTICE):
            made = shown(an_answer(TABLE, kind=kind), surface)

            assert "text" not in made.activity
            assert elements_of(made.card, "Table")

    def test_where_several_read_an_answer_is_a_card_if_it_finds_room_there(self) -> None:
        half, whole = (shown(an_answer(text)) for text in (LONG[:2_500], LONG))

        assert "text" not in half.activity
        assert "Step 40" in readable(card_of(half))
        assert "attachments" not in whole.activity
        assert "Step 89" in whole.activity["text"]

    def test_a_notification_shows_how_it_begins(self) -> None:
        activity = shown(an_answer(f"Press **reset** [1].\n\n{LONG[:2_000]}")).activity

        assert activity["summary"].startswith("Press reset [1]. Step 1:")
        assert len(activity["summary"]) <= 200

    def test_what_stands_apart_from_its_question_begins_with_it(self) -> None:
        made = shown(
            an_answer(), Surface.PRIVATE, asked="How do I <at>Ben</at> reset it?", apart_from="Lab"
        )

        apart, asked, answer, *_ = readable(card_of(made)).replace(BREAK, "").splitlines()
        assert "asked in Lab" in apart
        assert asked == "Question: How do I <at>Ben</at> reset it?"
        assert answer == "Press reset [1]."

    def test_what_a_command_replies_is_text(self) -> None:
        reply = an_answer("Looked at **both** [1].", kind=ReplyKind.NOTICE, feedback_id=None)

        assert shown(reply, Surface.WHISPER).activity["text"] == "Looked at **both** [1]."

    def test_code_in_the_card_keeps_its_indentation(self) -> None:
        made = shown(an_answer(f"{TABLE}\n\n```py\nif a:\n    b(*c, **d)\n```"))

        runs = [r for r in elements_of(card_of(made), "TextRun") if r.get("fontType")]
        assert [r["text"].replace("\u00a0", " ") for r in runs] == [
            "run",
            "if a:",
            "    b(*c, **d)",
        ]

    def test_lists_quotes_and_emphasis_are_shown_without_markup(self) -> None:
        made = shown(
            an_answer(f"{TABLE}\n\n- **one** and _two_\n  - `three`\n\n> four\n\n---\n\n5 * 3 * 2")
        )

        lines = readable(card_of(made)).replace("\u00a0", " ").splitlines()
        assert lines[3:7] == ["• one and two", "  • three", "four", "5 * 3 * 2"]

    def test_chinese_answers_come_in_chinese_and_say_so(self) -> None:
        reply = an_answer("按住 **reset** [1]。", language=ZH, notice="無法確認權限。")

        card = card_of(shown(reply, Surface.WHISPER))

        assert card["lang"] == "zh-TW"
        for expected in ("來源", "3 個月前更新", "無法確認權限。", "為什麼這樣回答", "分享到這裡"):
            assert expected in readable(card)
        assert all(block["wrap"] for block in elements_of(card, "TextBlock"))

    def test_it_says_what_it_holds_where_cards_are_not_shown(self) -> None:
        card = card_of(shown(an_answer()))

        assert card["fallbackText"] == "Press **reset** [1]. [1] Manual 1"
        assert card["version"] == "1.5"

    def test_a_superseded_source_says_so_and_not_by_what(self) -> None:
        made = shown(an_answer(citations=(a_citation(superseded_by="secret-v2"),)))

        assert "a newer version exists" in readable(card_of(made))
        assert "secret" not in json.dumps(made.activity)

    def test_of_many_sources_three_are_shown_and_a_button_leads_to_all(self) -> None:
        many = tuple(a_citation(n) for n in range(1, 8))

        card = card_of(shown(an_answer(citations=many)))

        assert "Manual 3" in readable(card)
        assert "Manual 4" not in readable(card)
        [button] = [a for a in actions_in(card) if a.get("title") == "All 7 sources"]
        assert button["data"]["verb"] == verbs.SOURCES
        assert button["data"]["msteams"] == {"type": "task/fetch"}

    @pytest.mark.parametrize(
        "link",
        ["javascript:alert(1)", "file:///etc", "https://a.io/|", "https://a.io/<", "x", ""],
    )
    def test_a_source_is_only_a_link_if_a_browser_may_open_it(self, link: str) -> None:
        made = shown(an_answer(citations=(a_citation(link=link),)))

        assert not elements_of(made.activity, "Action.OpenUrl")
        assert "url" not in made.activity["entities"][0]["citation"][0]["appearance"]
        assert "Manual 1" in readable(card_of(made))

    def test_each_surface_has_its_own_buttons(self) -> None:
        def asked(surface: Surface, **more: Any) -> list[str]:
            buttons = card_of(shown(an_answer(TABLE), surface, **more))["actions"]
            return [b.get("verb") or b["data"]["verb"] for b in buttons]

        assert asked(Surface.SHARED) == asked(Surface.PERSONAL) == [verbs.WHY]
        assert asked(Surface.WHISPER) == [verbs.WHY, verbs.SHARE]
        assert asked(Surface.PRIVATE) == [verbs.WHY, verbs.COPY]
        assert asked(Surface.PRIVATE, apart_from="Room") == [verbs.WHY]

    def test_what_nobody_may_rate_and_rests_on_nothing_has_no_card(self) -> None:
        made = shown(Reply(ReplyKind.NOTICE, "Please wait.", EN))

        assert made.activity == {
            "type": "message",
            "textFormat": "markdown",
            "text": "Please wait.",
        }

    def test_half_an_answer_is_text_alone(self) -> None:
        half = shown(an_answer(kind=ReplyKind.PARTIAL))

        assert half.activity.keys() == {"type", "textFormat", "text"}

    def test_a_fuller_answer_as_a_card_is_all_of_it_and_says_whose_it_is(self) -> None:
        card = personal_card(an_answer(f"Press **reset** [1].\n\n{TABLE}"), now=NOW)

        lines = readable(card).splitlines()
        assert lines[0] == texts.FOR_YOU_ALONE[EN]
        assert lines[1] == "Press reset [1]."
        assert texts.WRITTEN_BY_AI[EN] in lines
        assert elements_of(card, "Table")


class TestPersonal:
    def test_an_answer_is_text_whose_sources_teams_shows(self) -> None:
        activity = shown(an_answer(), Surface.PERSONAL).activity

        assert activity["text"] == "Press **reset** [1]."
        assert "attachments" not in activity
        assert [c["position"] for c in activity["entities"][0]["citation"]] == [1]
        assert activity["channelData"] == {"feedbackLoop": {"type": "custom"}}

    def test_what_is_to_be_known_of_it_follows_in_italics(self) -> None:
        reply = an_answer(
            "按住 **reset** [1]。", language=ZH, band=Band.UNSURE, notice="無法確認權限。"
        )

        text = shown(reply, Surface.PERSONAL).activity["text"]

        assert text == f"按住 **reset** [1]。\n\n_無法確認權限。_  \n_{texts.UNSURE[ZH]}_"

    def test_sources_that_no_sentence_names_are_shown_too(self) -> None:
        reply = an_answer(
            "> Press it. [1]", citations=(a_citation(1), a_citation(2)), is_extract=True
        )

        activity = shown(reply, Surface.PERSONAL).activity

        assert "\n\n**Sources** Manual 2 [2]" in activity["text"]
        assert [c["position"] for c in activity["entities"][0]["citation"]] == [1, 2]

    @pytest.mark.parametrize(("language", "word"), [(EN, "why"), (ZH, "為什麼")])
    def test_why_can_be_asked_behind_at_most_two_questions(
        self, language: Language, word: str
    ) -> None:
        questions = tuple(f"And {n}?" for n in range(8))
        reply = an_answer(language=language, suggestions=questions)

        suggested = shown(reply, Surface.PERSONAL, to=USER).activity["suggestedActions"]

        values = [action["value"] for action in suggested["actions"]]
        assert values == [*questions[:2], word]
        assert suggested["to"] == [USER]
        assert suggested["actions"][-1]["title"] == texts.WHY[language]

    def test_beside_a_card_nothing_is_suggested(self) -> None:
        made = shown(an_answer(TABLE, suggestions=("More?",)), Surface.PERSONAL, to=USER)

        assert "suggestedActions" not in made.activity

    def test_a_long_answer_stays_text(self) -> None:
        assert shown(an_answer(LONG), Surface.PERSONAL).activity["text"].endswith("wait [1].")

    def test_before_a_table_is_what_a_stream_shows(self) -> None:
        half = shown(an_answer(f"See:\n\n{TABLE}", kind=ReplyKind.PARTIAL), Surface.PERSONAL)

        assert half.text == "See:"
        assert shown(an_answer(f"See:\n\n{TABLE}"), Surface.PERSONAL).text == "See:"


class TestLabel:
    @pytest.mark.parametrize("surface", Surface)
    def test_what_is_tried_after_a_refusal_keeps_the_label_and_then_nothing(
        self, surface: Surface
    ) -> None:
        _, labelled, bare = shown(an_answer(), surface).versions

        assert labelled["entities"][0]["citation"][0]["position"] == 1
        assert labelled["channelData"] == {"feedbackLoop": {"type": "custom"}}
        assert bare == {k: v for k, v in labelled.items() if k not in ("entities", "channelData")}
        assert "Manual 1" in bare["text"]

    def test_what_a_card_has_no_room_for_is_not_cited(self) -> None:
        rows = "".join("| 一格很長的內容 | x |\n" * 150)
        reply = an_answer(
            f"| a | b |\n|---|---|\n{rows}\n\nSo [2].", citations=(a_citation(1), a_citation(2))
        )

        made = shown(reply)

        assert "So [2]." not in readable(card_of(made))
        assert "citation" not in made.activity["entities"][0]

    def test_what_a_model_wrote_is_marked_and_what_documents_say_is_not(self) -> None:
        written = shown(an_answer()).activity["entities"][0]
        extract = shown(an_answer(is_extract=True))

        assert written["additionalType"] == ["AIGeneratedContent"]
        assert "additionalType" not in extract.activity["entities"][0]
        assert texts.EXTRACT[EN] in readable(card_of(extract))

    def test_citations_stand_at_the_numbers_of_the_text(self) -> None:
        many = tuple(a_citation(n) for n in range(1, 6))

        [label] = shown(an_answer("One [2]. Two [5][1].", citations=many)).activity["entities"]

        assert [c["position"] for c in label["citation"]] == [1, 2, 5]
        assert label["citation"][1]["appearance"] == {
            "@type": "DigitalDocument",
            "name": "Manual 2",
            "abstract": "text",
            "keywords": ["amy", "updated 3 months ago"],
            "url": "https://docs.example/2",
        }

    def test_at_most_as_many_as_teams_takes(self) -> None:
        many = tuple(a_citation(n) for n in range(1, 30))
        text = " ".join(f"[{n}]" for n in range(1, 30))

        [label] = shown(an_answer(text, citations=many)).activity["entities"]

        assert [c["position"] for c in label["citation"]] == list(range(1, MAX_CITATIONS + 1))

    @pytest.mark.parametrize(
        ("level", "name"),
        [
            (Level.PUBLIC, None),
            (Level.INTERNAL, "內部"),
            (Level.CONFIDENTIAL, "機密"),
            (Level.SECRET, "極機密"),
        ],
    )
    def test_the_most_sensitive_source_says_how_far_it_may_travel(
        self, level: Level, name: str | None
    ) -> None:
        cited = (
            a_citation(1, acl=an_acl(level=Level.PUBLIC)),
            a_citation(2, acl=an_acl(level=level)),
        )

        [label] = shown(an_answer(citations=cited, language=ZH)).activity["entities"]

        assert label.get("usageInfo", {}).get("name") == name

    @pytest.mark.parametrize(("name", "icon"), [("a.PDF", "PDF"), ("b.docx", "Microsoft Word")])
    def test_a_file_has_the_picture_of_its_kind(self, name: str, icon: str) -> None:
        cited = (a_citation(link=f"https://docs.example/{name}?v=1"),)

        [label] = shown(an_answer(citations=cited)).activity["entities"]

        assert label["citation"][0]["appearance"]["image"]["name"] == icon


CITATIONS = st.lists(
    st.builds(
        lambda title, link, owner, level: {
            "title": title,
            "link": link,
            "owner": owner,
            "superseded_by": "x",
            "acl": an_acl(level=level),
            "modified_at": NOW - timedelta(days=400),
        },
        WORDS,
        WORDS | st.just("https://docs.example/" + "p" * 900 + ".pdf"),
        st.none() | WORDS,
        st.sampled_from(Level),
    ),
    max_size=24,
).map(lambda several: tuple(a_citation(n, **values) for n, values in enumerate(several, start=1)))
TEXTS = WORDS | st.lists(
    st.sampled_from(
        ["# 標題\n", "\n\n", TABLE + "\n", "```\na\n```\n", "- b [3]\n", "很長的句子" * 99]
    )
    | st.sampled_from(HOSTILE)
    | st.just("| a | b |\n|---|---|\n" + "| 一格很長的內容 | x |\n" * 150)
    | st.just("[1] [2] [20]"),
    max_size=30,
).map("".join)
REPLIES = st.builds(
    Reply,
    kind=st.sampled_from(ReplyKind),
    text=TEXTS,
    language=st.sampled_from(Language),
    citations=CITATIONS,
    band=st.none() | st.sampled_from(Band),
    is_extract=st.booleans(),
    notice=st.none() | WORDS,
    suggestions=st.lists(WORDS, max_size=8).map(tuple),
    feedback_id=st.none() | st.just("f" * 32),
)


@settings(deadline=None, max_examples=60)
@given(REPLIES, st.sampled_from(Surface), WORDS | st.just(""), st.none() | WORDS)
def test_teams_takes_every_reply_and_it_reaches_nobody(
    reply: Reply, surface: Surface, asked: str, apart_from: str | None
) -> None:
    made = shown(reply, surface, asked=asked, to=USER, apart_from=apart_from)

    for activity in made.versions:
        if reply.kind is not ReplyKind.PARTIAL:
            taken_by_teams(activity, "personal" if surface is Surface.PERSONAL else "groupChat")
        assert not AT.search(json.dumps(activity))
        assert not _followed(activity.get("text", ""))
        assert not _followed(activity.get("summary", ""))
        assert not [e for e in activity.get("entities", ()) if e["type"] == "mention"]
    if made.card is not None:
        inert_card(made.card)


@settings(deadline=None, max_examples=40)
@given(REPLIES)
def test_every_fuller_answer_is_a_card_that_teams_takes(reply: Reply) -> None:
    card = personal_card(reply, now=NOW)

    assert not check_card(card)
    inert_card(card)


def inert_card(card: Json) -> None:
    text = json.dumps(card, ensure_ascii=False)
    assert max(len(text.encode()), len(text) * 2) < 28_000
    assert MAX_CARD_BYTES < 28_000
    assert not AT.search(text)
    assert not elements_of(card, "Image")
    # What is read as Markdown is ours alone.
    for block in elements_of(card, "TextBlock"):
        assert block["text"] in OUR_WORDS
        assert block["wrap"]
    for action in elements_of(card, "Action.OpenUrl"):
        assert action["url"].startswith(("https://", "http://"))


OUR_WORDS = {text[language] for text in (texts.SOURCES, texts.FURTHER) for language in Language}


def test_a_reply_at_the_limit_is_whole_and_a_longer_one_is_cut() -> None:
    at_limit, longer = (
        shown(an_answer("x " * (n // 2))) for n in (MAX_CHARACTERS, MAX_CHARACTERS * 2)
    )

    assert at_limit.text == "x " * (MAX_CHARACTERS // 2)
    assert longer.text.endswith("…")


def test_words_of_others_read_as_they_were_written() -> None:
    text = "a_b *c* [d](e) `f` <g> & 很"

    assert inert(text).replace(BREAK, "") == text
