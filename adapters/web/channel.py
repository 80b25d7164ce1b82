"""The channel port for the web page: what is posted stands in the message logs, for every page to show."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from adapters.web.message_log import MessageLogs
from adapters.web.messages import WebMessage
from bot.channel import ChannelLimits, shortened
from bot.errors import ChannelUnavailable, StateUnavailable
from bot.messages import ConversationRef, MessageRef, Reply, UserRef

LIMITS = ChannelLimits(
    max_characters=40_000,
    # Each update carries the whole text to every page that shows it.
    min_update_interval_s=0.1,
    has_private_replies=True,
)

_EVENT = "web:"


class WebChannel:
    """
    Used by whoever answers, in any process.

    Whether somebody may read a conversation at all is for the caller to check; private messages
    are kept from everybody else by the logs.
    """

    def __init__(
        self, logs: MessageLogs, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._logs = logs
        self._clock = clock

    @property
    def limits(self) -> ChannelLimits:
        return LIMITS

    async def post(self, reply: Reply, to: ConversationRef, *, answers: str) -> MessageRef:
        return await self._post(reply, MessageRef(to, _reply_id(answers, None)), answers)

    async def post_private(
        self, reply: Reply, to: ConversationRef, user: UserRef, *, answers: str
    ) -> MessageRef:
        return await self._post(reply, MessageRef(to, _reply_id(answers, user), user), answers)

    async def update(self, message: MessageRef, reply: Reply) -> None:
        try:
            await self._logs.update(self._message(message, reply))
        except StateUnavailable as error:
            raise ChannelUnavailable("The reply could not be shown on the page.") from error

    async def _post(self, reply: Reply, ref: MessageRef, answers: str) -> MessageRef:
        message = replace(self._message(ref, reply), answers=_question_id(answers))
        try:
            await self._logs.post(message)
        except StateUnavailable as error:
            raise ChannelUnavailable("The reply could not be shown on the page.") from error
        return ref

    def _message(self, ref: MessageRef, reply: Reply) -> WebMessage:
        message = WebMessage(
            id=ref.id, conversation=ref.conversation, at=self._clock(), private_to=ref.private_to
        )
        return message.with_reply(shortened(reply, LIMITS.max_characters))


def question_id(user: UserRef, channel: str, client_id: str) -> str:
    """The page's own id of a question, made unlike any other person's and any other place's."""
    return f"q-{_digest(user.tenant, user.id, channel, client_id)}"


def event_id(question: str) -> str:
    """Under which the question called so is accepted and answered."""
    return _EVENT + question


def _question_id(answers: str) -> str | None:
    return answers.removeprefix(_EVENT) if answers.startswith(_EVENT) else None


def _reply_id(answers: str, user: UserRef | None) -> str:
    """Whoever answers the same event once more gets the same message."""
    return f"m-{_digest(answers, *([user.tenant, user.id] if user else []))}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]
