"""What people typed in Slack, as they see it."""

import pytest

from adapters.slack.markup import plain_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<@UBOT> How long is leave?", "How long is leave?"),
        ("<@UBOT|shifu>: how long is leave?", "how long is leave?"),
        ("<@UBOT>，特休有幾天？", "特休有幾天？"),
        ("Hey <@UBOT> how long is leave?", "Hey how long is leave?"),
        ("Ask <@U2> or <@U3|sam>", "Ask @U2 or @sam"),
        ("In <#C1|general> or <#C2>", "In #general or #C2"),
        ("<!subteam^S1|@eng> and <!subteam^S2> and <!here>", "@eng and @S2 and @here"),
        ("See <https://a.example/x|the wiki>", "See the wiki"),
        ("See <https://a.example/x?a=1&amp;b=2>", "See https://a.example/x?a=1&b=2"),
        ("<mailto:ann@a.example|ann@a.example>", "ann@a.example"),
        ("if a &lt; b &amp;&amp; c &gt; d", "if a < b && c > d"),
        ("&amp;lt;", "&lt;"),
        ("&lt;@UBOT&gt; stays", "<@UBOT> stays"),
        ("<@UBOT>", ""),
        ("line one\n  line two", "line one\n  line two"),
        ("a <<< b", "a <<< b"),
    ],
)
def test_markup_is_shown_as_people_see_it(text: str, shown: str) -> None:
    assert plain_text(text, "UBOT") == shown


def test_without_a_bot_every_mention_stays() -> None:
    assert plain_text("<@U1> and <@U2>", "") == "@U1 and @U2"
