"""People writing in channels and to the app, and what the app hears of it."""

import asyncio
import html
import re
import uuid
from collections.abc import Sequence
from typing import Any

from tests.fakes.slack.messages import Message
from tests.fakes.slack.part import Part
from tests.fakes.slack.shapes import file_json
from tests.fakes.slack.world import Channel, Json, User

# Everybody's own Slack client would have encoded these.
_MENTION = re.compile(r"<@([A-Z0-9]+)>")


class Speaking(Part):
    """Texts are given as Slack sends them: `&`, `<` and `>` escaped, mentions as `<@U1>`."""

    async def mention(
        self,
        user: str | User,
        channel: str,
        text: str,
        *,
        thread_ts: str | None = None,
        team: str | None = None,
        files: Sequence[str] = (),
        **more: Any,
    ) -> Message:
        """A message that names the app, at its beginning unless *text* does so itself."""
        place = self._channel(channel, team)
        bot = self._bot(place)
        if f"<@{bot}" not in text:
            text = f"<@{bot}> {text}"
        return await self.message(
            user, channel, text, thread_ts=thread_ts, team=team, files=files, **more
        )

    async def message(
        self,
        user: str | User,
        channel: str,
        text: str,
        *,
        thread_ts: str | None = None,
        team: str | None = None,
        files: Sequence[str] = (),
        subtype: str | None = None,
        broadcast: bool = False,
        app_context: Json | None = None,
        **more: Any,
    ) -> Message:
        """
        Anything said in *channel*.

        The app hears it if it is in there and it is named, the channel is a direct message, or
        `sends_channel_messages` is on: named with it on, it hears it twice. *more* goes into the event.
        """
        place = self._channel(channel, team)
        person = self._member(user, place)
        if files and subtype is None:
            subtype = "file_share"
        said = Message(
            ts=self.slack.clock.next_ts(),
            channel=place.id,
            team=place.team,
            user=person.id,
            user_team=person.team,
            text=text,
            blocks=[_rich_text(text)] if text else [],
            thread_ts=thread_ts,
            subtype="thread_broadcast" if broadcast else subtype,
            files=self._shared(files, place),
            is_broadcast=broadcast,
            client_msg_id=str(uuid.uuid4()),
            app_context=app_context,
        )
        self.slack.log.add(said)
        await self._tell_message(said, place, more)
        return said

    async def direct_message(
        self,
        user: str | User,
        text: str,
        *,
        thread_ts: str | None = None,
        team: str | None = None,
        files: Sequence[str] = (),
        app_context: Json | None = None,
        **more: Any,
    ) -> Message:
        person = self._user(user, team)
        place = self.slack.world.direct(person, self._install(person.team).bot_user)
        return await self.message(
            person,
            place.id,
            text,
            thread_ts=thread_ts,
            team=place.team,
            files=files,
            app_context=app_context,
            **more,
        )

    async def bot_message(
        self,
        channel: str,
        text: str,
        *,
        user: str | None = "UOTHERBOT",
        bot_id: str = "BOTHER",
        thread_ts: str | None = None,
        classic: bool = False,
        **more: Any,
    ) -> Message:
        """Of another app; *classic*: with the subtype and without a user, as old integrations post."""
        place = self._channel(channel)
        said = self.slack.post(
            place,
            "" if classic else (user or ""),
            bot_id=bot_id,
            text=text,
            thread_ts=thread_ts,
            subtype="bot_message" if classic else None,
        )
        await self._tell_message(said, place, more)
        return said

    async def edit(self, message: Message, text: str) -> None:
        """The app hears `message_changed`, and a mention if the app is named only now."""
        place = self._channel(message.channel, message.team)
        before = message.json()
        was_named = f"<@{self._bot(place)}" in message.text
        message.is_edited = True
        message.show(text, [_rich_text(text)])
        await self._tell_hidden("message_changed", message, before, place)
        if not was_named and f"<@{self._bot(place)}" in text and place.kind != "im":
            edited = {"edited": {"user": message.user, "ts": self.slack.clock.next_ts()}}
            await self._send(self._mention_event(message, place) | edited, place)

    async def delete(self, message: Message) -> None:
        place = self._channel(message.channel, message.team)
        before = message.json()
        message.is_deleted = True
        await self._tell_hidden("message_deleted", message, before, place)

    def _bot(self, place: Channel) -> str:
        install = self.slack.world.install_for(place)
        return install.bot_user if install else self._install(place.team).bot_user

    def _shared(self, files: Sequence[str], place: Channel) -> list[Json]:
        found = [self.slack.world.files[id] for id in files]
        for file in found:
            if place.id not in file.channels:
                file.channels.append(place.id)
        return [file_json(self.slack.origin, file, is_event=True) for file in found]

    async def _tell_message(self, said: Message, place: Channel, more: Json) -> None:
        is_named = f"<@{self._bot(place)}" in said.text and place.kind != "im"
        events: list[Json] = []
        if is_named:
            events.append(self._mention_event(said, place))
        if place.kind == "im" or self.slack.sends_channel_messages:
            events.append(self._message_event(said, place))
        await asyncio.gather(*(self._send(event | more, place) for event in events))

    async def _tell_hidden(
        self, subtype: str, message: Message, before: Json, place: Channel
    ) -> None:
        if place.kind != "im" and not self.slack.sends_channel_messages:
            return
        ts = self.slack.clock.next_ts()
        body: Json = {"type": "message", "subtype": subtype, "hidden": True, "channel": place.id}
        body |= {"ts": ts, "event_ts": ts, "channel_type": place.event_type}
        body["previous_message"] = before
        if subtype == "message_changed":
            body["message"] = message.json()
        else:
            body["deleted_ts"] = message.ts
        await self._send(body, place)

    def _token(self, place: Channel) -> Json:
        """Leave to search on behalf of the one who speaks, where the app may search at all."""
        install = self.slack.world.install_for(place)
        if install is None or "search:read.public" not in install.scopes:
            return {}
        token = self.slack.next_id("action-token-")
        self.slack.action_tokens.add(token)
        return {"assistant_thread": {"action_token": token}}

    def _message_event(self, said: Message, place: Channel) -> Json:
        event = self._common(said, place) | {"channel_type": place.event_type}
        if said.app_context is not None:
            event["app_context"] = said.app_context
        return event

    def _mention_event(self, said: Message, place: Channel) -> Json:
        event = self._common(said, place) | {"type": "app_mention"}
        event.pop("subtype", None)
        return event

    def _common(self, said: Message, place: Channel) -> Json:
        event = said.json() | {"channel": place.id, "event_ts": said.ts} | self._token(place)
        if not event["user"]:
            del event["user"]
        if said.thread_ts and said.thread_ts != said.ts:
            root = self.slack.log.find(place, said.thread_ts)
            event["parent_user_id"] = root.user if root else "U0"
        if len(place.teams) > 1 and said.user_team:
            enterprise = self.slack.world.enterprise_of(said.user_team)
            event |= {"user_team": enterprise or said.user_team, "source_team": said.user_team}
        return event

    async def _send(self, event: Json, place: Channel) -> None:
        """An app that is not in the channel hears nothing of it."""
        install = self.slack.world.install_for(place)
        if install is not None:
            await self.slack.deliveries.send_event(event, install, team=place.team, channel=place)


def _rich_text(text: str) -> Json:
    elements: list[Json] = []
    for number, piece in enumerate(_MENTION.split(text)):
        if number % 2:
            elements.append({"type": "user", "user_id": piece})
        elif piece:
            elements.append({"type": "text", "text": html.unescape(piece)})
    section = {"type": "rich_text_section", "elements": elements}
    return {"type": "rich_text", "block_id": "b1", "elements": [section]}
