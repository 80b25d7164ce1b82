"""What has changed in a channel since somebody asked last, as Graph tells it."""

from dataclasses import dataclass, field

from tests.fakes.teams.graph import GRAPH
from tests.fakes.teams.graph_messages import (
    MOST_MESSAGES,
    message_json,
    readable_channel,
    shown,
    with_replies,
)
from tests.fakes.teams.messages import Message
from tests.fakes.teams.platform import Teams
from tests.fakes.teams.routes import Call
from tests.fakes.teams.world import Conversation, Json, Refused

_EIGHT_MONTHS_S = 8 * 30 * 86_400.0


@dataclass(slots=True)
class ChannelDeltas:
    """
    Of all channels; `deltas_of(api)` gives those of a double.

    Attributes:
        tells_of_replies: A post is told again when a reply to it is new, changed or deleted.
        epoch: Links of earlier ones are not good any more.
    """

    tells_of_replies: bool = True
    epoch: int = 0
    page_size: int = MOST_MESSAGES
    snapshots: list[dict[str, str]] = field(default_factory=list)
    listings: list[tuple[list[str], int]] = field(default_factory=list)
    """Ids to tell page by page, and the snapshot that the link at their end stands for."""

    def forget_links(self) -> None:
        self.epoch += 1


def deltas_of(teams: Teams) -> ChannelDeltas:
    if teams.channel_deltas is None:
        teams.channel_deltas = ChannelDeltas()
    assert isinstance(teams.channel_deltas, ChannelDeltas)
    return teams.channel_deltas


@GRAPH.add("GET", "/teams/{team}/channels/{channel}/messages/delta", name="channel_delta")
def channel_delta(call: Call) -> Json:
    place, deltas = readable_channel(call), deltas_of(call.teams)
    kind, epoch, place_in_list, start = (
        call.query.get("$skiptoken") or call.query.get("$deltatoken") or f"all-{deltas.epoch}-0-0"
    ).split("-")
    if int(epoch) != deltas.epoch:
        raise Refused(410, "syncStateNotFound", "The sync state generation is not found.")
    number = int(place_in_list)
    if kind != "page":
        before = deltas.snapshots[number] if kind == "later" else {}
        deltas.snapshots.append(_snapshot(call, place, deltas))
        now = deltas.snapshots[-1]
        changed = [id for id, state in now.items() if before.get(id) != state]
        deltas.listings.append((changed, len(deltas.snapshots) - 1))
        number = len(deltas.listings) - 1
    ids, snapshot = deltas.listings[number]
    end = int(start) + min(deltas.page_size, int(call.query.get("$top", deltas.page_size)))
    roots = [call.teams.log.find(place.id, id) for id in ids[int(start) : end]]
    listed = [message_json(call.teams, place, root) for root in roots if root]
    body: Json = {"value": [with_replies(call, place, root) for root in listed]}
    # What was asked for at first is in the link.
    asked = f"$expand={call.query['$expand']}&" if "$expand" in call.query else ""
    base = f"{call.teams.graph_url}/v1.0{call.path}?{asked}"
    if end < len(ids):
        body["@odata.nextLink"] = f"{base}$skiptoken=page-{epoch}-{number}-{end}"
    else:
        body["@odata.deltaLink"] = f"{base}$deltatoken=later-{epoch}-{snapshot}-0"
    return body


def _snapshot(call: Call, place: Conversation, deltas: ChannelDeltas) -> dict[str, str]:
    """What is told of each post, to be compared; those that nobody touched for long are left out."""
    all_shown = shown(call, place)
    since = call.teams.clock.now() - _EIGHT_MONTHS_S
    found = {}
    for root in all_shown:
        if root.thread is not None or root.created_at < since:
            continue
        told = [root, *(m for m in all_shown if m.thread == root.id and deltas.tells_of_replies)]
        found[root.id] = " ".join(_state(message) for message in told)
    return found


def _state(message: Message) -> str:
    return f"{message.id}:{len(message.versions)}:{message.is_deleted}"
