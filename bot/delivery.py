"""The one message in which somebody is answered, whichever worker fills it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from bot.channel import Channel, ChannelLimits
from bot.messages import ConversationRef, IncomingMessage, MessageRef, Reply, ReplyKind, UserRef
from retrieval.access import AccessScope


async def _nowhere(_: str) -> None:
    return None


class Delivery:
    """
    A reply on a channel: posted once, then changed.

    Args:
        answers: The message that is answered; its author alone sees the reply if *private*.
        posted: Id of the message that an earlier try posted.
        record: Keeps the id of what was posted, before anything is filled in. What it raises ends
            the turn: somebody else answers.
    """

    def __init__(
        self,
        channel: Channel,
        answers: IncomingMessage,
        *,
        private: bool = False,
        posted: str | None = None,
        record: Callable[[str], Awaitable[None]] = _nowhere,
    ) -> None:
        self._channel = channel
        self._event_id = answers.event_id
        self._to: ConversationRef = answers.conversation
        self._user: UserRef | None = answers.user if private else None
        self._ref = MessageRef(self._to, posted, self._user) if posted is not None else None
        self._record = record
        self._last: Reply | None = None
        self._shown_to: AccessScope | None = None

    @property
    def limits(self) -> ChannelLimits:
        return self._channel.limits

    @property
    def has_begun(self) -> bool:
        """Something stands there, from this try or from an earlier one."""
        return self._ref is not None

    async def show(self, reply: Reply, *, to: AccessScope | None = None) -> None:
        """
        Let the message read *reply*; raises `ChannelUnavailable` as the channel does.

        Args:
            to: What half an answer was written from, so that it may be seen later if it may stay.
        """
        if self._ref is not None:
            await self._channel.update(self._ref, reply)
        else:
            self._ref = await self._post(reply)
            await self._record(self._ref.id)
        self._last, self._shown_to = reply, to

    async def end(self, notice: Reply, *, readers: AccessScope | None) -> None:
        """
        Finish now: what was shown of an answer stays, with *notice* beneath it.

        Args:
            readers: Of those who read now. Half an answer that was not written for just these goes.
        """
        is_half = self._last is not None and self._last.kind is ReplyKind.PARTIAL
        if self._last is not None and is_half and readers is not None and readers == self._shown_to:
            notice = replace(self._last, kind=ReplyKind.ANSWER, notice=notice.text)
        await self.show(notice)

    async def _post(self, reply: Reply) -> MessageRef:
        if self._user is not None:
            return await self._channel.post_private(
                reply, self._to, self._user, answers=self._event_id
            )
        return await self._channel.post(reply, self._to, answers=self._event_id)
