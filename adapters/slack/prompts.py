"""The questions that Slack offers when somebody opens the talk with the bot."""

from adapters.slack.client import SlackClients
from adapters.slack.incoming import Sender
from adapters.slack.languages import SlackLanguages
from adapters.slack.listener_texts import PROMPT_HELP, PROMPT_SOURCES, PROMPTS_TITLE
from bot.suggestions import Suggestions

_MAX_PROMPTS = 4


class Prompts:
    def __init__(
        self,
        clients: SlackClients,
        languages: SlackLanguages,
        suggestions: Suggestions,
        *,
        tenant: str,
    ) -> None:
        self._clients = clients
        self._languages = languages
        self._suggestions = suggestions
        self._tenant = tenant

    async def suggest(self, sender: Sender, channel: str, *, thread_ts: str = "") -> None:
        """
        Raises what Slack does.

        Args:
            thread_ts: On the older surface, where every talk is a thread.
        """
        language = await self._languages.of(sender)
        user = sender.person.ref(self._tenant)
        found = await self._suggestions.for_person(user, language, limit=_MAX_PROMPTS - 1)
        offered = [(suggestion.title, suggestion.question) for suggestion in found]
        offered += [PROMPT_SOURCES[language], PROMPT_HELP[language]]
        client = await self._clients.for_team(sender.team, home=sender.home)
        await client.assistant_threads_setSuggestedPrompts(
            channel_id=channel,
            thread_ts=thread_ts or None,
            title=PROMPTS_TITLE[language],
            prompts=[
                {"title": title, "message": message} for title, message in offered[:_MAX_PROMPTS]
            ],
        )
