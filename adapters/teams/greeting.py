"""Says hello to the teams and chats that the bot has been added to, once."""

import structlog

from adapters.chat.origins import Replies
from adapters.teams.dialog_texts import HELLO
from adapters.teams.outbox import TeamsAddress, TeamsOutbox
from adapters.teams.places import Place
from retrieval.types import Language

log = structlog.get_logger()


class Greeting:
    def __init__(self, outbox: TeamsOutbox, replies: Replies) -> None:
        self._outbox = outbox
        self._replies = replies

    async def greet(self, place: Place, language: Language) -> None:
        """
        Raises:
            StateUnavailable: Nobody knows whether it was said before; nothing was.
            TeamsFailure: It could not be said.
        """
        event_id = f"teams:hello:{place.id}"
        # Installing a team's app is told more than once.
        if not await self._replies.begin_reply(event_id):
            return
        to = TeamsAddress.of_place(place)
        id = await self._outbox.send(
            to, {"type": "message", "textFormat": "markdown", "text": HELLO[language]}
        )
        await self._replies.note_reply(event_id, id, channel=str(place.id), message=id)
        log.info("teams.greeted", kind=place.kind)
