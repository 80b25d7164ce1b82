"""Slack's payloads as values: who speaks, from which organisation, and what is no message of a person's."""

from typing import Any

import pytest

from adapters.chat.threads import Participation, is_small_talk, is_stop
from adapters.slack.incoming import hints, message_in, sender_of_action, sender_of_event


def an_event(**changes: Any) -> dict[str, Any]:
    outer = {key: changes.pop(key) for key in list(changes) if key in _OUTER}
    event = {
        "type": "app_mention",
        "user": "U1",
        "text": "<@UBOT> hello",
        "ts": "1700000000.000100",
        "channel": "C1",
        **changes,
    }
    return {"team_id": "T1", "event_id": "Ev1", "event": event, **outer}


_OUTER = ("authorizations", "is_ext_shared_channel", "team_id", "enterprise_id")


def test_a_message_is_who_said_what_where() -> None:
    said = message_in(an_event(thread_ts="1690000000.000100"))

    assert said is not None
    assert (said.sender.home, said.sender.user, str(said.channel)) == ("T1", "U1", "T1/C1")
    assert said.root == "1690000000.000100"
    assert not said.is_direct
    assert said.sent_at.year == 2023


def test_the_root_of_a_thread_is_no_reply_in_it() -> None:
    said = message_in(an_event(thread_ts="1700000000.000100"))

    assert said is not None
    assert said.thread_ts == ""
    assert said.root == said.ts


@pytest.mark.parametrize(
    ("changes", "is_direct"),
    [
        ({"type": "message", "channel_type": "im", "channel": "D1"}, True),
        ({"type": "message", "channel": "D1"}, True),
        ({"type": "message", "channel_type": "mpim", "channel": "G1"}, False),
        ({"channel": "C1"}, False),
    ],
)
def test_only_what_is_said_to_the_bot_alone_is_direct(
    changes: dict[str, Any], is_direct: bool
) -> None:
    said = message_in(an_event(**changes))

    assert said is not None
    assert said.is_direct is is_direct


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B1"},
        {"subtype": "bot_message"},
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "channel_join"},
        {"user": None},
        {"user": "USLACKBOT"},
        {"ts": ""},
        {"channel": None},
    ],
)
def test_what_no_person_said_is_no_message(changes: dict[str, Any]) -> None:
    assert message_in(an_event(**changes)) is None


def test_a_message_with_a_file_is_one() -> None:
    file = {"id": "F1", "name": "特休.pdf", "mimetype": "application/pdf", "size": 12}

    said = message_in(an_event(subtype="file_share", files=[file, {"mode": "tombstone"}]))

    assert said is not None
    assert [(f.id, f.name, f.size_bytes) for f in said.files] == [("F1", "特休.pdf", 12)]


@pytest.mark.parametrize(
    ("changes", "home"),
    [
        ({}, "T1"),
        ({"user_team": "T1", "is_ext_shared_channel": True}, "T1"),
        ({"user_team": "T9", "is_ext_shared_channel": True}, "T9"),
        ({"user_team": "E9", "is_ext_shared_channel": True}, "E9"),
        ({"is_ext_shared_channel": True}, "unknown"),
        ({"source_team": "T9"}, "T9"),
    ],
)
def test_the_persons_own_team_decides_whose_person_it_is(changes: Any, home: str) -> None:
    sender = sender_of_event(an_event(**changes))

    assert sender is not None
    assert sender.home == "T1"
    assert sender.person.home == home


def test_on_grid_the_organisation_is_the_home() -> None:
    grid = [{"enterprise_id": "E1", "team_id": "T1", "is_enterprise_install": False}]

    sender = sender_of_event(an_event(authorizations=grid, user_team="E1"))

    assert sender is not None
    assert (sender.home, sender.team, sender.person.home) == ("E1", "T1", "E1")


def test_an_organisation_wide_installation_names_the_workspace_of_the_event() -> None:
    grid = [{"enterprise_id": "E1", "team_id": None, "is_enterprise_install": True}]

    sender = sender_of_event(an_event(authorizations=grid, team_id="T2"))

    assert sender is not None
    assert (sender.home, sender.team) == ("E1", "T2")


def test_commands_and_buttons_name_their_person_differently() -> None:
    command = sender_of_action({"user_id": "U1", "team_id": "T1", "enterprise_id": ""})
    button = sender_of_action({"user": {"id": "U1", "team_id": "T1"}, "team": {"id": "T1"}})
    foreign = sender_of_action({"user": {"id": "U1", "team_id": "T9"}, "team": {"id": "T1"}})
    org_wide = sender_of_action(
        {"user": {"id": "U1", "team_id": "T5"}, "team": None, "enterprise": {"id": "E1"}}
    )

    assert command is not None
    assert button is not None
    assert (command.home, command.person) == (button.home, button.person)
    assert foreign is not None
    assert foreign.person.home == "T9"
    assert org_wide is not None
    assert (org_wide.home, org_wide.person.home) == ("E1", "E1")


def test_nonsense_is_nobody() -> None:
    assert sender_of_action({}) is None
    assert sender_of_event({"event": "x"}) is None
    assert message_in({}) is None


def test_hints_are_channels_that_somebody_has_open() -> None:
    context = {
        "entities": [
            {"type": "slack#/types/channel_id", "value": "C7"},
            {"type": "slack#/types/message_context", "value": {"channel_id": "C8"}},
            {"type": "slack#/types/canvas_id", "value": "F1"},
            "junk",
        ]
    }

    assert hints(context, "T1") == ("slack:T1/C7", "slack:T1/C8")
    assert hints({}, "T1") == ()


@pytest.mark.parametrize(
    "text",
    ["stop", "Thanks, stop!", "thank you, that's all", "謝謝，不用了", "停", "謝謝，先這樣囉"],
)
def test_the_bot_is_told_to_stop(text: str) -> None:
    assert is_stop(text)


@pytest.mark.parametrize(
    "text", ["", "how do I stop the pump?", "停機流程是什麼？", "stop the line", "謝謝"]
)
def test_a_question_about_stopping_is_a_question(text: str) -> None:
    assert not is_stop(text)


@pytest.mark.parametrize("text", ["ok", "Thanks!", "謝謝你", "收到～", "👍", "好的"])
def test_small_talk_wants_no_answer(text: str) -> None:
    assert is_small_talk(text)


@pytest.mark.parametrize("text", ["and the deadline?", "那試用期呢？", "好的，那補休呢？"])
def test_a_follow_up_is_no_small_talk(text: str) -> None:
    assert not is_small_talk(text)


def test_a_thread_goes_on_with_those_who_asked() -> None:
    asked = Participation().addressed("U1", "e1")

    assert asked.takes_up("U1", "and the deadline?", mentions_somebody=False)
    assert not asked.takes_up("U2", "and the deadline?", mentions_somebody=False)
    assert not asked.takes_up("U1", "what do you think?", mentions_somebody=True)
    assert not asked.takes_up("U1", "thanks", mentions_somebody=False)
