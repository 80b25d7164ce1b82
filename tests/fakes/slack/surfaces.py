"""What people do around the conversations: open the app, look at something else, press Stop."""

from collections.abc import Sequence

from tests.fakes.slack.delivery import Delivery
from tests.fakes.slack.messages import Message
from tests.fakes.slack.part import Part
from tests.fakes.slack.views import view_json
from tests.fakes.slack.world import Channel, Json, User


class Surfaces(Part):
    async def event(
        self, payload: Json, *, team: str | None = None, channel: str | None = None
    ) -> Delivery:
        """Any event, as it is; an `event_ts` is added where there is none."""
        install = self._install(team)
        place = self._channel(channel, team) if channel else None
        payload = {"event_ts": self.slack.clock.next_ts()} | payload
        where = team or self.slack.world.teams_of(install)[0]
        return await self.slack.deliveries.send_event(payload, install, team=where, channel=place)

    async def home_opened(
        self,
        user: str | User,
        tab: str = "home",
        *,
        team: str | None = None,
        app_context: Json | None = None,
    ) -> Delivery:
        person = self._user(user, team)
        body: Json = {
            "type": "app_home_opened",
            "user": person.id,
            "channel": self._direct(person).id,
            "tab": tab,
            "event_ts": self.slack.clock.next_ts(),
        }
        for view in self.slack.views.values():
            if tab == "home" and (view.kind, view.user, view.team) == (
                "home",
                person.id,
                person.team,
            ):
                body["view"] = view_json(self.slack, view)
        if app_context is not None:
            body["app_context"] = app_context
        return await self.event(body, team=person.team)

    async def app_context_changed(
        self, user: str | User, entities: Sequence[Json], *, team: str | None = None
    ) -> Delivery:
        person = self._user(user, team)
        body: Json = {"type": "app_context_changed", "user": person.id}
        body |= {"channel": self._direct(person).id, "context": {"entities": list(entities)}}
        return await self.event(body, team=person.team)

    async def stop_pressed(self, user: str | User, message: Message) -> Delivery:
        """On a message of the app, or on the one that it answers: its streams in that thread end."""
        place = self._channel(message.channel, message.team)
        root = message.thread_ts or message.ts
        open_streams = [m for m in self.slack.log.thread(place, root) if m.is_streaming]
        for each in open_streams:
            assert each.stream is not None
            each.stream.state = "stopped"
        body: Json = {
            "type": "agent_session_stopped",
            "channel": place.id,
            "thread_ts": root,
            "user": self._member(user, place).id,
            "streaming_message_ts": [each.ts for each in open_streams],
        }
        return await self.event(body, team=place.team, channel=place.id)

    async def react(self, user: str | User, message: Message, name: str) -> Delivery | None:
        """The app hears of it where it is in the channel."""
        place = self._channel(message.channel, message.team)
        person = self._member(user, place)
        message.reactions.setdefault(name, []).append(person.id)
        if self.slack.world.install_for(place) is None:
            return None
        item = {"type": "message", "channel": place.id, "ts": message.ts}
        body: Json = {"type": "reaction_added", "user": person.id, "reaction": name, "item": item}
        body["item_user"] = message.user
        return await self.event(body, team=place.team, channel=place.id)

    async def link_shared(self, message: Message, *urls: str) -> Delivery:
        """*message* holds links to a domain that the app unfurls."""
        place = self._channel(message.channel, message.team)
        links = [{"url": url, "domain": url.split("/")[2]} for url in urls]
        body: Json = {
            "type": "link_shared",
            "channel": place.id,
            "user": message.user,
            "message_ts": message.ts,
            "is_bot_user_member": True,
            "unfurl_id": f"{place.id}.{message.ts}",
            "source": "conversations_history",
            "links": links,
        }
        return await self.event(body, team=place.team, channel=place.id)

    def _direct(self, person: User) -> Channel:
        return self.slack.world.direct(person, self._install(person.team).bot_user)
