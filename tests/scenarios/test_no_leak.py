"""Whatever documents, people, rooms and questions there are: nobody reads a word that is not theirs to read."""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.channel import RecordingChannel
from bot.messages import ConversationKind, ConversationRef, MessageRef, Reply, UserRef
from retrieval.access import (
    PUBLIC,
    Acl,
    Level,
    Principal,
    Reader,
    group_principal,
    tenant_principal,
    user_principal,
)
from retrieval.models import HashingEmbedder
from tests import engines
from tests.builders import TENANT, a_conversation, a_document
from tests.company import Company, TellingModel, dm, everything_shown

USERS = ("ann", "ben", "cho", "gus")
WORDS = ("zebrafinch", "quokkaberry", "ibexmarble", "tapirvalley", "okapilantern")
"""One secret word for each document; no other text holds any."""

PUBLIC_ROOM = ConversationKind.PUBLIC
TOPICS = ("budget", "預算", "merger")
PRINCIPALS: tuple[Principal, ...] = (
    PUBLIC,
    tenant_principal(TENANT),
    tenant_principal("other"),
    group_principal(TENANT, "eng"),
    group_principal(TENANT, "leads"),
    user_principal(TENANT, "ann"),
    user_principal(TENANT, "gus"),
)

acls = st.builds(
    Acl, st.frozensets(st.sampled_from(PRINCIPALS), max_size=3), st.sampled_from(list(Level))
)
people = st.fixed_dictionaries(
    {
        "groups": st.fixed_dictionaries(
            {
                "eng": st.lists(st.sampled_from(USERS), unique=True, max_size=3),
                "leads": st.lists(st.sampled_from(USERS), unique=True, max_size=2),
            }
        ),
        "users": st.fixed_dictionaries(
            {
                user: st.fixed_dictionaries(
                    {
                        "kind": st.sampled_from(["employee", "contractor", "guest"]),
                        "clearance": st.sampled_from(
                            ["public", "internal", "confidential", "secret"]
                        ),
                    }
                )
                for user in USERS
            }
        ),
        "conversations": st.fixed_dictionaries(
            {
                "#room": st.fixed_dictionaries(
                    {
                        "kind": st.sampled_from(["private", "public"]),
                        "members": st.lists(
                            st.sampled_from(USERS), unique=True, min_size=1, max_size=4
                        ),
                    }
                )
            }
        ),
    }
)
# Follow-ups are the many, since only they use what was said before.
questions = st.sampled_from(
    [
        "What is the project budget?",
        "What is the project budget?",
        "And the merger?",
        "And the budget?",
        "Why is it so?",
        "專案預算是多少？",
        "那它呢？",
        "why?",
        *(f"What is {word}?" for word in WORDS),
    ]
)


@dataclass(frozen=True)
class Step:
    """One question, after what changed before it."""

    text: str
    user: str
    where: str
    kind: ConversationKind
    people: dict[str, object] | None
    acls: dict[int, Acl]

    @property
    def conversation(self) -> ConversationRef:
        return a_conversation("#room", self.kind) if self.where == "#room" else dm(self.user)


steps = st.builds(
    Step,
    text=questions,
    user=st.sampled_from([*USERS[:1] * 4, *USERS[1:], "unknown"]),
    where=st.sampled_from(["#room", "#room", "#room", "dm"]),
    kind=st.sampled_from([ConversationKind.PRIVATE, ConversationKind.PUBLIC]),
    people=st.none() | st.none() | people,
    acls=st.dictionaries(st.integers(0, 4), acls, max_size=3),
)


class NotesPrompts(RecordingChannel):
    """Also keeps how many prompts had been sent when the reply for everybody was posted."""

    def __init__(self, model: TellingModel) -> None:
        super().__init__()
        self._model = model
        self.prompts_for_everybody = 0

    async def update(self, message: MessageRef, reply: Reply) -> None:
        await super().update(message, reply)
        self.prompts_for_everybody = len(self._model.asked)


class World:
    """The company with its access lists as they are now, and the words that people said themselves."""

    def __init__(self, company: Company, access: list[Acl]) -> None:
        self._company = company
        self._access = access
        self._said: dict[str, str] = {}

    async def change(self, step: Step) -> None:
        if step.people is not None:
            self._company.hire(step.people)
        for number, acl in step.acls.items():
            if number < len(self._access):
                self._access[number] = acl
                await self._company.store.change_acl(f"doc-{number}", acl)

    def listen(self, step: Step) -> str:
        """All that people said in this conversation so far."""
        key = step.conversation.key
        self._said[key] = self._said.get(key, "") + "\n" + step.text
        return self._said[key]

    async def forbidden(self, conversation: ConversationRef, users: Sequence[UserRef]) -> set[str]:
        """Words that not all of *users*, and of whoever can join *conversation*, may read."""
        readers = [await self._reader(user) for user in users]
        room = await self._company.directory.room(conversation)
        if room is not None:
            if PUBLIC_ROOM in (room.kind, conversation.kind):
                joining = frozenset({PUBLIC, tenant_principal(TENANT)})
                readers.append(Reader(joining, Level.INTERNAL))
            elif not set(users) <= set(room.members):
                # Who writes without being a member shows that nobody knows the members.
                readers.append(Reader.stranger())
        pairs = zip(WORDS, self._access, strict=False)
        return {word for word, acl in pairs if not all(may_read(r, acl) for r in readers)}

    async def members(self, step: Step) -> list[UserRef]:
        """Whoever sees a reply for everybody."""
        room = await self._company.directory.room(step.conversation)
        asker = UserRef(TENANT, step.user)
        return [asker] if room is None else [*room.members, asker]

    async def _reader(self, user: UserRef) -> Reader:
        person = await self._company.directory.person(user)
        return person.reader if person else Reader.stranger()


def may_read(reader: Reader, acl: Acl) -> bool:
    """The rule again, in other words than the code's."""
    shared = [principal for principal in acl.principals if principal in reader.principals]
    return not acl.level > reader.clearance and len(shared) > 0


def held(text: str, words: set[str]) -> set[str]:
    return {word for word in words if word in text}


async def take(step: Step, company: Company, model: TellingModel, world: World) -> None:
    """Ask, and look at everything that anybody sees, that the model is told, and that is kept."""
    await world.change(step)
    said = world.listen(step)
    conversation, asker = step.conversation, UserRef(TENANT, step.user)
    for_everybody = await world.forbidden(conversation, await world.members(step))
    for_asker = await world.forbidden(dm(step.user), [asker])
    model.asked.clear()

    posted = await company.asked(step.text, user=step.user, where=conversation)

    for message in posted:
        is_private = message.ref.private_to is not None
        assert not held(everything_shown([message]), for_asker if is_private else for_everybody)
    assert [m.ref.private_to for m in posted] in ([None], [None, asker])
    channel = company.channel
    assert isinstance(channel, NotesPrompts)
    told, told_in_private = (
        "\n".join(model.asked[: channel.prompts_for_everybody]),
        "\n".join(model.asked[channel.prompts_for_everybody :]),
    )
    assert held(told, for_everybody) <= held(said, set(WORDS))
    assert held(told_in_private, for_asker) <= held(said, set(WORDS))
    session = await company.state.load_session(conversation.key)
    assert held(repr(session.turns[-1]), for_everybody) <= held(said, set(WORDS))


@settings(
    # Each makes a tenant of its own, which takes a server its time.
    max_examples=60 if "SHIFU_TEST_WEAVIATE_URL" in os.environ else 250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    access=st.lists(acls, min_size=1, max_size=len(WORDS)),
    topics=st.lists(st.sampled_from(TOPICS), min_size=5, max_size=5),
    first_people=people,
    walk=st.lists(steps, min_size=2, max_size=6),
    has_model=st.sampled_from([True, True, False]),
    has_vectors=st.booleans(),
)
def test_no_reply_prompt_or_memory_holds_what_a_reader_may_not_read(
    access: list[Acl],
    topics: list[str],
    first_people: dict[str, object],
    walk: list[Step],
    has_model: bool,
    has_vectors: bool,
) -> None:
    async def run() -> None:
        model = TellingModel()
        company = Company(
            Path(folder),
            people=first_people,
            model=model if has_model else None,
            embedder=HashingEmbedder() if has_vectors else None,
            channel=NotesPrompts(model),
        )
        documents = [
            a_document(
                f"The project {topic} is {word}.", id=f"doc-{n}", title=f"{topic} {word}", acl=acl
            )
            for n, (acl, topic, word) in enumerate(zip(access, topics, WORDS, strict=False))
        ]
        await company.knows(*documents)
        if has_vectors:
            chunks = [chunk for indexed in documents for chunk in indexed.chunks]
            vectors = await HashingEmbedder().embed([chunk.text for chunk in chunks])
            await company.store.write_vectors(
                {chunk.id: vector for chunk, vector in zip(chunks, vectors, strict=True)}
            )
        world = World(company, list(access))
        for step in walk:
            await take(step, company, model, world)

    async def run_and_close() -> None:
        try:
            await run()
        finally:
            await engines.current.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run_and_close())


async def test_the_words_would_be_found_if_they_leaked(tmp_path: Path) -> None:
    """What is looked for above does occur where it may."""
    model = TellingModel()
    company = Company(tmp_path, model=model)
    await company.knows(
        a_document("The project budget is zebrafinch.", acl=Acl(frozenset({PUBLIC}), Level.PUBLIC))
    )

    posted = await company.asked("What is the project budget?", user="gus")

    assert held(everything_shown(posted), set(WORDS)) == {"zebrafinch"}
    assert held("\n".join(model.asked), set(WORDS)) == {"zebrafinch"}
