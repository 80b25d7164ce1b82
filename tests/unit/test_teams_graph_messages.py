"""What a message of Teams holds beside its text, as it is delivered and as Graph tells it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.teams.files import DOWNLOAD_INFO, attachments_of, posted, posted_ids
from adapters.teams.graph_messages import letters_of, message_of, message_path, text_of
from adapters.teams.ids import TeamsPerson
from adapters.teams.places import Place
from adapters.teams.posted_files import quoted_address, share_id
from bot.messages import Attachment

A_FILE, ANOTHER = "153fa47d-18c9-4179-be08-9879815a9f90", "253FA47D-18C9-4179-BE08-9879815A9F90"


def an_activity(*attachments: Any, kind: str = "channel") -> dict[str, Any]:
    return {
        "id": "17",
        "conversation": {"conversationType": kind},
        "attachments": list(attachments),
    }


def html(content: str) -> dict[str, Any]:
    return {"contentType": "text/html", "content": content}


def download(name: str, **content: Any) -> dict[str, Any]:
    told = {"downloadUrl": "https://x.sharepoint.com/a", **content}
    return {"contentType": DOWNLOAD_INFO, "name": name, "content": told}


class TestAttachmentsOf:
    def test_keeps_the_address_of_an_upload_apart(self) -> None:
        found, files = attachments_of(an_activity(download("plan.docx"), kind="personal"))

        assert found == (Attachment("upload:0", "plan.docx", "", 0),)
        assert files == (("upload:0", "https://x.sharepoint.com/a"),)
        assert "sharepoint" not in str(found)

    def test_takes_the_ending_from_the_type_where_the_name_has_none(self) -> None:
        found, _ = attachments_of(
            an_activity(download("plan", fileType="pdf"), download("", fileType="md"))
        )

        assert [file.name for file in found] == ["plan.pdf", "1.md"]

    def test_names_a_channels_file_by_message_and_id(self) -> None:
        tags = f'<p>x</p><attachment id="{A_FILE}"></attachment><attachment id="{ANOTHER}"/>'
        found, files = attachments_of(an_activity(html(tags + tags)))

        assert [posted_ids(file) for file in found] == [("17", A_FILE), ("17", ANOTHER.lower())]
        assert len({file.name for file in found}) == 2
        assert files == ()

    @pytest.mark.parametrize(
        "content",
        [
            '<attachment id="1616990032035"></attachment>',
            '<attachment id="../../me"></attachment>',
            "<attachment></attachment>",
            f'&lt;attachment id="{A_FILE}"&gt;',
            f'<!-- <attachment id="{A_FILE}"> -->',
            "<" * 10_000,
        ],
    )
    def test_leaves_out_what_is_no_file(self, content: str) -> None:
        assert attachments_of(an_activity(html(content))) == ((), ())

    def test_asks_graph_for_nothing_in_a_personal_chat(self) -> None:
        tags = html(f'<attachment id="{A_FILE}"></attachment>')

        assert attachments_of(an_activity(tags, kind="personal")) == ((), ())

    def test_tells_of_images(self) -> None:
        image = {"contentType": "image/png", "contentUrl": "https://smba.trafficmanager.net/a"}

        found, files = attachments_of(an_activity(image))

        assert found[0].media_type == "image/png"
        assert files == ((found[0].id, image["contentUrl"]),)

    @pytest.mark.parametrize(
        "attachments",
        [
            None,
            7,
            [7, None, {}],
            [{"contentType": DOWNLOAD_INFO, "content": 7}],
            [download("", downloadUrl=7)],
        ],
    )
    def test_survives_whatever_is_told(self, attachments: Any) -> None:
        assert attachments_of({"attachments": attachments, "conversation": 7}) == ((), ())
        assert attachments_of({}) == ((), ())


def a_message(**more: Any) -> dict[str, Any]:
    user = {"id": "A1", "userIdentityType": "aadUser", "tenantId": "T1"}
    told = {
        "id": "17",
        "messageType": "message",
        "createdDateTime": "2026-11-23T08:00:00.017Z",
        "from": {"user": user, "application": None},
        "body": {"contentType": "html", "content": "<p>Hello</p>"},
    }
    return told | more


class TestMessageOf:
    def test_tells_who_wrote_what_when(self) -> None:
        message = message_of(a_message(), tenant_id="t0")

        assert message is not None
        assert message.author == TeamsPerson("t1", "a1")
        assert message.at == datetime(2026, 11, 23, 8, 0, 0, 17_000, tzinfo=UTC)
        assert message.text == "Hello"

    def test_takes_an_author_of_no_tenant_for_one_of_the_conversations(self) -> None:
        told = a_message(**{"from": {"user": {"id": "A1", "userIdentityType": "aadUser"}}})

        message = message_of(told, tenant_id="t0")

        assert message is not None
        assert message.author == TeamsPerson("t0", "a1")

    @pytest.mark.parametrize("kind", ["anonymousGuest", "federatedUser", "emailUser", "whatever"])
    def test_knows_no_author_without_an_account(self, kind: str) -> None:
        told = a_message(**{"from": {"user": {"id": "A1", "userIdentityType": kind}}})

        message = message_of(told, tenant_id="t0")

        assert message is not None
        assert message.author is None

    @pytest.mark.parametrize(
        "more",
        [
            {"deletedDateTime": "2026-11-23T08:00:00Z"},
            {"messageType": "systemEventMessage"},
            {"from": {"application": {"id": "x"}, "user": None}},
            {"from": {"application": {"id": "x"}, "user": {"id": "A1"}}},
            {"from": None},
            {"id": None},
            {"createdDateTime": "yesterday"},
        ],
    )
    def test_is_none_for_what_no_person_wrote_or_what_is_gone(self, more: dict[str, Any]) -> None:
        assert message_of(a_message(**more), tenant_id="t0") is None

    def test_knows_the_files_that_came_with_it(self) -> None:
        reference = {
            "id": A_FILE,
            "contentType": "reference",
            "contentUrl": "https://x/a",
            "name": "a",
        }
        card = {
            "id": "1",
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": "{}",
        }

        message = message_of(a_message(attachments=[reference, card, None]), tenant_id="t0")

        assert message is not None
        assert [(file.id, file.url) for file in message.files] == [(A_FILE, "https://x/a")]


class TestTheText:
    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("<p>a_b *c* &lt;d&gt;&nbsp;e</p>", "a_b *c* <d> e"),
            ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
            ('<p>Fine <emoji id="like" alt="👍" title="Like"></emoji></p>', "Fine 👍"),
            ("<codeblock class='Python'><code>x_1 = 1</code></codeblock>", "```\nx_1 = 1\n```"),
            ('<p style="display:none">hidden</p><p>shown\u200b</p>', "shown"),
            ("<script>alert(1)</script>x", "x"),
            ('<p><at id="1">Ann</at>, look</p>', "@Ann, look"),
            ('<p><at id="0">Shifu</at> look</p>', "look"),
            ("<div>" * 900, ""),
        ],
    )
    def test_is_what_people_see(self, content: str, text: str) -> None:
        mentions = [
            {"id": 0, "mentioned": {"application": {"id": "bot"}}},
            {"id": 1, "mentioned": {"user": {"id": "A1"}}},
            None,
        ]

        assert text_of({"contentType": "html", "content": content}, mentions) == text

    def test_of_plain_text_is_that_text(self) -> None:
        assert text_of({"contentType": "text", "content": " a <b> "}) == "a <b>"

    def test_is_the_same_whatever_its_markup(self) -> None:
        one = {"contentType": "html", "content": "<div>A&nbsp;<b>b</b>c &amp; 特休！</div>"}
        other = {"contentType": "text", "content": "a bc 特休"}

        assert letters_of(one) == letters_of(other) == "abc特休"


class TestPaths:
    CHANNEL = Place("u", "t", "19:a/b@thread.tacv2", "channel", "28:x", team_group="g")

    def test_lead_to_a_thread_and_to_a_reply(self) -> None:
        root = "teams/g/channels/19%3Aa%2Fb%40thread.tacv2/messages/1"

        assert message_path(self.CHANNEL, "1", "1") == root
        assert message_path(self.CHANNEL, "", "1") == root
        assert message_path(self.CHANNEL, "1", "2") == f"{root}/replies/2"
        assert message_path(self.CHANNEL, "1", "../x") == f"{root}/replies/..%2Fx"

    def test_lead_to_a_chat(self) -> None:
        chat = Place("u", "t", "19:c@thread.v2", "groupChat", "28:x")

        assert message_path(chat, "", "2") == "chats/19%3Ac%40thread.v2/messages/2"

    @pytest.mark.parametrize(
        "place",
        [
            Place("u", "t", "a:1", "personal", "28:x"),
            Place("u", "t", "19:a@thread.tacv2", "channel", "28:x"),
        ],
    )
    def test_lead_nowhere_else(self, place: Place) -> None:
        assert message_path(place, "1", "2") is None

    def test_of_a_shared_address_are_graphs(self) -> None:
        address = "https://x.sharepoint.com/Shared Documents/特休.docx"

        assert share_id("https://onedrive.live.com/redir?resid=1231244193912!12").startswith(
            "u!aHR0cHM6Ly9vbmVkcml2ZS5saXZlLmNvbS9yZWRpcj9yZXNpZD0xMjMxMjQ0MTkzOTEyITEy"
        )
        assert quoted_address(address).isascii()
        assert posted_ids(posted("1", "2", "n")) == ("1", "2")
