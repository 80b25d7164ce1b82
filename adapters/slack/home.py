"""The home tab: shown when it is opened, and what its buttons do."""

from dataclasses import replace

from slack_bolt.async_app import AsyncApp

from adapters.chat.background import Background
from adapters.slack import action_ids
from adapters.slack.asking import SlackAsking
from adapters.slack.client import SLACK_FAILURES, SlackClients, what_failed
from adapters.slack.home_view import LANGUAGE_VALUES, MAX_SUGGESTIONS, home_view
from adapters.slack.incoming import Ack, Body, Sender, sender_of_action
from adapters.slack.languages import SlackLanguages
from adapters.slack.presses import Press
from bot.messages import Preferences
from bot.overview import Overviews
from bot.state import State
from bot.suggestions import Suggestions

_FORGET_ME = "/forget me"
_LANGUAGES = {value: language for language, value in LANGUAGE_VALUES.items()}


class HomeTab:
    def __init__(
        self,
        clients: SlackClients,
        languages: SlackLanguages,
        overviews: Overviews,
        suggestions: Suggestions,
        state: State,
        asking: SlackAsking,
        *,
        tenant: str,
    ) -> None:
        self._clients = clients
        self._languages = languages
        self._overviews = overviews
        self._suggestions = suggestions
        self._state = state
        self._asking = asking
        self._tenant = tenant
        self._background = Background(SLACK_FAILURES, what_failed)

    def register(self, bolt: AsyncApp) -> None:
        bolt.action(action_ids.HOME_LANGUAGE)(self._speak)
        bolt.action(action_ids.HOME_FORGET)(self._forget)
        for number in range(MAX_SUGGESTIONS):
            bolt.action(f"{action_ids.HOME_SUGGESTION}{number}")(self._suggested)

    async def close(self) -> None:
        await self._background.close()

    async def publish(self, sender: Sender, *, is_forgotten: bool = False) -> None:
        """
        Raises what Slack does.

        Args:
            is_forgotten: What is kept of the person is on its way out.
        """
        language = await self._languages.of(sender)
        user = sender.person.ref(self._tenant)
        overview = await self._overviews.of(user)
        found = await self._suggestions.for_person(user, language, limit=MAX_SUGGESTIONS)
        if is_forgotten:
            overview, found = replace(overview, recent=(), language=None), []
        client = await self._clients.for_team(sender.team, home=sender.home)
        view = home_view(overview, found, language)
        await client.views_publish(user_id=sender.user, view=view)

    async def _suggested(self, body: Body, ack: Ack) -> None:
        """Asked and answered in the direct message."""
        await ack()
        sender, press = sender_of_action(body), Press.of(body)
        if sender is not None and press.value:
            asking = self._asking.in_direct_message(
                sender,
                press.value,
                event_id=f"slack:home:{sender.home}/{sender.user}/{press.moment}",
            )
            self._background.start(asking, name="home.suggestion")

    async def _speak(self, body: Body, ack: Ack) -> None:
        sender = sender_of_action(body)
        chosen = ((body.get("actions") or [{}])[0].get("selected_option") or {}).get("value")
        if sender is not None and chosen in _LANGUAGES:
            user = sender.person.ref(self._tenant)
            await self._state.save_preferences(user, Preferences(_LANGUAGES[chosen]))
            self._background.start(self.publish(sender), name="home.language")
        await ack()

    async def _forget(self, body: Body, ack: Ack) -> None:
        await ack()
        sender = sender_of_action(body)
        if sender is not None:
            trigger_id = Press.of(body).trigger_id
            self._background.start(self._forget_all(sender, trigger_id), name="home.forget")

    async def _forget_all(self, sender: Sender, trigger_id: str) -> None:
        """By the command, whose reply in the direct message says that it is done."""
        await self._asking.in_direct_message(
            sender,
            _FORGET_ME,
            event_id=f"slack:forget:{sender.home}/{sender.user}/{trigger_id}",
            language=await self._languages.of(sender),
        )
        await self.publish(sender, is_forgotten=True)
