"""Commands, buttons, shortcuts and dialogs: what people press, and what the app is sent."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.slack.delivery import COMMAND, INTERACTIVE, Delivery
from tests.fakes.slack.messages import Message
from tests.fakes.slack.part import Part
from tests.fakes.slack.platform import View
from tests.fakes.slack.pressing import find_element, pressed, state_values
from tests.fakes.slack.responses import post_answer
from tests.fakes.slack.views import add_view, change_view, view_json
from tests.fakes.slack.world import Channel, Json, Refused, User


class Interacting(Part):
    async def command(
        self,
        user: str | User,
        channel: str,
        command: str,
        text: str = "",
        *,
        team: str | None = None,
    ) -> Delivery:
        """Works in every channel, also where the app is not; never in a thread."""
        place = self._channel(channel, team)
        person = self._member(user, place)
        install = self._install(team if team else person.team)
        home = team or person.team
        enterprise = self.slack.world.enterprise_of(home)
        url = self.slack.new_response_url(place, person)
        form: Json = {
            "token": "verification-token",
            "team_id": home,
            "team_domain": home.lower(),
            "enterprise_id": enterprise,
            "enterprise_name": enterprise,
            "channel_id": place.id,
            "channel_name": place.name if place.kind == "public" else _hidden_name(place),
            "user_id": person.id,
            "user_name": person.name.lower(),
            "command": command,
            "text": text,
            "api_app_id": install.app_id,
            "is_enterprise_install": str(install.is_enterprise_install).lower(),
            "response_url": url,
            "trigger_id": self.slack.new_trigger(person, home),
        }
        delivery = await self.slack.deliveries.send(COMMAND, form)
        answer = delivery.answer
        if isinstance(answer, str):
            answer = {"text": answer}
        if isinstance(answer, dict) and (answer.get("text") or answer.get("blocks")):
            post_answer(self.slack, self.slack.response_urls[url.rpartition("/")[2]], answer)
        return delivery

    async def action(
        self,
        target: Message | View,
        action_id: str,
        *,
        user: str | User | None = None,
        value: str | None = None,
        values: Sequence[str] = (),
        state: Mapping[str, Any] | None = None,
    ) -> Delivery:
        """
        Press what is shown as *action_id* in a message or view.

        Args:
            user: May be left out where only one person sees it.
            value: Which of several (a feedback button, an option) or what was picked.
            values: The same for what takes several.
            state: What other inputs hold, by action id.
        """
        if isinstance(target, View):
            return await self._view_action(target, action_id, value, values, state or {})
        place = self._channel(target.channel, target.team)
        who = user or target.ephemeral_to
        assert who, "say which user presses"
        person = self._member(who, place)
        assert target.ephemeral_to in (None, person.id), "only one person sees this message"
        assert not target.is_deleted, "the message is gone"
        block_id, element = find_element(target.blocks, action_id, value)
        container: Json = {
            "type": "message",
            "message_ts": target.ts,
            "channel_id": place.id,
            "is_ephemeral": target.ephemeral_to is not None,
        }
        if target.thread_ts:
            container["thread_ts"] = target.thread_ts
        payload = self._interaction("block_actions", person, place.team) | {
            "container": container,
            "channel": {"id": place.id, "name": _hidden_name(place)},
            "state": {"values": state_values(target.blocks, state or {})},
            "response_url": self.slack.new_response_url(
                place, person, source=target, thread_ts=target.thread_ts
            ),
            "actions": [self._pressed(block_id, element, value, values)],
        }
        # What is ephemeral is not stored: its body is not sent along.
        if target.ephemeral_to is None:
            payload["message"] = target.json() | {"app_id": self.slack.app_id}
        return await self.slack.deliveries.send(INTERACTIVE, payload)

    async def shortcut(
        self,
        user: str | User,
        callback_id: str,
        message: Message | None = None,
        *,
        team: str | None = None,
    ) -> Delivery:
        """Of a message, or the global one, which knows no channel."""
        if message is None:
            person = self._user(user, team)
            payload = self._interaction("shortcut", person, person.team)
            payload |= {"callback_id": callback_id, "action_ts": self.slack.clock.next_ts()}
            return await self.slack.deliveries.send(INTERACTIVE, payload)
        place = self._channel(message.channel, message.team)
        person = self._member(user, place)
        payload = self._interaction("message_action", person, place.team) | {
            "callback_id": callback_id,
            "action_ts": self.slack.clock.next_ts(),
            "message_ts": message.ts,
            "message": message.json(),
            "channel": {"id": place.id, "name": _hidden_name(place)},
            "response_url": self.slack.new_response_url(place, person, thread_ts=message.thread_ts),
        }
        return await self.slack.deliveries.send(INTERACTIVE, payload)

    async def submit_view(self, view: View, values: Mapping[str, Any] | None = None) -> Delivery:
        """
        Press the button of a modal, with *values* by action id (or block id).

        The view closes, changes or stays with errors, as the app answers.
        """
        assert view.kind == "modal", view.kind
        assert view.is_open, "the view is not open any more"
        assert "submit" in view.view, "nothing to press"
        person = self._user(view.user, view.team)
        state = state_values(view.view["blocks"], values or {}, is_submit=True)
        payload = self._interaction("view_submission", person, view.team)
        payload |= {"view": view_json(self.slack, view, state), "response_urls": []}
        delivery = await self.slack.deliveries.send(INTERACTIVE, payload)
        if delivery.is_acknowledged:
            self._after_submit(view, delivery.answer)
        return delivery

    async def close_view(self, view: View) -> Delivery | None:
        """The app hears of it only if the view asked for that."""
        view.is_open = False
        if not view.view.get("notify_on_close"):
            return None
        person = self._user(view.user, view.team)
        payload = self._interaction("view_closed", person, view.team)
        payload |= {"view": view_json(self.slack, view), "is_cleared": False}
        return await self.slack.deliveries.send(INTERACTIVE, payload)

    async def _view_action(
        self,
        view: View,
        action_id: str,
        value: str | None,
        values: Sequence[str],
        state: Mapping[str, Any],
    ) -> Delivery:
        assert view.is_open, "the view is not open any more"
        person = self._user(view.user, view.team)
        blocks = view.view["blocks"]
        block_id, element = find_element(blocks, action_id, value)
        payload = self._interaction("block_actions", person, view.team) | {
            "container": {"type": "view", "view_id": view.id},
            "view": view_json(self.slack, view, state_values(blocks, state)),
            "actions": [self._pressed(block_id, element, value, values)],
        }
        return await self.slack.deliveries.send(INTERACTIVE, payload)

    def _pressed(
        self, block_id: str, element: Json, value: str | None, values: Sequence[str]
    ) -> Json:
        action_ts = self.slack.clock.next_ts()
        return pressed(element, value, values) | {"block_id": block_id, "action_ts": action_ts}

    def _after_submit(self, view: View, answer: Any) -> None:
        action = answer.get("response_action") if isinstance(answer, dict) else None
        match action:
            case "errors":
                blocks = {b.get("block_id") for b in view.view["blocks"]}
                unknown = set(answer["errors"]) - blocks
                assert not unknown, f"errors for blocks that do not exist: {unknown}"
                view.errors = dict(answer["errors"])
            case "update":
                change_view(view, answer["view"])
            case "push":
                person = self._user(view.user, view.team)
                add_view(self.slack, person, view.team, answer["view"])
            case None | "clear":
                view.is_open = False
            case _:
                raise Refused(f"unknown response_action {action}")

    def _interaction(self, kind: str, person: User, team: str) -> Json:
        enterprise = self.slack.world.enterprise_of(team)
        install = self._install(team)
        domain = {"id": team, "domain": team.lower()}
        of_org = {"enterprise_id": enterprise, "enterprise_name": enterprise} if enterprise else {}
        return {
            "type": kind,
            "token": "verification-token",
            "api_app_id": install.app_id,
            "team": domain | of_org,
            "enterprise": {"id": enterprise, "name": enterprise} if enterprise else None,
            "is_enterprise_install": install.is_enterprise_install,
            "user": {
                "id": person.id,
                "username": person.name.lower(),
                "name": person.name.lower(),
                "team_id": person.team,
            },
            "trigger_id": self.slack.new_trigger(person, team),
        }


def _hidden_name(place: Channel) -> str:
    """Payloads do not name what is private."""
    return {"public": place.name, "im": "directmessage"}.get(place.kind, "privategroup")
