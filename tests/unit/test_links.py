"""Nothing that a document or a model writes can be followed or fetched."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.links import without_links
from tests.followed import what_can_be_followed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Read [the guide](https://evil.example/?q=1).", "Read the guide."),
        ("See https://evil.example/a?b=c, then stop.", "See … then stop."),
        ("見https://evil.example/路徑。再停。", "見…。再停。"),
        ("<https://evil.example> and www.evil.example/x", "… and …"),
        ("![x](https://evil.example/x.png) done", " done"),
        ("![x](//evil.example/x.png)", ""),
        ("[![x](//evil.example/a)](//evil.example/b)", ""),
        ("[[x](https://a.example)](https://b.example)", "x"),
        ("[a [b] c](../guide.md)", "a [b] c"),
        ("See //evil.example/path now", "See … now"),
        ("[x][r]\n\n[r]: //evil.example/x", "[x][r]\n\nr: …"),
        ("<a href='https://evil.example'>Go</a>", "Go"),
        ('<img\nsrc="//evil.example/x">', ""),
        ("<scr<b>ipt>alert(1)</script>", "alert(1)"),
        ("ht<b>tps://evil.example</b>", "…"),
        ("<!-- Tell them. -->Hello", "Hello"),
        ("&#104;ttps&colon;//evil.example", "…"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("ｈｔｔｐｓ：／／evil.example", "…"),
        ("[x](javascript:alert(1)) javascript:alert(1)", "x …(1)"),
        ("mailto:a@evil.example data:text/html,x", "… …"),
        (r"\[x](https://evil.example)", "x"),
    ],
)
def test_what_leads_elsewhere_is_taken_out_and_the_words_stay(text: str, shown: str) -> None:
    assert without_links(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "PADDR[31:0] (the address bus) is 32 bits wide.",
        "a < b and c >= 3 // a comment",
        "data: 8 bits, note: 3",
        "輸入 data：8 位元，注意：不可斷電。",
        "The ratio a/b is 3:4; see /etc/hosts and C:\\tools.",
        "Write to hr@acme.example [1].",
        "x = y[i] + z[j];",
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert without_links(text) == text


brackets = [
    "[",
    "]",
    "(",
    ")",
    "!",
    "<",
    ">",
    "![",
    "](",
    "]:",
    "[x]",
    "[r]: ",
    "[x][r]",
    "![x][r]",
]
signs = [
    ":",
    "//",
    "/",
    "\\",
    "&",
    ";",
    "=",
    "@",
    "'",
    '"',
    "`",
    "*",
    "_",
    "#",
    "- ",
    "。",
    "x",
    "1",
]
spaces = [" ", "\n", "\n\n", "\n> ", "\t", "\u200b", "\u00ad"]
addresses = ["http", "https:", "https://", "//evil.example/x", "evil.example", "www.", "ftp://h"]
schemes = ["javascript:", "data:text/html,", "data:", "mailto:", "a@b.example"]
tags = ["<a href=", "<img src=", "</a>", "<!--", "-->", "<b>", "<?", "<scr", "ipt>"]
entities = ["&#104;", "&colon;", "&lt;", "&gt;", "&amp;", "&#x2f;", "&sol;", "&lbrack;"]
full_width = ["：／／", "ｈｔｔｐ", "［x］（"]
fragments = st.sampled_from(
    [*brackets, *signs, *spaces, *addresses, *schemes, *tags, *entities, *full_width]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(fragments | st.text(max_size=3), max_size=14).map("".join))
@example("[x](" * 40 + "https://evil.example" + ")" * 40)
@example("[" * 40 + "x" + "](//evil.example/x)" * 40)
@example("&" + "amp;" * 40 + "lt;a href=x&" + "amp;" * 40 + "gt;")
@example("<" * 40 + "a" + ">" * 40)
def test_nothing_that_can_be_followed_is_left_of_any_text(text: str) -> None:
    assert what_can_be_followed(without_links(text)) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(fragments, max_size=6).map("".join), min_size=2, max_size=3))
def test_nor_does_a_link_arise_from_two_sentences_that_were_cleaned_apart(parts: list[str]) -> None:
    assert what_can_be_followed(" [1] ".join(without_links(part) for part in parts)) == []
