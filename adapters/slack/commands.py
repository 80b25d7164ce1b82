"""Listeners for the slash commands: what one person asks, and alone is answered, wherever they are."""

import structlog
from slack_bolt.async_app import AsyncApp

from adapters.chat.dialog_texts import NOT_ACCEPTED
from adapters.chat.inert import escaped
from adapters.slack.asking import SlackAsking
from adapters.slack.incoming import Ack, Body, Sender, sender_of_action
from adapters.slack.languages import SlackLanguages
from adapters.slack.listener_texts import ASK_USAGE, QUESTION_TAKEN
from adapters.slack.markup import plain_text
from adapters.slack.origin import Origin
from bot.errors import StateUnavailable
from retrieval.types import Language

log = structlog.get_logger()


_SHOWN_CHARACTERS = 300


class CommandRoutes:
    """`/ask QUESTION`, `/shifu COMMAND` and `/why`."""

    def __init__(self, asking: SlackAsking, languages: SlackLanguages) -> None:
        self._asking = asking
        self._languages = languages

    def register(self, bolt: AsyncApp) -> None:
        bolt.command("/ask")(self._ask)
        bolt.command("/shifu")(self._shifu)
        bolt.command("/why")(self._why)

    async def close(self) -> None:
        return None

    async def _ask(self, body: Body, ack: Ack) -> None:
        sender, text = sender_of_action(body), plain_text(str(body.get("text") or ""), "").strip()
        if sender is None:
            await ack()
            return
        language = await self._languages.of(sender, text)
        if not text:
            await ack(ASK_USAGE[language])
            return
        shown = text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
        # Slack shows nobody what was typed after the command, so the acknowledgement repeats it.
        taken = QUESTION_TAKEN[language].format(question=shown)
        await self._take(body, sender, text, ack, taken, language)

    async def _shifu(self, body: Body, ack: Ack) -> None:
        sender, text = sender_of_action(body), plain_text(str(body.get("text") or ""), "").strip()
        if sender is None:
            await ack()
            return
        command = f"/{text.lstrip('/')}" if text else "/help"
        await self._command(body, sender, command, ack)

    async def _why(self, body: Body, ack: Ack) -> None:
        sender = sender_of_action(body)
        if sender is None:
            await ack()
            return
        await self._command(body, sender, "/why", ack)

    async def _command(self, body: Body, sender: Sender, command: str, ack: Ack) -> None:
        # The English words of commands are no sign of somebody's language.
        language = await self._languages.of(sender, "" if command.isascii() else command)
        written = f"{body.get('command')} {body.get('text') or ''}".strip()
        await self._take(body, sender, command, ack, written, language)

    async def _take(
        self, body: Body, sender: Sender, text: str, ack: Ack, taken: str, language: Language
    ) -> None:
        channel = str(body.get("channel_id") or "")
        origin = Origin(
            team=sender.team,
            user=sender.user,
            user_team=sender.user_team,
            channel=channel,
            response_url=str(body.get("response_url") or ""),
        )
        event_id = f"slack:command:{sender.home}/{body.get('trigger_id')}"
        try:
            await self._asking.whisper(
                sender, channel, text, origin, event_id=event_id, language=language
            )
        except (StateUnavailable, TimeoutError):
            # Slack does not deliver commands again: the person has to know.
            log.warning("slack.command_not_accepted")
            await ack(NOT_ACCEPTED[language])
            return
        await ack(escaped(taken))
