"""What stands in Slack: blocks that Slack takes, and words that reach nobody and lead nowhere."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from adapters.chat import texts
from adapters.chat.inert import BREAK, inert_markdown, inert_mrkdwn
from adapters.slack.render import MAX_CHARACTERS, Rendered, Surface, rendered
from bot.messages import Reply, ReplyKind
from retrieval.types import Band, Chunk, Citation, Document, Language
from tests.builders import an_acl
from tests.fakes.slack.blocks import check_message_blocks

NOW = datetime(2026, 11, 23, tzinfo=UTC)
EN, ZH = Language.ENGLISH, Language.CHINESE

# What Slack resolves wherever it reads markup: mentions, channels, special mentions, links.
LIVE = re.compile(
    r"<(?:@|#\w|!(?:here|channel|everyone|group|subteam|date)|[a-z][a-z0-9+.-]*:[^:\s])", re.I
)
ADDRESS = re.compile(
    r"\w://|(?<![\w/])//[\w.-]+[./:]|\bwww\.\w|\b(?:javascript|mailto|tel):\S|[\w.+-]@[\w-]+\.\w",
    re.I,
)
HOSTILE = [
    "<@U1>", "<!channel>", "<!here|here>", "<!subteam^S1>", "<#C1>", "<!date^0^{date}^https://evil.io|x>",
    "<https://evil.io|label>", "<mailto:a@evil.io>", "[label](https://evil.io)", "[a][b]\n\n[b]: //evil.io",
    "![x](https://evil.io/p.png)", "https://evil.io/?d=1", "https:\\/\\/evil.io", "www.evil.io", "a@evil.io",
    "&lt;@U1&gt;", "&#60;@U1>", "\\<@U1>", "`<@U1>`", "`[x`](https://evil.io)`", "```\n<!channel>\n```",
    "- ```\n  x\n  ```\n[x](//evil.io/)", "1. a\n\n  ```\n  code\n[x](mailto:a@b.io)", "`a\n[x](//evil.io/)`",
    "| `a | [x](//evil.io/)` |\n|--|--|", "~~~\n[x](//evil.io/)\n~~~", "<b onclick=x>b</b>", "\ud800", "\x00\x1b",
    "``` a`b\n[x](//evil.io/)\n```", "\\`[x](//evil.io/)`", "@channel @everyone", "[1](//evil.io/)", "<\u2060!here>",
    " ```\n```\nmailto:a@b.io", "- x\n  ```\n  a\n```\ncode\n```\n[x](//evil.io/)",
]  # fmt: skip


def a_citation(number: int = 1, **more: Any) -> Citation:
    document = Document(
        **{
            "id": f"doc-{number}",
            "source": "test",
            "title": f"Manual {number}",
            "acl": an_acl(),
            "content_hash": "h",
            "link": f"https://docs.example/{number}",
            "owner": "amy",
            "modified_at": NOW - timedelta(days=95),
            **more,
        }
    )
    return Citation(number, Chunk(f"{document.id}#0", document, 0, "text", ("Part", "Reset")))


def an_answer(text: str = "Press **reset** [1].", **more: Any) -> Reply:
    return Reply(
        **{
            "kind": ReplyKind.ANSWER,
            "text": text,
            "language": EN,
            "citations": (a_citation(),),
            "band": Band.ANSWERED,
            "feedback_id": "f1",
            **more,
        }
    )


def shown(reply: Reply, surface: Surface = Surface.CHANNEL, **more: Any) -> Rendered:
    return rendered(reply, surface, now=NOW, **more)


def words_of(value: Any) -> list[str]:
    """Every text that a person reads in blocks, or in what a notification says."""
    if isinstance(value, dict):
        return [word for v in value.values() for word in words_of(v)]
    if isinstance(value, list | tuple):
        return [word for v in value for word in words_of(v)]
    return [value] if isinstance(value, str) else []


def markup_in(blocks: Any) -> list[str]:
    """The texts of *blocks* that Slack reads as markup."""
    if isinstance(blocks, list):
        return [text for block in blocks for text in markup_in(block)]
    if not isinstance(blocks, dict):
        return []
    own = [blocks["text"]] if blocks.get("type") in ("markdown", "mrkdwn") else []
    return own + [text for v in blocks.values() for text in markup_in(v)]


class TestWords:
    @settings(deadline=None)
    @given(
        st.text() | st.lists(st.sampled_from([*HOSTILE, " ", "\n", "\n\n", "x", "`"])).map("".join)
    )
    @example("".join(HOSTILE))
    def test_nothing_in_a_markdown_block_is_live(self, text: str) -> None:
        made = inert_markdown(text)

        assert not LIVE.findall(made)
        assert not _followed(made)

    @settings(deadline=None)
    @given(st.text() | st.lists(st.sampled_from([*HOSTILE, " ", "x"])).map("".join))
    def test_nothing_in_slacks_own_markup_is_live(self, text: str) -> None:
        made = inert_mrkdwn(text)

        assert not re.search("[<>]", made)
        assert not ADDRESS.findall(html.unescape(made))

    @settings(deadline=None)
    @given(
        st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=BREAK))
    )
    def test_words_read_as_they_were_written(self, text: str) -> None:
        assert inert_markdown(text).replace(BREAK, "") == text
        assert (
            html.unescape(inert_mrkdwn(text).replace(BREAK, "")) == html.unescape(text)
            or "&" in text
        )

    @pytest.mark.parametrize(
        "text",
        [
            "## Steps\n\n1. Open `sdc/top.sdc`\n2. Run **make lint**\n\n> quoted",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "```cpp\n#include <vector>\n// set\nauto f = a[i](x); cout << b;\nx.size();\n```",
            "Run `git@host:a`, `std::vector<int>` and `a.b.c(d)` in run.sh or top.sv, e.g. 3.5 V, at 10:30.",
            "重新啟動 IC-7（按住 3 秒）。詳見「手冊.pdf」[1]。",
        ],
    )
    def test_formatting_code_and_file_names_stay_as_they_are(self, text: str) -> None:
        assert inert_markdown(text) == text


class TestAnswer:
    def test_it_shows_where_the_answer_comes_from_and_how_old_that_is(self) -> None:
        blocks = shown(an_answer()).blocks

        assert blocks[0] == {"type": "markdown", "text": "Press **reset** [1]."}
        assert blocks[1]["elements"][0]["text"].splitlines() == [
            "Sources",
            "[1] <https://docs.example/1|Manual 1> · Part › Reset · amy · updated 3 months ago",
        ]

    def test_chinese_answers_come_in_chinese(self) -> None:
        reply = an_answer("按住 **reset** [1]。", language=ZH, notice="無法確認權限。")

        words = "\n".join(words_of(shown(reply).blocks))

        for expected in (
            "來源",
            "3 個月前更新",
            "無法確認權限。",
            "由 AI",
            "有幫助",
            "為什麼這樣回答",
        ):
            assert expected in words

    def test_a_superseded_source_says_so_and_not_by_what(self) -> None:
        reply = an_answer(citations=(a_citation(superseded_by="secret-v2"),))

        words = "\n".join(words_of(shown(reply).blocks))

        assert "a newer version exists" in words
        assert "secret" not in words

    def test_of_many_sources_three_are_shown_and_a_button_leads_to_all(self) -> None:
        many = tuple(a_citation(n) for n in range(1, 8))

        words = words_of(shown(an_answer(citations=many)).blocks)

        assert "All 7 sources" in words
        assert "Manual 3" in "".join(words)
        assert "Manual 4" not in "".join(words)

    @pytest.mark.parametrize(
        "link",
        ["javascript:alert(1)", "file:///etc", "https://a.io/|", "https://a.io/<", "x", ""],
    )
    def test_a_source_is_only_a_link_if_a_browser_may_open_it(self, link: str) -> None:
        text = shown(an_answer(citations=(a_citation(link=link),))).blocks[1]["elements"][0]["text"]

        assert "<" not in text
        assert "Manual 1" in text

    def test_each_surface_has_its_own_buttons(self) -> None:
        def actions(surface: Surface, **more: Any) -> set[str]:
            blocks = shown(an_answer(), surface, **more).blocks
            return {word for word in words_of(blocks) if word.startswith("shifu_")}

        both = {"shifu_feedback", "shifu_why"}
        assert actions(Surface.CHANNEL) == actions(Surface.DIRECT) == both
        assert actions(Surface.WHISPER) == both
        assert actions(Surface.WHISPER, is_shareable=True) == both | {"shifu_share"}
        assert actions(Surface.PRIVATE) == both | {"shifu_copy"}

    def test_an_extract_is_not_called_written_by_ai(self) -> None:
        extract = words_of(shown(an_answer(is_extract=True)).blocks)
        written = words_of(shown(an_answer()).blocks)

        assert texts.EXTRACT[EN] in extract
        assert texts.WRITTEN_BY_AI[EN] not in extract
        assert texts.WRITTEN_BY_AI[EN] in written

    def test_half_an_answer_has_neither_sources_nor_buttons(self) -> None:
        half = an_answer(kind=ReplyKind.PARTIAL)

        assert shown(half).blocks == [{"type": "markdown", "text": "Press **reset** [1]."}]

    def test_what_nobody_may_rate_has_no_buttons(self) -> None:
        notice = Reply(ReplyKind.NOTICE, "Please wait.", EN)

        assert [block["type"] for block in shown(notice).blocks] == ["markdown"]

    def test_a_shared_answer_stands_below_its_question(self) -> None:
        blocks = shown(an_answer(), asked="How do I <!channel> reset?").blocks

        assert blocks[0]["elements"][0] == {
            "type": "plain_text",
            "text": "Question: How do I <!channel> reset?",
            "emoji": False,
        }

    @pytest.mark.parametrize(
        ("days", "english", "chinese"),
        [
            (0, "updated today", "今天更新"),
            (1, "updated yesterday", "昨天更新"),
            (29, "updated 29 days ago", "29 天前更新"),
            (30, "updated a month ago", "1 個月前更新"),
            (364, "updated 12 months ago", "12 個月前更新"),
            (365, "updated a year ago", "1 年前更新"),
            (800, "updated 2 years ago", "2 年前更新"),
            (-5, "updated today", "今天更新"),
        ],
    )
    def test_ages_are_told_in_the_largest_unit(self, days: int, english: str, chinese: str) -> None:
        at = NOW - timedelta(days=days)

        assert (texts.age(at, NOW, EN), texts.age(at, NOW, ZH)) == (english, chinese)


WORDS = (
    st.text(max_size=400)
    | st.sampled_from(HOSTILE)
    | st.builds(
        lambda piece, n: piece * n,
        st.sampled_from([*HOSTILE, "很長", "word ", "&<>", "a.b/"]),
        st.integers(1, 700),
    )
)
CITATIONS = st.lists(
    st.builds(
        lambda title, link, owner: {
            "title": title,
            "link": link,
            "owner": owner,
            "superseded_by": "x",
        },
        WORDS,
        WORDS | st.just("https://docs.example/" + "p" * 900),
        st.none() | WORDS,
    ),
    max_size=6,
).map(lambda several: tuple(a_citation(n, **values) for n, values in enumerate(several, start=1)))
REPLIES = st.builds(
    Reply,
    kind=st.sampled_from(ReplyKind),
    text=WORDS,
    language=st.sampled_from(Language),
    citations=CITATIONS,
    band=st.none() | st.sampled_from(Band),
    is_extract=st.booleans(),
    notice=st.none() | WORDS,
    suggestions=st.lists(WORDS, max_size=5).map(tuple),
    feedback_id=st.none() | st.just("f" * 32),
)


@settings(deadline=None)
@given(REPLIES, st.sampled_from(Surface), WORDS | st.just(""), st.booleans())
def test_slack_takes_every_reply_and_it_reaches_nobody(
    reply: Reply, surface: Surface, asked: str, is_shareable: bool
) -> None:
    made = shown(reply, surface, asked=asked, is_shareable=is_shareable)

    assert check_message_blocks(made.blocks) == made.blocks
    assert 0 < len(made.text) < 4_000
    assert 0 < len(made.plain) <= 12_000
    # The links of sources are the only markup; everything else is escaped.
    for text in [made.text, made.plain, *markup_in(made.blocks)]:
        for found in LIVE.findall(text):
            assert found.lower().startswith("<http"), found
    assert not LIVE.findall(made.text + made.plain)
    assert not _followed(made.markdown)


def test_a_reply_at_the_limit_is_whole_and_a_longer_one_is_cut() -> None:
    at_limit, longer = (
        shown(an_answer("x " * (n // 2))) for n in (MAX_CHARACTERS, MAX_CHARACTERS * 2)
    )

    assert at_limit.markdown == "x " * (MAX_CHARACTERS // 2)
    assert longer.markdown.endswith("…")


def _followed(markdown: str) -> list[str]:
    """What a Markdown parser, or a program that looks for addresses, would make a link of."""
    environment: dict[str, Any] = {}
    tokens = MarkdownIt("commonmark").parse(markdown, environment)
    inline = [child for token in tokens for child in token.children or []]
    found = [
        token.type
        for token in [*tokens, *inline]
        if token.type in {"link_open", "image", "html_inline", "html_block"}
    ]
    code = {"code_inline", "code_block", "fence"}
    prose = " ".join(t.content for t in inline if t.type not in code and t.type == "text")
    return found + list(environment.get("references", {})) + ADDRESS.findall(prose)
