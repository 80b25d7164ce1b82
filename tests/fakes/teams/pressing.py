"""Buttons of cards, cards that are one person's own, and the Stop of a stream."""

from collections.abc import Mapping
from typing import Any

from tests.fakes.teams.activities import conversation_id, envelope
from tests.fakes.teams.cards import actions_in, check_card
from tests.fakes.teams.delivery import Delivery
from tests.fakes.teams.messages import CARD, Message
from tests.fakes.teams.part import Part
from tests.fakes.teams.platform import PressAnswer
from tests.fakes.teams.posting import has_faded
from tests.fakes.teams.world import Conversation, Json, User


class Pressing(Part):
    async def press(
        self,
        user: str | User,
        message: Message,
        verb: str,
        data: Mapping[str, Any] | None = None,
        *,
        which: Mapping[str, Any] | None = None,
    ) -> Json:
        """
        Press an `Action.Execute` of the card that *user* sees.

        Args:
            data: What the card's inputs hold.
            which: Of several with this verb, the one whose data hold these.

        Returns:
            The card that they see from then on, or the answer as it is: a line of text, or an error.
        """
        person = self._user(user)
        seen = message.personal.get(person.id) or message.cards
        found = [
            action
            for action in actions_in(seen)
            if action.get("type") == "Action.Execute"
            and action.get("verb") == verb
            and holds(action.get("data") or {}, which or {})
        ]
        assert found, f"nothing to press as {verb} in {seen}"
        action = dict(found[0])
        action["data"] = (action.get("data") or {}) | dict(data or {})
        return await self._execute(person, message, action, "manual")

    async def refresh(self, user: str | User, message: Message) -> Json | None:
        """As Teams does by itself for those whom the card names; the card that they see then."""
        person = self._user(user)
        for card in message.cards:
            wanted = card.get("refresh") or {}
            if person.mri in (wanted.get("userIds") or []):
                answer = await self._execute(person, message, wanted["action"], "automatic")
                return message.personal.get(person.id) or answer
        return None

    async def opens(self, user: str | User, conversation: str | Conversation) -> list[Message]:
        """Look at a conversation: cards that are refreshed for *user* are, and what they see then."""
        person = self._user(user)
        place = self._place(conversation, person)
        for message in self.teams.log.within(place.id):
            if message.targeted_to in (None, person.id) and person.id not in message.personal:
                await self.refresh(person, message)
        seen = [m for m in self.teams.log.within(place.id) if not has_faded(self.teams, m)]
        return [m for m in seen if m.targeted_to in (None, person.id)]

    async def stop(self, user: str | User, message: Message) -> None:
        """Press Stop: the app learns of it when it goes on writing."""
        assert message.is_streaming, "nothing is being written"
        assert self._user(user).id in self._place_of(message).members
        assert message.stream is not None
        message.stream.state = "cancelled"

    async def invoke(self, name: str, person: User, message: Message, value: Json) -> Delivery:
        """What *person* pressed at *message*, as Teams tells it."""
        place = self._place_of(message)
        body = envelope(self.teams, "invoke", person, place, name=name, value=value)
        body["conversation"]["id"] = conversation_id(place, message)
        body["replyToId"] = message.id
        return await self.teams.deliveries.send(body)

    async def _execute(self, person: User, message: Message, action: Json, trigger: str) -> Json:
        assert not message.is_deleted, "the message is gone"
        assert message.targeted_to in (None, person.id), "only one person sees this message"
        shown = {key: action[key] for key in ("type", "title", "id", "verb") if key in action}
        value = {"action": shown | {"data": action.get("data") or {}}, "trigger": trigger}
        delivery = await self.invoke("adaptiveCard/action", person, message, value)
        body = delivery.answer
        assert delivery.status == 200, f"{delivery.kind} was answered with {delivery.status}"
        assert isinstance(body, dict), body
        assert {"statusCode", "type"} <= body.keys(), body
        self.teams.presses.append(PressAnswer(person.id, message.id, shown["verb"], body))
        if body["type"] != CARD:
            return body
        problems = check_card(body["value"])
        assert not problems, problems
        message.show_alone(person.id, body["value"])
        card: Json = body["value"]
        return card


def holds(data: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """All that is wanted is there."""
    return all(data.get(key) == value for key, value in wanted.items())
