"""What people write, change and take back, and what the app hears of it."""

import html
from collections.abc import Iterable
from typing import Any

from tests.fakes.teams.activities import (
    content_url,
    conversation_id,
    download_info,
    entities,
    envelope,
    html_attachment,
    inline_image,
    mention,
    merged,
)
from tests.fakes.teams.delivery import Delivery
from tests.fakes.teams.graph_files import drive_of, granted_to
from tests.fakes.teams.messages import Message
from tests.fakes.teams.part import Part
from tests.fakes.teams.world import Conversation, File, Json, User


class Speaking(Part):
    async def says(
        self,
        user: str | User,
        conversation: str | Conversation,
        text: str,
        *,
        mention: bool = True,
        reply_to: Message | str | None = None,
        files: Iterable[str] = (),
        targeted: bool = False,
        activity: Json | None = None,
        token: str | None = None,
    ) -> Message:
        """
        Write *text*, and deliver it to the app where it would hear it.

        Args:
            conversation: `personal`: the person's own chat with the app.
            mention: Where several people talk, name the app first.
            reply_to: In a channel, the message (or thread) that it goes under.
            targeted: Only the app and the writer see it, as with a slash command.
            activity: Put over the activity, at every depth.
            token: In place of the true one.
        """
        person = self._user(user)
        place = self._place(conversation, person)
        assert person in self.teams.world.members(place), f"{person.id} is not in {place.id}"
        is_named = mention and place.kind != "personal"
        id = self.teams.clock.next_id()
        thread = self._thread(place, reply_to)
        shared = [self.teams.world.files[name] for name in files]
        for file in shared:
            self._lay_down(file, person, place)
        sent = self._written(person, place, text, id, thread or id, is_named, shared)
        if targeted:
            sent["recipient"]["isTargeted"] = True
        sent = merged(sent, activity or {})
        said = self.teams.post(
            place,
            person.id,
            sent,
            is_from_app=False,
            id=id,
            thread=thread,
            targeted_to=person.id if targeted else None,
            files=[file.id for file in shared],
        )
        if self._is_heard(place, said) and self.teams.world.hears(place):
            await self.teams.deliveries.send(sent, token=token)
        return said

    async def edit(self, message: Message, text: str) -> Delivery | None:
        place, person = self._place_of(message), self._user(message.author)
        message.is_edited = True
        is_named = "<at>" in message.text
        thread = message.thread or message.id
        shared = [self.teams.world.files[id] for id in message.files]
        sent = self._written(person, place, text, message.id, thread, is_named, shared)
        message.show(sent)
        data = {"channelData": {"eventType": "editMessage"}}
        if not self._is_heard(place, message):
            return None
        return await self._tell(place, merged(sent, data | {"type": "messageUpdate"}))

    async def delete(self, message: Message) -> Delivery | None:
        place, person = self._place_of(message), self._user(message.author)
        message.is_deleted = True
        if not self._is_heard(place, message):
            return None
        data = {"eventType": "softDeleteMessage"}
        body = self._about("messageDelete", person, place, message, channelData=data)
        return await self._tell(place, body | {"id": message.id})

    async def react(
        self, user: str | User, message: Message, reaction: str = "like", *, removed: bool = False
    ) -> Delivery | None:
        """The app hears of it on its own messages."""
        place, person = self._place_of(message), self._user(user)
        known = message.reactions.setdefault(reaction, [])
        if removed:
            known.remove(person.id)
        else:
            known.append(person.id)
        if not message.is_from_app:
            return None
        which = "reactionsRemoved" if removed else "reactionsAdded"
        more: Json = {which: [{"type": reaction}], "replyToId": message.id}
        return await self._tell(
            place, self._about("messageReaction", person, place, message, **more)
        )

    async def activity(self, payload: Json, *, token: str | None = None) -> Delivery:
        """Deliver *payload* as it is."""
        return await self.teams.deliveries.send(payload, token=token)

    async def resend(self, delivery: Delivery) -> Delivery:
        """Deliver once more what was delivered already."""
        return await self.teams.deliveries.resend(delivery)

    def envelope(
        self,
        kind: str,
        user: str | User,
        conversation: str | Conversation,
        *,
        thread: str | None = None,
        **more: Any,
    ) -> Json:
        """An activity to be changed and given to `activity`."""
        person = self._user(user)
        place = self._place(conversation, person)
        return envelope(self.teams, kind, person, place, thread=thread, **more)

    def _is_heard(self, place: Conversation, message: Message) -> bool:
        """Where several people talk, the app gets what names it, and what is for it alone."""
        is_meant = "<at>" in message.text or message.targeted_to is not None
        return place.kind == "personal" or place.hears_all or is_meant

    def _about(
        self, kind: str, person: User, place: Conversation, message: Message, **more: Any
    ) -> Json:
        body = envelope(self.teams, kind, person, place, **more)
        body["conversation"]["id"] = conversation_id(place, message)
        return body

    def _thread(self, place: Conversation, reply_to: Message | str | None) -> str | None:
        if place.kind != "channel" or reply_to is None:
            return None
        return reply_to if isinstance(reply_to, str) else reply_to.thread or reply_to.id

    def _written(
        self,
        person: User,
        place: Conversation,
        text: str,
        id: str,
        root: str,
        is_named: bool,
        files: list[File],
    ) -> Json:
        thread = root if place.kind == "channel" else None
        shown, entity = mention(self.teams)
        escaped = html.escape(text, quote=False)
        body = envelope(self.teams, "message", person, place, thread=thread, id=id)
        body |= {
            "textFormat": "plain",
            "text": f"{shown} {escaped}" if is_named else escaped,
            "entities": ([entity] if is_named else []) + entities(person),
        }
        tags = [{"id": file.id, "contentUrl": content_url(self.teams, file)} for file in files]
        images = [f for f in files if f.content_type.startswith("image/")]
        others = [f for f in files if f not in images]
        is_direct = place.kind == "personal"
        body["attachments"] = [
            *(inline_image(self.teams, file) for file in images),
            *(download_info(self.teams, file) for file in others if is_direct),
            html_attachment(self.teams, text, is_named, [] if is_direct else tags),
        ]
        return body

    def _lay_down(self, file: File, person: User, place: Conversation) -> None:
        """Posting puts it into the team's library, or into the writer's own, shared with the chat."""
        team = self.teams.world.team_of(place)
        file.drive = drive_of(team.group_id if team else person.id)
        if team is None and file.permissions is None:
            people = [u.id for u in self.teams.world.members(place) if not u.is_anonymous]
            file.permissions = granted_to(self.teams, file, people)

    async def _tell(self, place: Conversation, body: Json) -> Delivery | None:
        if not self.teams.world.hears(place):
            return None
        return await self.teams.deliveries.send(body)
