"""Hands each activity to what it is for, by the Bot Framework's own rules: the one file that knows its SDK."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botbuilder.core import ActivityHandler, BotAdapter, InvokeResponse, TurnContext
from botbuilder.schema import Activity, ConversationReference, ResourceResponse

_RAW = "shifu.activity"


@dataclass(frozen=True, slots=True)
class InvokeAnswer:
    """
    What Teams waits for after a button, a dialog or a card that asks to be refreshed.

    Attributes:
        body: As JSON; None for none.
    """

    status: int = 200
    body: Mapping[str, Any] | None = None


class Routes(Protocol):
    """
    What there is to do for each kind of activity, as it came.

    What raises has promised nothing.
    """

    async def said(self, activity: Mapping[str, Any]) -> None: ...

    async def changed(self, activity: Mapping[str, Any]) -> None:
        """Members, teams or channels of a conversation."""
        ...

    async def installed(self, activity: Mapping[str, Any]) -> None:
        """The app was added somewhere, or removed."""
        ...

    async def invoked(self, name: str, activity: Mapping[str, Any]) -> InvokeAnswer: ...


class UnknownActivity(Exception):
    """What the SDK cannot read."""


async def dispatch(activity: Mapping[str, Any], routes: Routes) -> InvokeAnswer | None:
    """
    The answer to an invoke, None for all else.

    Nothing is sent: replies go their own way, since the SDK asks for a new token for each turn and
    drops what it does not know.

    Raises:
        UnknownActivity: If it cannot be read.
    """
    try:
        parsed = Activity().deserialize(dict(activity))
    except Exception as error:
        # The SDK's serialiser raises whatever its parts do.
        raise UnknownActivity(type(error).__name__) from error
    if not parsed.type:
        raise UnknownActivity("no type")
    adapter = _Silent()
    context = TurnContext(adapter, parsed)
    context.turn_state[_RAW] = activity
    await _Handler(routes).on_turn(context)
    return adapter.answer


class _Handler(ActivityHandler):  # type: ignore[misc]  # the SDK has no types
    """Not `TeamsActivityHandler`: that one asks the Bot Connector about members on every change."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await self._routes.said(turn_context.turn_state[_RAW])

    async def on_conversation_update_activity(self, turn_context: TurnContext) -> None:
        await self._routes.changed(turn_context.turn_state[_RAW])

    async def on_installation_update(self, turn_context: TurnContext) -> None:
        await self._routes.installed(turn_context.turn_state[_RAW])

    async def on_invoke_activity(self, turn_context: TurnContext) -> InvokeResponse:
        name = turn_context.activity.name or ""
        answer = await self._routes.invoked(name, turn_context.turn_state[_RAW])
        return InvokeResponse(status=answer.status, body=answer.body)


class _Silent(BotAdapter):  # type: ignore[misc]
    """Takes the answer to an invoke from the SDK, which hands it over as an activity to be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: InvokeAnswer | None = None

    async def send_activities(
        self, context: TurnContext, activities: list[Activity]
    ) -> list[ResourceResponse]:
        for activity in activities:
            if isinstance(activity.value, InvokeResponse):
                self.answer = InvokeAnswer(activity.value.status, activity.value.body)
        return [ResourceResponse(id="") for _ in activities]

    async def update_activity(self, context: TurnContext, activity: Activity) -> None:
        raise NotImplementedError("what is posted is changed through the outbox")

    async def delete_activity(self, context: TurnContext, reference: ConversationReference) -> None:
        raise NotImplementedError("what is posted is changed through the outbox")
