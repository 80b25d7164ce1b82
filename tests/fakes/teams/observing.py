"""What a test looks at: the messages as people see them, deliveries and calls."""

import asyncio
import html
import re
from collections.abc import Callable
from typing import TypeVar

from tests.fakes.teams.cards import readable
from tests.fakes.teams.delivery import Delivery
from tests.fakes.teams.messages import Message
from tests.fakes.teams.part import Part
from tests.fakes.teams.platform import PressAnswer, RecordedCall, TokenRequest, Typing
from tests.fakes.teams.posting import has_faded
from tests.fakes.teams.subscriptions import Notification, Subscription
from tests.fakes.teams.world import Conversation, Json, User

T = TypeVar("T")
_TAG = re.compile(r"</?at>")


class Observing(Part):
    @property
    def deliveries(self) -> list[Delivery]:
        """Everything sent to the app, with every attempt and answer."""
        return self.teams.deliveries.all

    @property
    def token_requests(self) -> list[TokenRequest]:
        return self.teams.token_requests

    @property
    def typing(self) -> list[Typing]:
        return self.teams.typing

    @property
    def presses(self) -> list[PressAnswer]:
        return self.teams.presses

    @property
    def notifications(self) -> list[Notification]:
        """What Graph sent, and how that was answered."""
        return self.teams.subscriptions.sent

    @property
    def subscriptions(self) -> list[Subscription]:
        return list(self.teams.subscriptions.open.values())

    async def notify(
        self,
        subscription: Subscription,
        resource: str = "",
        change: str = "updated",
        data: Json | None = None,
        *,
        client_state: str | None = None,
    ) -> Notification:
        """Send one by hand; *client_state*: in place of the true one."""
        about = resource or subscription.resource
        return await self.teams.subscriptions.tell(
            subscription, about, change, data or {}, client_state=client_state
        )

    async def lifecycle(self, subscription: Subscription, event: str) -> Notification:
        """`reauthorizationRequired`, `subscriptionRemoved` or `missed`."""
        if event == "subscriptionRemoved":
            self.teams.subscriptions.open.pop(subscription.id, None)
        url = subscription.lifecycle_url or subscription.notification_url
        return await self.teams.subscriptions.tell(
            subscription, subscription.resource, "", {}, url=url, lifecycleEvent=event
        )

    def messages(
        self,
        conversation: str | Conversation,
        thread: str | Message | None = None,
        *,
        user: str | User | None = None,
    ) -> list[Message]:
        """
        All that are not deleted, those that one person sees too; with *thread* it and its replies.

        *user*: whose chat, where *conversation* is `personal`.
        """
        place = self._place(conversation, self._user(user) if user else None)
        root = thread.thread or thread.id if isinstance(thread, Message) else thread
        found = self.teams.log.within(place.id, root)
        return [message for message in found if not has_faded(self.teams, message)]

    def from_app(
        self,
        conversation: str | Conversation,
        thread: str | Message | None = None,
        *,
        user: str | User | None = None,
    ) -> list[Message]:
        return [m for m in self.messages(conversation, thread, user=user) if m.is_from_app]

    def visible_to(
        self, user: str | User, conversation: str | Conversation = "personal"
    ) -> list[Message]:
        """What *user* can see in *conversation* at this moment."""
        person = self._user(user)
        place = self._place(conversation, person)
        if not self._may_read(person, place):
            return []
        seen = self.messages(place)
        return [m for m in seen if m.targeted_to in (None, person.id)]

    def cards_seen_by(self, user: str | User, message: Message) -> list[Json]:
        """Their own card where they got one, else those that everybody sees."""
        person = self._user(user)
        own = message.personal.get(person.id)
        return message.cards if own is None else [own]

    def text_of(self, message: Message, *, seen_by: str | User | None = None) -> str:
        """What a person reads in it: the text and all cards, mentions and escapes resolved."""
        cards = message.cards if seen_by is None else self.cards_seen_by(seen_by, message)
        shown = html.unescape(_TAG.sub("", message.text)) or message.status
        return "\n".join(text for text in (shown, *map(readable, cards)) if text)

    def everything_seen_by(self, user: str | User) -> str:
        """All texts, in all versions, that *user* could ever read: for leak tests."""
        person = self._user(user)
        seen: list[str] = []
        for message in self.teams.log.all:
            place = self.teams.world.conversations[message.conversation]
            if not self._may_read(person, place) or message.targeted_to not in (None, person.id):
                continue
            steps = message.stream.steps if message.stream else []
            own = message.personal_versions.get(person.id, [])
            seen += [str(version) for version in (*message.versions, *steps, *own)]
        for delivery in self.deliveries:
            is_own = (delivery.activity.get("from") or {}).get("id") == person.mri
            if is_own and delivery.activity.get("type") == "invoke":
                seen += [str(attempt.body) for attempt in delivery.attempts]
        return "\n".join(seen)

    def calls(self, *names: str) -> list[RecordedCall]:
        """Of these names (`send`, `graph:/users/{id}`, `graph` for all of it), refused ones too."""
        return [
            c
            for c in self.teams.calls
            if not names or c.name in names or c.name.partition(":")[0] in names
        ]

    async def until(self, holds: Callable[[], T | None], timeout_s: float = 10.0) -> T:
        """Wait for *holds* to return something true, and return that."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (value := holds()):
                    await asyncio.sleep(0.01)
                return value
        except TimeoutError:
            raise AssertionError(f"never came true; {self.summary()}") from None

    async def settled(self) -> None:
        """Wait until every redelivery and notification is over."""
        await self.teams.deliveries.settled()

    def summary(self) -> str:
        """For a test that fails: the last calls, deliveries and messages."""
        calls = [
            f"{c.name} {c.status}{f' ({c.code})' if c.code else ''}" for c in self.calls()[-8:]
        ]
        told = [f"{d.kind} {d.status}" for d in self.deliveries[-5:]]
        log = self.teams.log.all[-6:]
        said = [f"{m.conversation} {m.author}: {self.text_of(m)[:80]!r}" for m in log]
        return f"last calls: {calls}; last deliveries: {told}; last messages: {said}"

    def _may_read(self, person: User, place: Conversation) -> bool:
        if person.is_deleted or person.is_disabled:
            return False
        return person in self.teams.world.members(place)
