"""Dialogs, ratings and message extensions: what people fill in, and what the app answers."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fakes.teams.cards import actions_in, check_card
from tests.fakes.teams.clock import stamp
from tests.fakes.teams.delivery import Delivery
from tests.fakes.teams.graph_messages import message_json
from tests.fakes.teams.messages import CARD, Message
from tests.fakes.teams.pressing import Pressing, holds
from tests.fakes.teams.world import Json, User

_DIALOG_TITLE_CHARS = 64


@dataclass(slots=True)
class Dialog:
    """What the app showed on top; `told` where it was no more than a line."""

    user: User
    message: Message
    delivery: Delivery
    title: str = ""
    card: Json | None = None
    told: str = ""
    reaction: str = ""
    """Of the rating that opened it."""
    command: str = ""
    """Of the message extension that opened it."""
    source: Json | None = None

    @property
    def is_open(self) -> bool:
        return self.card is not None


class Dialogs(Pressing):
    async def fetch_dialog(
        self, user: str | User, message: Message, which: Mapping[str, Any] | None = None
    ) -> Dialog:
        """Press an `Action.Submit` that opens a dialog; *which*: the one whose data hold these."""
        person = self._user(user)
        seen = message.personal.get(person.id) or message.cards
        found = [
            action["data"]
            for action in actions_in(seen)
            if action.get("type") == "Action.Submit"
            and ((action.get("data") or {}).get("msteams") or {}).get("type") == "task/fetch"
            and holds(action["data"], which or {})
        ]
        assert found, f"nothing opens a dialog with {which} in {seen}"
        value = {"data": found[0] | {"type": "task/fetch"}, "context": {"theme": "default"}}
        delivery = await self.invoke("task/fetch", person, message, value)
        return self._dialog(person, message, delivery)

    async def submit_dialog(
        self,
        dialog: Dialog,
        data: Mapping[str, Any] | None = None,
        *,
        which: Mapping[str, Any] | None = None,
    ) -> Dialog:
        """
        Press a button of *dialog*: of a message's, of a rating's or of a message extension's.

        Args:
            data: What the inputs hold.
            which: Of several buttons, the one whose data hold these.
        """
        assert dialog.card is not None, "the dialog is not open"
        found = [
            action
            for action in actions_in(dialog.card)
            if action.get("type") == "Action.Submit"
            and holds(action.get("data") or {}, which or {})
        ]
        assert found, f"nothing to submit with {which} in {dialog.card}"
        whole = (found[0].get("data") or {}) | dict(data or {})
        if dialog.reaction:
            delivery = await self._rated(dialog.user, dialog.message, dialog.reaction, whole)
        elif dialog.command:
            value = self._claim(dialog.command, dialog.source or {}) | {"data": whole}
            delivery = await self._extension("submitAction", dialog.user, dialog.message, value)
        else:
            value = {"data": whole, "context": {"theme": "default"}}
            delivery = await self.invoke("task/submit", dialog.user, dialog.message, value)
        after = self._dialog(dialog.user, dialog.message, delivery)
        after.command, after.source = dialog.command, dialog.source
        return after

    async def feedback(
        self,
        user: str | User,
        message: Message,
        reaction: str = "like",
        text: str = "",
        data: Mapping[str, Any] | None = None,
        *,
        is_wrapped: bool = True,
    ) -> Dialog | None:
        """
        Press a thumb, and send what the form asks for.

        Args:
            text: For Teams' own form.
            data: For the app's form; None: it stays open, and is returned.
            is_wrapped: Both shapes of the app's form being asked for are about.
        """
        person = self._user(user)
        loop = message.channel_data.get("feedbackLoop") or {}
        is_default = loop.get("type") == "default" or message.channel_data.get(
            "feedbackLoopEnabled"
        )
        assert loop or is_default, "the message cannot be rated"
        if is_default:
            await self._rated(person, message, reaction, {"feedbackText": text})
            return None
        asked: Json = {"actionName": "feedback", "actionValue": {"reaction": reaction}}
        value = {"data": asked} if is_wrapped else asked
        delivery = await self.invoke("message/fetchTask", person, message, value)
        dialog = self._dialog(person, message, delivery)
        dialog.reaction = reaction
        if data is None or dialog.card is None:
            return dialog
        return await self.submit_dialog(dialog, data)

    async def fetch_task(
        self,
        user: str | User,
        message: Message,
        command: str,
        *,
        claim: Mapping[str, Any] | None = None,
    ) -> Dialog:
        """
        Choose a message extension's command on *message*, also where the app is not.

        Args:
            claim: What the client tells of the message, over what is true.
        """
        person = self._user(user)
        payload = self._payload(message) | dict(claim or {})
        value = self._claim(command, payload)
        delivery = await self._extension("fetchTask", person, message, value)
        dialog = self._dialog(person, message, delivery)
        dialog.command, dialog.source = command, payload
        return dialog

    async def submit_task(
        self, dialog: Dialog, data: Mapping[str, Any], *, claim: Mapping[str, Any] | None = None
    ) -> Dialog:
        """*claim*: another message than the one that the dialog was opened on."""
        dialog.source = (dialog.source or {}) | dict(claim or {})
        return await self.submit_dialog(dialog, data)

    async def _rated(
        self, person: User, message: Message, reaction: str, form: Mapping[str, Any]
    ) -> Delivery:
        told = {"reaction": reaction, "feedback": json.dumps(dict(form))}
        value = {"actionName": "feedback", "actionValue": told}
        delivery = await self.invoke("message/submitAction", person, message, value)
        assert delivery.status == 200, f"the rating was answered with {delivery.status}"
        return delivery

    async def _extension(self, name: str, person: User, message: Message, value: Json) -> Delivery:
        """Teams gives up on an extension after five seconds, and delivers where the app is not, too."""
        sending = self.invoke(f"composeExtension/{name}", person, message, value)
        async with asyncio.timeout(self.teams.extension_timeout_s):
            return await sending

    def _claim(self, command: str, payload: Json) -> Json:
        return {
            "commandId": command,
            "commandContext": "message",
            "messagePayload": payload,
            "context": {"theme": "default"},
        }

    def _payload(self, message: Message) -> Json:
        place = self._place_of(message)
        told = message_json(self.teams, place, message)
        kept = ("id", "replyToId", "createdDateTime", "body", "attachments", "from", "mentions")
        link = f"https://teams.example/l/message/{place.id}/{message.id}"
        payload = {key: told[key] for key in kept} | {"linkToMessage": link}
        return payload | {
            "lastModifiedDateTime": None,
            "createdDateTime": stamp(message.created_at),
        }

    def _dialog(self, user: User, message: Message, delivery: Delivery) -> Dialog:
        assert delivery.status == 200, f"{delivery.kind} was answered with {delivery.status}"
        dialog = Dialog(user, message, delivery)
        task = (delivery.answer or {}).get("task")
        if task is None:
            return dialog
        assert task.get("type") in ("continue", "message"), task
        if task["type"] == "message":
            assert isinstance(task.get("value"), str), task
            dialog.told = task["value"]
            return dialog
        shown = task["value"]
        dialog.title, dialog.card = shown.get("title", ""), shown["card"]["content"]
        assert shown["card"]["contentType"] == CARD, shown
        assert len(dialog.title) <= _DIALOG_TITLE_CHARS, dialog.title
        problems = check_card(dialog.card or {})
        assert not problems, problems
        return dialog
