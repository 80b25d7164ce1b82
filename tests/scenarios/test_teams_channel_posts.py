"""Posts of a Teams channel as documents: its members find what is in them, and nobody else."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.teams.channel_threads import IndexedChannel, channel_principal
from adapters.teams.graph import GraphFailure
from adapters.teams.post_jobs import REVIEW, post_handlers
from bot.inbox import InMemoryInbox
from bot.worker import Worker
from bot.yaml_directory import YamlDirectory
from retrieval.access import Level
from retrieval.errors import IngestError, StoreUnavailable
from retrieval.ingest import sync
from retrieval.types import IndexedDocument
from tests.builders import TENANT
from tests.fakes.teams import graph_messages
from tests.fakes.teams.messages import Message
from tests.fakes.teams_api import TeamsApi
from tests.teams_company import (
    ANN,
    CLOSED_TEAM,
    DAN,
    a_teams_company,
    furnish,
    guid,
)
from tests.teams_company import (
    BEN as BEN_IN_COMPANY,
)
from tests.teams_directory import ENTRA
from tests.teams_posts_stage import AMY, BEN, CAT, GUS, PEOPLE, ROOM, TEAM, Posts, a_channel

PATIENCE_S = 60
"""With a busy machine; nothing here is about how long anything takes."""
LEASE_S = 3600
"""By a clock that the test pushes forward."""


@pytest.fixture
async def posts() -> AsyncIterator[Posts]:
    async with a_channel() as posts:
        yield posts


async def say(posts: Posts, text: str, who: str = AMY, under: Message | None = None) -> Message:
    return await posts.api.says(who, ROOM, text, mention=False, reply_to=under)


async def test_a_post_and_its_replies_become_one_document(posts: Posts) -> None:
    root = await posts.api.says(
        AMY, ROOM, "The valve sticks.", mention=False, activity={"subject": "Valve 7"}
    )
    await say(posts, "Turn it to the left first.", BEN, root)

    await posts.sync()

    document = (await posts.documents())[root.id]
    assert document.id == f"teams-channel:{ENTRA}/{ROOM}/{root.id}"
    assert document.source == f"teams-channel:{ENTRA}/{ROOM}"
    assert document.title == "Valve 7"
    assert document.owner == f"teams:{ENTRA}/{AMY}"
    assert document.link is not None
    assert root.id in document.link
    assert document.modified_at is not None
    assert document.acl.principals == {channel_principal(TENANT, posts.channel)}
    assert document.acl.level is Level.INTERNAL
    text = await posts.found_by(AMY, "valve left")
    assert text.index("The valve sticks.") < text.index("Turn it to the left first.")
    assert "**Person 2**" in text


async def test_without_a_subject_the_first_line_is_the_title(posts: Posts) -> None:
    root = await say(posts, "Pump 3 leaks at the seal, again.")

    await posts.sync()

    assert (await posts.documents())[root.id].title == "Pump 3 leaks at the seal, again."


@pytest.mark.parametrize("type", ["standard", "private", "shared"])
async def test_members_find_it_and_nobody_else_does(type: str) -> None:
    async with a_channel(type, members=[AMY, BEN, GUS]) as posts:
        await say(posts, "The valve opens at 42 bar.")
        await posts.sync()

        assert "42 bar" in await posts.found_by(AMY, "valve")
        assert "42 bar" in await posts.found_by(BEN, "valve")
        # Not a member; and a guest whom the company does not know.
        assert await posts.found_by(CAT, "valve") == ""
        assert await posts.found_by(GUS, "valve") == ""


async def test_a_guest_whom_the_directory_names_finds_it_as_a_member_and_not_otherwise(
    tmp_path: Path,
) -> None:
    people = tmp_path / "people.yaml"
    people.write_text(f"users: {{gus: {{teams: {ENTRA}/{GUS}}}}}")
    company = YamlDirectory.load(people, TENANT)
    async with a_channel(members=[AMY, GUS], company=company) as posts:
        await say(posts, "The valve opens at 42 bar.")
        await posts.sync()
        before = await posts.found_by(GUS, "valve")

        await posts.api.leave(GUS, ROOM)
        await posts.api.settled()

        assert "42 bar" in before
        assert await posts.found_by(GUS, "valve") == ""


@pytest.mark.parametrize("type", ["standard", "private"])
async def test_who_leaves_finds_nothing_from_then_on_and_who_joins_all_of_it(type: str) -> None:
    async with a_channel(type) as posts:
        await say(posts, "The valve opens at 42 bar.")
        await posts.sync()
        before = [await posts.found_by(person, "valve") for person in (BEN, CAT)]

        await posts.api.leave(BEN, ROOM)
        await posts.api.join(CAT, ROOM)
        await posts.api.settled()

        assert before[0]
        assert not before[1]
        assert await posts.found_by(BEN, "valve") == ""
        assert "42 bar" in await posts.found_by(CAT, "valve")


async def test_a_team_that_is_told_of_without_its_group_is_looked_at_again_as_well(
    posts: Posts,
) -> None:
    posts.api.tells_group_ids = False
    await say(posts, "The valve opens at 42 bar.")
    await posts.sync()
    before = await posts.found_by(BEN, "valve")

    await posts.api.leave(BEN, TEAM)
    await posts.api.settled()

    assert before
    assert await posts.found_by(BEN, "valve") == ""


async def test_a_notification_of_a_changed_group_has_its_effect_at_once(posts: Posts) -> None:
    await say(posts, "The valve opens at 42 bar.")
    await posts.sync()
    before = await posts.found_by(BEN, "valve")
    await posts.api.leave(BEN, TEAM, tell=False)

    await posts.directory.group_changed(ENTRA, posts.channel.team_group)

    assert before
    assert await posts.found_by(BEN, "valve") == ""


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_where_members_are_not_told_nobody_finds_it_and_all_else_goes_on(status: int) -> None:
    async with a_channel() as posts:
        await say(posts, "The valve opens at 42 bar.")
        await posts.sync()
        posts.api.fail(
            "graph:/teams/{team}/channels/{channel}/allMembers", status=status, times=100
        )

        assert await posts.found_by(AMY, "valve") == ""


async def test_what_is_edited_and_deleted_is_followed(posts: Posts) -> None:
    edited, deleted = await say(posts, "The old text."), await say(posts, "The other text.")
    reply = await say(posts, "The first reply.", BEN, edited)
    await posts.sync()

    await posts.api.edit(edited, "The new text.")
    await posts.api.delete(deleted)
    await posts.api.delete(reply)
    await posts.sync()

    assert set(await posts.documents()) == {edited.id}
    text = await posts.found_by(AMY, "old new other text first reply")
    assert "The new text." in text
    assert "old" not in text
    assert "reply" not in text


async def test_a_changed_reply_that_graph_does_not_tell_of_is_seen_when_all_is_looked_at(
    posts: Posts,
) -> None:
    posts.deltas.tells_of_replies = False
    root = await say(posts, "The valve sticks.")
    reply = await say(posts, "The wrong advice.", BEN, root)
    await posts.sync()
    await posts.api.delete(reply)
    await posts.sync()
    before = await posts.found_by(AMY, "wrong advice")

    posts.now += 3600
    await posts.sync()

    assert "wrong" in before
    assert "wrong" not in await posts.found_by(AMY, "wrong advice valve")


async def test_a_deleted_post_takes_its_replies_along_and_may_come_back(posts: Posts) -> None:
    root = await say(posts, "The valve sticks.")
    await say(posts, "Turn it left.", BEN, root)
    await posts.sync()
    await posts.api.delete(root)
    await posts.sync()
    gone = await posts.documents()

    root.is_deleted = False
    await posts.sync()

    assert gone == {}
    assert "Turn it left." in await posts.found_by(AMY, "valve left")


async def test_what_bots_say_and_what_is_asked_of_them_alone_is_left_out(posts: Posts) -> None:
    asked = await posts.api.says(AMY, ROOM, "How many bar?")
    posts.api.teams.post(
        posts.api.teams.world.conversation(ROOM),
        posts.api.bot_id,
        {"text": "42 bar, says the bot."},
        is_from_app=True,
        thread=asked.id,
    )
    await posts.sync()
    before = await posts.documents()

    await say(posts, "It is 43 since May.", BEN, asked)
    await posts.sync()

    assert before == {}
    text = await posts.found_by(AMY, "bar")
    assert "43 since May" in text
    assert "says the bot" not in text


async def test_posts_of_long_ago_are_read_as_well(posts: Posts) -> None:
    old = await say(posts, "The valve of the first plant.")
    old.created_at -= 400 * 86_400

    await posts.sync()

    assert set(await posts.documents()) == {old.id}


async def test_a_thread_of_more_replies_than_are_told_at_once_is_read_to_its_end(
    posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_messages, "MOST_REPLIES", 2)
    root = await say(posts, "The valve sticks.")
    for n in range(70):
        await say(posts, f"Advice number {n}.", BEN, root)

    await posts.sync()

    text = await posts.found_by(AMY, "advice valve")
    assert all(f"Advice number {n}." in text for n in range(70))


async def test_a_second_look_at_what_has_not_changed_writes_nothing(posts: Posts) -> None:
    await say(posts, "The valve sticks.")
    await posts.sync()
    written = []
    original = posts.store.write

    async def noting(documents: list[IndexedDocument]) -> None:
        written.append(documents)
        await original(documents)

    posts.store.write = noting  # type: ignore[assignment, method-assign]
    await posts.sync(sweep=True)

    assert written == []
    assert posts.asked("/teams/{team}/channels/{channel}/messages") == 2


async def test_a_link_that_is_too_old_has_everything_looked_at(posts: Posts) -> None:
    deleted, kept = await say(posts, "The old valve."), await say(posts, "The new valve.")
    await posts.sync()
    posts.deltas.forget_links()
    await posts.api.delete(deleted)
    posts.api.teams.log.all.remove(deleted)
    posts.api.teams.log._by_id.pop((ROOM, deleted.id))

    await posts.sync()

    assert set(await posts.documents()) == {kept.id}


async def test_where_graph_tells_of_no_changes_everything_is_looked_at_each_time(
    posts: Posts,
) -> None:
    posts.api.fail("graph:channel_delta", status=400, times=100)
    root = await say(posts, "The old valve.")
    await posts.sync()
    before = await posts.found_by(AMY, "valve")

    await posts.api.edit(root, "The new valve.")
    await posts.sync()

    assert "old valve" in before
    assert "new valve" in await posts.found_by(AMY, "valve")


@pytest.mark.parametrize("what", ["permission", "channel"])
async def test_of_a_channel_that_may_not_be_read_any_more_nothing_is_left(what: str) -> None:
    async with a_channel() as posts:
        posts.api.forbid("ChannelMessage.Read.All")
        posts.api.permit("ChannelMessage.Read.Group", of=TEAM)
        await say(posts, "The valve sticks.")
        await posts.sync()
        before = await posts.documents()

        if what == "permission":
            posts.api.forbid("ChannelMessage.Read.Group", of=TEAM)
        else:
            await posts.api.delete_channel(ROOM)
        with pytest.raises(IngestError, match="Graph refuses"):
            await posts.sync()

        assert before
        assert await posts.documents() == {}
        assert await posts.ledger.channels() == []


async def test_a_permission_that_is_granted_again_brings_all_of_it_back(posts: Posts) -> None:
    root = await say(posts, "The valve sticks.")
    await posts.sync()
    posts.api.forbid("ChannelMessage.Read.All")
    with pytest.raises(IngestError):
        await posts.sync()

    posts.api.permit("ChannelMessage.Read.Group", of=TEAM)
    await posts.sync()

    assert set(await posts.documents()) == {root.id}


async def test_graph_being_away_leaves_what_there_is_and_keeps_what_was_read(posts: Posts) -> None:
    posts.deltas.page_size = 1
    first = await say(posts, "The first valve.")
    await posts.sync()
    second, third = await say(posts, "The second valve."), await say(posts, "The third valve.")
    posts.api.fail("graph:channel_delta", status=500, after=1, times=100)

    with pytest.raises(GraphFailure):
        await posts.sync()
    away = set(await posts.documents())
    posts.api.heal()
    await when_back(posts)

    assert first.id in away
    assert len(away) == 2
    assert set(await posts.documents()) == {first.id, second.id, third.id}


async def when_back(posts: Posts) -> None:
    """Graph is left alone for a moment after it has been away."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await posts.sync(sweep=True)
            except GraphFailure:
                await asyncio.sleep(0.05)


async def test_a_store_that_fails_midway_is_made_good_by_the_next_sync(posts: Posts) -> None:
    first = await say(posts, "The valve sticks.")
    await posts.sync()
    second = await say(posts, "The pump leaks.")
    original = posts.store.write

    async def failing(documents: list[IndexedDocument]) -> None:
        raise StoreUnavailable("away")

    posts.store.write = failing  # type: ignore[assignment, method-assign]
    with pytest.raises(StoreUnavailable):
        await posts.sync()
    posts.store.write = original  # type: ignore[method-assign]

    await posts.sync()

    assert set(await posts.documents()) == {first.id, second.id}


async def test_what_cannot_be_written_as_it_is_now_does_not_stay_as_it_was(
    posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await say(posts, "The old valve.")
    await posts.sync()
    before = set(await posts.documents())

    def failing(*parts: object) -> None:
        raise IngestError("cannot be split")

    monkeypatch.setattr(sync, "split", failing)
    await posts.api.edit(root, "The new valve.")
    await posts.sync()

    assert before == {root.id}
    assert await posts.documents() == {}


async def test_the_schedule_follows_each_channel_and_drops_those_that_are_not_wanted_any_more(
    posts: Posts,
) -> None:
    root = await say(posts, "The valve sticks.")
    missing = IndexedChannel(ENTRA, posts.channel.team_group, "19:none@thread.tacv2")
    await reviewed(posts, [missing, posts.channel])
    before = set(await posts.documents())

    await reviewed(posts, [])

    assert before == {root.id}
    assert await posts.documents() == {}


async def reviewed(posts: Posts, channels: list[IndexedChannel]) -> None:
    """The schedule has come round, with these channels in the settings."""
    inbox = InMemoryInbox(lease_s=LEASE_S, clock=lambda: posts.now)
    handlers = post_handlers(posts.sync_posts, channels, inbox)
    worker = Worker(inbox, handlers, idle_wait_s=0.002)
    await inbox.put("tick", f"job:{REVIEW}", REVIEW, "", is_awaited=False)
    posts.api.fail("graph:channel_delta", status=429, retry_after_s=0.2)
    async with asyncio.timeout(PATIENCE_S):
        running = asyncio.create_task(worker.run())
        while (await inbox.state()).unfinished:
            posts.now += 2
            await asyncio.sleep(0.01)
        await worker.stop(within_s=PATIENCE_S)
        await running
    posts.api.heal()
    assert await inbox.dead() == []


# Whatever happens in the channel ---------------------------------------------------------------


class Oracle:
    """What stands in the channel, decided by hand and not by our code: every message has a word of its own."""

    def __init__(self, posts: Posts, choose: random.Random) -> None:
        self.posts = posts
        self.choose = choose
        self.words: dict[str, str] = {}
        self.all_words: list[str] = []
        self.messages: list[Message] = []
        self.may_read = True

    async def happen(self) -> None:
        api, choose = self.posts.api, self.choose
        there = [m for m in self.messages if not m.is_deleted]
        roots = [m for m in there if m.thread is None]
        inside = [u.id for u in api.teams.world.members(api.teams.world.conversation(ROOM))]
        what = choose.randrange(10)
        if what <= 3 and inside:
            under = choose.choice([None, *roots])
            word = self._word()
            said = await say(self.posts, f"It is {word}.", choose.choice(inside), under)
            self.messages.append(said)
            self.words[said.id] = word
        elif what == 4 and there:
            message = choose.choice(there)
            self.words[message.id] = self._word()
            await api.edit(message, f"It is {self.words[message.id]}.")
        elif what == 5 and there:
            await api.delete(choose.choice(there))
        elif what <= 7:
            person = choose.choice(PEOPLE)
            if person in inside:
                await api.leave(person, ROOM)
            else:
                await api.join(person, ROOM)
            await api.settled()
        elif what == 8:
            self.may_read = not self.may_read
            change = api.permit if self.may_read else api.forbid
            change("ChannelMessage.Read.All")
        elif choose.random() < 0.3:
            self.posts.deltas.forget_links()

    def words_there(self) -> set[str]:
        """That a member sees; what is under a deleted post goes with it."""
        gone = {m.id for m in self.messages if m.is_deleted}
        return {self.words[m.id] for m in self.messages if not {m.id, m.thread} & gone}

    async def check(self, *, is_exact: bool) -> None:
        api = self.posts.api
        inside = {u.id for u in api.teams.world.members(api.teams.world.conversation(ROOM))}
        for person in PEOPLE:
            text = await self.posts.found_by(person, " ".join(self.all_words) or "it")
            found = {word for word in self.all_words if word in text}
            is_reader = person in inside and person != GUS
            expected = self.words_there() if is_reader and self.may_read else set()
            if not is_reader:
                assert found == set(), "who is not in the channel finds something"
            if is_exact:
                assert found == expected

    def _word(self) -> str:
        word = f"word{len(self.all_words)}x"
        self.all_words.append(word)
        return word


@pytest.mark.parametrize("type", ["standard", "private"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_after_every_sync_members_find_what_stands_in_the_channel_and_nobody_else_anything(
    type: str, seed: int
) -> None:
    async def history() -> None:
        choose = random.Random(seed)
        async with a_channel(type) as posts:
            posts.deltas.page_size = choose.choice([1, 2, 50])
            posts.deltas.tells_of_replies = choose.random() < 0.5
            oracle = Oracle(posts, choose)
            for _ in range(8):
                for _ in range(choose.randrange(5)):
                    await oracle.happen()
                    # Rights hold at once, whatever has been synced.
                    await oracle.check(is_exact=False)
                with suppress(IngestError):
                    await posts.sync(sweep=not posts.deltas.tells_of_replies)
                await oracle.check(is_exact=True)

    asyncio.run(history())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_syncs_that_fail_or_are_killed_end_in_the_same(seed: int) -> None:
    async def history() -> None:
        choose = random.Random(seed)
        async with a_channel() as posts:
            posts.deltas.page_size = choose.choice([1, 2])
            oracle = Oracle(posts, choose)
            for _ in range(6):
                for _ in range(choose.randrange(6)):
                    await oracle.happen()
                await _disturbed(posts, choose)
                posts.api.heal()
                await oracle.check(is_exact=False)
            with suppress(IngestError):
                await when_back(posts)
            await oracle.check(is_exact=True)

    asyncio.run(history())


async def _disturbed(posts: Posts, choose: random.Random) -> None:
    name = choose.choice(["channel_delta", "/teams/{team}/channels/{channel}/messages", "/$batch"])
    posts.api.fail(f"graph:{name}", status=500, after=choose.randrange(3), times=10)
    syncing = asyncio.create_task(posts.sync(sweep=choose.random() < 0.5))
    if choose.random() < 0.5:
        for _ in range(choose.randrange(200)):
            await asyncio.sleep(0)
        syncing.cancel()
    with suppress(GraphFailure, IngestError, asyncio.CancelledError):
        await syncing


# The whole product -----------------------------------------------------------------------------


async def test_a_question_is_answered_from_a_post_for_who_is_in_the_channel(
    tmp_path: Path, redis_url: str
) -> None:
    async with TeamsApi() as api:
        furnish(api)
        channels = [f"{guid(0x72)}/{CLOSED_TEAM}"]
        async with a_teams_company(tmp_path, api, redis_url, index_channels=channels) as company:
            await api.says(
                BEN_IN_COMPANY, CLOSED_TEAM, "The coolant pump needs a 17 mm key.", mention=False
            )
            inbox = company.conversations.inbox
            await inbox.put("tick", f"job:{REVIEW}", REVIEW, "", is_awaited=False)
            await company.settled()

            asked = await api.says(ANN, "personal", "Which key does the coolant pump need?")
            answer = await company.answered(asked)
            asked = await api.says(DAN, "personal", "Which key does the coolant pump need?")
            refusal = await company.answered(asked)
            await company.settled()

            assert "17 mm" in company.text(answer)
            assert "17 mm" not in company.text(refusal)
