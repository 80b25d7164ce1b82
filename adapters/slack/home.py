"""The home tab: shown when it is opened, and what its buttons do."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from slack_bolt.async_app import AsyncApp

from adapters.slack import home_view, modals
from adapters.slack.asking import SlackAsking
from adapters.slack.background import Background
from adapters.slack.client import SlackClients
from adapters.slack.incoming import Sender, sender_of_action
from adapters.slack.languages import Languages
from adapters.slack.origins import Origin
from bot.messages import IncomingMessage, Preferences
from bot.overview import Overviews
from bot.state import State

Body = Mapping[str, Any]
Ack = Callable[..., Awaitable[object]]

_FORGET_ME = "/forget me"
_BY_VALUE = {value: language for language, value in home_view.LANGUAGE_VALUES.items()}


class HomeTab:
    def __init__(
        self,
        clients: SlackClients,
        languages: Languages,
        overviews: Overviews,
        state: State,
        asking: SlackAsking,
        *,
        tenant: str,
    ) -> None:
        self._clients = clients
        self._languages = languages
        self._overviews = overviews
        self._state = state
        self._asking = asking
        self._tenant = tenant
        self._background = Background()

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(home_view.ASK)(self._ask)
        bolt.action(home_view.LANGUAGE)(self._speak)
        bolt.action(home_view.FORGET)(self._forget)

    async def close(self) -> None:
        await self._background.close()

    async def publish(self, sender: Sender) -> None:
        """Raises what Slack does."""
        language = await self._languages.of(sender)
        overview = await self._overviews.of(sender.person.ref(self._tenant))
        client = await self._clients.for_team(sender.team, home=sender.home)
        view = home_view.home_view(overview, language)
        await client.views_publish(user_id=sender.user, view=view)

    async def _ask(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            self._background.start(self._open_ask(sender, body), name="home.ask")

    async def _open_ask(self, sender: Sender, body: Body) -> None:
        client = await self._clients.for_team(sender.team, home=sender.home)
        view = modals.ask([], await self._languages.of(sender))
        await client.views_open(trigger_id=str(body.get("trigger_id")), view=view)

    async def _speak(self, body: Body, ack: Ack) -> None:
        sender = sender_of_action(body)
        chosen = ((body.get("actions") or [{}])[0].get("selected_option") or {}).get("value")
        if sender is not None and chosen in _BY_VALUE:
            user = sender.person.ref(self._tenant)
            await self._state.save_preferences(user, Preferences(_BY_VALUE[chosen]))
            self._background.start(self.publish(sender), name="home.language")
        await ack()

    async def _forget(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            trigger = str(body.get("trigger_id"))
            self._background.start(self._forget_all(sender, trigger), name="home.forget")

    async def _forget_all(self, sender: Sender, trigger: str) -> None:
        """In the direct message, where the reply says that it is done."""
        client = await self._clients.for_team(sender.team, home=sender.home)
        opened = await client.conversations_open(users=sender.user)
        channel = str(opened["channel"]["id"])
        message = IncomingMessage(
            event_id=f"slack:forget:{sender.home}/{sender.user}/{trigger}",
            user=sender.person.ref(self._tenant),
            conversation=self._asking.direct(sender.home, channel),
            text=_FORGET_ME,
            sent_at=datetime.now(UTC),
            locale=await self._languages.of(sender),
        )
        origin = Origin(
            team=sender.team, user=sender.user, user_team=sender.user_team, channel=channel
        )
        await self._asking.put(message, origin)
        await self.publish(sender)
