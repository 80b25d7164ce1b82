"""Commands as people use them: what they tell, to whom, and what they leave behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.channel import Posted
from bot.commands import Command, CommandCall, parse
from bot.directory import Person
from bot.explaining import TokenPrices
from bot.messages import (
    ConversationKind,
    ConversationRef,
    Preferences,
    ReplyKind,
    Session,
    UserRef,
)
from bot.redis_client import open_redis
from bot.redis_records import RedisRecords
from bot.redis_state import RedisState
from bot.yaml_directory import YamlDirectory
from retrieval.access import PUBLIC, Level, tenant_principal
from retrieval.embedded_store import EmbeddedStore
from retrieval.models import ScriptedModel
from retrieval.types import IndexedDocument, Language
from tests.builders import ENG, SALES, TENANT, a_conversation, a_document, a_message, an_acl
from tests.company import (
    DEAL_ROOM,
    ENG_ROOM,
    GENERAL,
    PEOPLE,
    ChangingRooms,
    Company,
    TellingModel,
    WaitingModel,
    dm,
    everything_shown,
)

EVERYBODY = tenant_principal(TENANT)
ANN, SAM = UserRef(TENANT, "ann"), UserRef(TENANT, "sam")
FALCON = "When is the Falcon tape-out?"
LEAVE = "How long is parental leave in Taiwan?"


def tape_out() -> IndexedDocument:
    text = "The Falcon tape-out is on May 7."
    return a_document(text, id="tape-out", title="Falcon schedule", acl=an_acl(ENG), source="wiki")


def leave() -> IndexedDocument:
    text = "Parental leave is at most 24 months in Taiwan."
    return a_document(text, id="leave", title="Leave", acl=an_acl(EVERYBODY), source="handbook")


@pytest.fixture
async def company(tmp_path: Path) -> Company:
    company = Company(tmp_path)
    await company.knows(tape_out(), leave())
    return company


def whisper(room: ConversationRef, user: str) -> ConversationRef:
    """Beside a room, where only one person sees what is said."""
    return replace(room, kind=ConversationKind.DIRECT, thread=f"ask:{user}")


def titles(posted: Posted) -> list[str]:
    return [citation.chunk.document.title for citation in posted.final.citations]


class TestWhatIsACommand:
    @pytest.mark.parametrize(
        ("text", "call"),
        [
            ("help", CommandCall(Command.HELP)),
            (" Help ", CommandCall(Command.HELP)),
            ("？", CommandCall(Command.HELP)),
            ("/help", CommandCall(Command.HELP)),
            ("／說明", CommandCall(Command.HELP)),
            ("/shifu", CommandCall(Command.HELP)),
            ("/shifu why abc", CommandCall(Command.WHY, "abc")),
            ("/Shifu /why abc", CommandCall(Command.WHY, "abc")),
            ("/why", CommandCall(Command.WHY)),
            ("/why  0a1b ", CommandCall(Command.WHY, "0a1b")),
            ("/為什麼", CommandCall(Command.WHY)),
            ("/來源", CommandCall(Command.SOURCES)),
            ("/狀態", CommandCall(Command.STATUS)),
            ("/語言 中文", CommandCall(Command.LANGUAGE, "中文")),
            ("forget", CommandCall(Command.FORGET)),
            ("/forget this", CommandCall(Command.FORGET)),
            ("/forget ME", CommandCall(Command.FORGET_ME)),
            ("forget me", CommandCall(Command.FORGET_ME)),
            ("忘記我", CommandCall(Command.FORGET_ME)),
            ("/忘記 我", CommandCall(Command.FORGET_ME)),
            ("/report it is\nold", CommandCall(Command.REPORT, "it is\nold")),
            ("/whatever you say", CommandCall(Command.UNKNOWN, "whatever")),
            ("/shifu whatever", CommandCall(Command.UNKNOWN, "whatever")),
        ],
    )
    def test_these_are(self, text: str, call: CommandCall) -> None:
        assert parse(text) == call

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "/",
            "why",
            "status",
            "sources?",
            "help me",
            "forget me not",
            "/etc/hosts holds what?",
            "why is /help there",
            "為什麼",
        ],
    )
    def test_these_are_questions(self, text: str) -> None:
        assert parse(text) is None


class TestHelp:
    async def test_it_lists_every_command_in_the_persons_language(self, company: Company) -> None:
        english = await company.told("/help")
        chinese = await company.told("說明")

        for command in ("help", "sources", "why", "status", "language", "forget me", "report"):
            assert f"`/{command}`" in english
        for command in ("說明", "來源", "為什麼", "狀態", "語言", "忘記我", "回報"):
            assert f"`/{command}`" in chinese

    async def test_it_is_written_as_commands_are_where_it_is_read(self, company: Company) -> None:
        other = replace(a_message("/help"), conversation=replace(dm("ann"), platform="other"))
        here = a_message("/help", conversation=ENG_ROOM)

        help = CommandCall(Command.HELP)
        alone = await company.commands.reply(help, other, Language.ENGLISH)
        shared = await company.commands.reply(help, here, Language.ENGLISH)

        assert "`/shifu why`" in alone.text
        assert "right here" in alone.text
        assert "`/why`" in shared.text
        assert "in the same thread" in shared.text

    async def test_somebody_with_a_chinese_client_reads_chinese(self, company: Company) -> None:
        message = replace(a_message("/help"), locale=Language.CHINESE)

        (posted,) = await company.received(message)

        assert posted.final.language is Language.CHINESE

    async def test_an_unknown_command_is_no_question(self, company: Company) -> None:
        (posted,) = await company.asked("/parental leave in Taiwan")

        assert posted.final.kind is ReplyKind.NOTICE
        assert "“parental”" in posted.final.text
        assert "`/sources`" in posted.final.text
        assert len(posted.versions) == 1
        assert await company.records.of_user(ANN, limit=1) == []


class TestSources:
    async def test_one_person_reads_what_they_may_read(self, company: Company) -> None:
        ann, sam = await company.told("/sources"), await company.told("/sources", user="sam")

        assert "`wiki`: 1 document, latest change 2026-01-02" in ann
        assert "`handbook`: 1" in ann
        assert "handbook" in sam
        assert "wiki" not in sam

    async def test_in_a_room_it_is_what_all_who_are_there_may_read(self, company: Company) -> None:
        engineers = await company.told("/sources", where=ENG_ROOM)
        mixed = await company.told("/來源", where=DEAL_ROOM)
        public = await company.told("/sources", where=GENERAL)

        assert "wiki" in engineers
        assert "`handbook`：1 份文件" in mixed
        assert "wiki" not in mixed + public

    async def test_who_is_unknown_reads_of_public_ones_alone_and_why(
        self, company: Company
    ) -> None:
        (before,) = await company.asked("/sources", user="stranger")
        await company.knows(
            a_document("Open at nine.", acl=an_acl(PUBLIC, level=Level.PUBLIC), source="site")
        )
        (posted,) = await company.asked("/sources", user="stranger")

        assert "no document that you may read" in before.final.text
        assert "`site`: 1" in posted.final.text
        assert "handbook" not in posted.final.text
        assert "could not check" in (posted.final.notice or "")

    @pytest.mark.parametrize(
        "members", [[["ann", "ben"], ["ann", "ben", "sam"]], [["ann"], ["ann", "sam"], ["ann"]]]
    )
    async def test_who_joins_meanwhile_reads_nothing_forbidden(
        self, tmp_path: Path, members: list[list[str]]
    ) -> None:
        Company(tmp_path)
        directory = ChangingRooms(YamlDirectory(tmp_path / "people.yaml", TENANT), *members)
        company = Company(tmp_path, directory=directory)
        await company.knows(tape_out(), leave())

        (posted,) = await company.asked("/sources", where=ENG_ROOM)

        assert "wiki" not in everything_shown([posted])

    async def test_a_name_of_a_source_is_shown_as_one(self, company: Company) -> None:
        name = "folder:/srv/secret/a`b [x](evil)\n# c"
        await company.knows(a_document("x", source=name, acl=an_acl(EVERYBODY)))

        told = await company.told("/sources")

        assert "`a'b [x](evil) # c`: 1" in told
        assert "secret" not in told

    async def test_while_the_store_is_away_it_says_so(self, tmp_path: Path) -> None:
        store = await EmbeddedStore.open(tmp_path / "store", embedder_name=None)
        company = Company(tmp_path, store=store)
        await store.close()

        assert "cannot reach the document store" in await company.told("/sources")
        assert "Documents: not reachable" in await company.told("/status")


class TestWhy:
    async def test_an_answer_without_a_model_is_explained(self, company: Company) -> None:
        await company.asked(FALCON)

        (posted,) = await company.asked("/why")

        assert "what you can read" in posted.final.text
        assert "- Falcon schedule [1]" in posted.final.text
        assert "No model: the sentences are the documents' own." in posted.final.text
        assert "seconds." in posted.final.text
        assert titles(posted)[0] == "Falcon schedule"
        assert posted.final.kind is ReplyKind.NOTICE
        assert posted.final.feedback_id is None

    async def test_an_answer_of_a_model_tells_its_tokens_and_its_price(
        self, tmp_path: Path
    ) -> None:
        model = ScriptedModel("The Falcon tape-out is on May 7 [1].")
        company = Company(tmp_path, model=model, prices=TokenPrices(1_000_000, 0))
        await company.knows(tape_out())
        await company.asked(FALCON)

        told = await company.told("/why")

        assert "The model scripted wrote the answer" in told
        assert "37 tokens" in told
        assert "US$1.0000" in told

    async def test_without_prices_nothing_is_said_of_cost(self, tmp_path: Path) -> None:
        model = ScriptedModel("The Falcon tape-out is on May 7 [1].")
        company = Company(tmp_path, model=model)
        await company.knows(tape_out())
        await company.asked(FALCON)

        assert "US$" not in await company.told("/為什麼")

    async def test_the_scope_is_told_in_words(self, company: Company) -> None:
        await company.asked(LEAVE, where=ENG_ROOM)
        await company.asked(LEAVE, where=GENERAL)

        here = await company.told("/why", where=ENG_ROOM)
        chinese = await company.told("/為什麼", where=ENG_ROOM)
        public = await company.told("/why", where=GENERAL)

        assert "what all 2 people here can read." in here
        assert "這裡 2 位成員都能讀的內容" in chinese
        assert "what all 3 people here can read, and everyone who may join" in public

    async def test_an_unchecked_answer_is_explained_as_one(self, company: Company) -> None:
        await company.asked(LEAVE, user="stranger")

        told = await company.told("/why", user="stranger")

        assert "public documents only" in told
        assert "not enough to answer" in told

    async def test_readers_who_came_later_are_told_of_no_source_that_they_may_not_read(
        self, company: Company
    ) -> None:
        await company.asked(FALCON, where=ENG_ROOM)
        people = PEOPLE | {
            "conversations": {"#eng": {"kind": "private", "members": ["ann", "ben", "sam"]}}
        }
        company.hire(people)

        (posted,) = await company.asked("/why", where=ENG_ROOM)

        assert "Falcon" not in everything_shown([posted])
        assert "what all 2 people here can read" in posted.final.text

    async def test_rights_that_are_gone_hold_for_old_answers_too(self, company: Company) -> None:
        await company.asked(FALCON)
        await company.store.change_acl("tape-out", an_acl(SALES))

        (posted,) = await company.asked("/why")

        assert "Falcon" not in everything_shown([posted])

    async def test_in_a_room_nothing_hints_at_the_private_answer(self, company: Company) -> None:
        _, private = await company.asked(FALCON, where=DEAL_ROOM)
        id = private.final.feedback_id

        by_default = await company.asked("/why", where=DEAL_ROOM)
        by_id = await company.asked(f"/why {id}", where=DEAL_ROOM)

        assert "Falcon" not in everything_shown([*by_default, *by_id])
        assert "no answer with this number" in by_id[0].final.text

    async def test_whispered_it_explains_the_private_answer_to_its_reader(
        self, company: Company
    ) -> None:
        public, private = await company.asked(FALCON, where=DEAL_ROOM)
        beside = whisper(DEAL_ROOM, "ann")

        (last,) = await company.asked("/why", where=beside)
        (by_id,) = await company.asked(f"/why {private.final.feedback_id}", where=beside)
        (shared,) = await company.asked(f"/why {public.final.feedback_id}", where=beside)

        assert titles(last)[0] == titles(by_id)[0] == "Falcon schedule"
        assert "what you can read" in by_id.final.text
        assert "what all 2 people here can read" in shared.final.text

    async def test_somebody_elses_private_answer_is_nobodys_business(
        self, company: Company
    ) -> None:
        (mine,) = await company.asked(LEAVE)
        _, private = await company.asked(FALCON, where=DEAL_ROOM)

        for answer in (mine, private):
            for where in (dm("sam"), whisper(DEAL_ROOM, "sam"), DEAL_ROOM):
                id = answer.final.feedback_id
                told = await company.told(f"/why {id}", user="sam", where=where)
                assert "no answer with this number" in told

    async def test_who_reads_a_room_may_ask_why_somebody_was_answered_so_there(
        self, company: Company
    ) -> None:
        (answer,) = await company.asked(LEAVE, user="ann", where=ENG_ROOM)
        id = answer.final.feedback_id

        member = await company.told(f"/why {id}", user="ben", where=whisper(ENG_ROOM, "ben"))
        at_home = await company.told(f"/why {id}", user="ben")
        stranger = await company.told(f"/why {id}", user="sam")
        elsewhere = await company.told(f"/why {id}", user="ann", where=DEAL_ROOM)

        assert "2 people here" in member
        assert "2 people in that conversation" in at_home
        assert "no answer with this number" in stranger
        assert "no answer with this number" in elsewhere

    async def test_the_last_answer_is_that_of_the_thread(self, company: Company) -> None:
        first, second = (replace(ENG_ROOM, thread=t) for t in ("t1", "t2"))
        await company.asked(FALCON, where=first)
        await company.asked("xyzzy", where=second)

        assert titles((await company.asked("/why", where=first))[0])[0] == "Falcon schedule"
        assert "none" in await company.told("/why", where=second)

    async def test_without_an_answer_there_is_nothing_to_explain(self, company: Company) -> None:
        await company.asked(LEAVE, user="ben", where=ENG_ROOM)

        assert "no answer here" in await company.told("/why")
        assert "no answer here" in await company.told("/why", user="ann", where=ENG_ROOM)

    async def test_while_it_cannot_be_looked_up_it_says_so(self, tmp_path: Path) -> None:
        redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.5)
        company = Company(tmp_path, records=RedisRecords(redis, tenant=TENANT, timeout_s=1))
        await company.knows(leave())

        assert "24 months" in await company.told(LEAVE)
        assert "cannot look that up" in await company.told("/why")


class TestRecords:
    async def test_an_answer_is_recorded_with_what_it_rests_on(self, company: Company) -> None:
        message = a_message(LEAVE, conversation=ENG_ROOM)
        (posted,) = await company.received(message)

        (record,) = await company.records.of_user(ANN, limit=9)

        assert record.id == posted.final.feedback_id
        assert record.event_id == message.event_id
        assert record.question == LEAVE
        assert record.cited == ("leave#0",)
        assert record.considered[0] == "leave#0"
        assert (record.readers, record.is_checked, record.is_private) == (2, True, False)

    async def test_the_private_answer_has_a_record_of_its_own(self, company: Company) -> None:
        public, private = await company.asked(FALCON, where=DEAL_ROOM)

        records = {r.id: r for r in await company.records.of_user(ANN, limit=9)}

        assert not records[str(public.final.feedback_id)].is_private
        assert records[str(private.final.feedback_id)].is_private
        assert records[str(private.final.feedback_id)].cited == ("tape-out#0",)

    async def test_a_question_that_is_taken_up_again_is_recorded_once(self, tmp_path: Path) -> None:
        model = WaitingModel("Falcon")
        company = Company(tmp_path, model=model, max_tries=5)
        await company.knows(tape_out())
        message = a_message(FALCON)
        await company.begin(message)
        await model.waits.wait()
        await company.dies()
        model.go_on.set()

        await company.received(message)

        assert len(await company.records.of_user(ANN, limit=9)) == 1


class TestStatus:
    async def test_everybody_is_told_in_plain_words(self, company: Company) -> None:
        told = await company.told("/status")
        chinese = await company.told("/狀態")

        assert "Documents: reachable" in told
        assert "Model: none" in told
        assert "Memory: works" in told
        assert "nobody is waiting" in told
        assert "沒有人在等候" in chinese
        assert "administrators" not in told

    async def test_an_administrator_is_told_figures_where_nobody_else_reads(
        self, tmp_path: Path
    ) -> None:
        company = Company(tmp_path, admins=["ann"], model=TellingModel())
        await company.knows(tape_out(), leave())

        alone = await company.told("/status")
        in_room = await company.told("/status", where=ENG_ROOM)
        sam = await company.told("/status", user="sam")

        assert "Model: telling" in alone
        assert "2 documents, 2 passages, 2 of them without a vector" in alone
        assert "0 given up" in alone
        assert "passages" not in in_room + sam

    async def test_a_platforms_own_id_makes_nobody_an_administrator(self, tmp_path: Path) -> None:
        class Slackish(YamlDirectory):
            async def person(self, user: UserRef) -> Person | None:
                person = await super().person(UserRef(TENANT, "ben"))
                assert person is not None
                return replace(person, ref=user, company_id=None)

        Company(tmp_path)
        directory = Slackish(tmp_path / "people.yaml", TENANT)
        company = Company(tmp_path, directory=directory, admins=["ann", "ben"])

        assert "administrators" not in await company.told("/status", user="ann")

    async def test_while_redis_is_away_it_is_said(self, tmp_path: Path) -> None:
        redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.5)
        company = Company(tmp_path, state=RedisState(redis, tenant=TENANT, timeout_s=1))

        assert "Memory: away" in await company.told("/status")


class TestLanguage:
    async def test_the_chosen_language_is_that_of_answers_and_of_our_own_words(
        self, company: Company
    ) -> None:
        confirmed = await company.told("/language zh")

        (answer,) = await company.asked(LEAVE)
        refused = await company.told("x" * 8_001)

        assert confirmed.startswith("好的")
        assert {reply.language for reply in answer.versions} == {Language.CHINESE}
        assert "24 months" in answer.final.text
        assert "字元" in refused
        assert "24 months" in (await company.asked(LEAVE, user="ben"))[0].final.text
        assert (await company.asked(LEAVE, user="ben"))[0].final.language is Language.ENGLISH

    async def test_a_model_is_told_the_chosen_language(self, tmp_path: Path) -> None:
        model = TellingModel()
        company = Company(tmp_path, model=model)
        await company.knows(leave())
        await company.asked("/language zh")

        (answer,) = await company.asked(LEAVE)

        assert "Write in Traditional Chinese" in model.asked[-1]
        assert {reply.language for reply in answer.versions} == {Language.CHINESE}

    async def test_auto_is_the_language_of_each_question_again(self, company: Company) -> None:
        await company.asked("/語言 英文")
        english = await company.told("請假要怎麼申請？")
        await company.asked("/language auto")
        chinese = await company.told("請假要怎麼申請？")

        assert english.isascii() or "請假" not in english[:5]
        assert any("\u4e00" <= c <= "\u9fff" for c in chinese)
        assert await company.state.preferences(ANN) == Preferences()

    @pytest.mark.parametrize("text", ["/language", "/language klingon"])
    async def test_anything_else_is_told_what_there_is(self, company: Company, text: str) -> None:
        assert "`/language zh`" in await company.told(text)

    async def test_while_it_cannot_be_kept_it_says_so(self, tmp_path: Path) -> None:
        redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.5)
        company = Company(tmp_path, state=RedisState(redis, tenant=TENANT, timeout_s=1))

        assert "cannot keep that" in await company.told("/language zh")


class TestForget:
    async def test_a_conversation_is_forgotten_with_what_was_kept_of_my_questions_there(
        self, company: Company
    ) -> None:
        await company.asked(LEAVE, where=ENG_ROOM)
        await company.asked(LEAVE, user="ben", where=ENG_ROOM)
        await company.asked(FALCON)

        await company.asked("/forget", where=ENG_ROOM)

        assert await company.state.load_session(ENG_ROOM.key) == Session()
        assert [r.question for r in await company.records.of_user(ANN, limit=9)] == [FALCON]
        assert len(await company.records.of_user(UserRef(TENANT, "ben"), limit=9)) == 1

    async def test_the_private_part_beside_it_is_forgotten_too(self, company: Company) -> None:
        await company.asked(FALCON, where=DEAL_ROOM)
        (key,) = [k for k in await company.state.sessions_of(ANN) if "private" in k]

        await company.asked("/忘記", where=DEAL_ROOM)

        assert await company.state.load_session(key) == Session()
        assert await company.records.of_user(ANN, limit=9) == []

    async def test_whispered_beside_a_direct_message_it_forgets_that(
        self, company: Company
    ) -> None:
        await company.asked(LEAVE)

        await company.asked("/forget", where=whisper(dm("ann"), "ann"))

        assert await company.state.load_session(dm("ann").key) == Session()
        assert await company.records.of_user(ANN, limit=9) == []

    @pytest.mark.parametrize("text", ["forget me", "/忘記我"])
    async def test_somebody_is_forgotten_everywhere_and_nobody_else_is(
        self, company: Company, text: str
    ) -> None:
        await company.asked("/language zh")
        await company.asked(LEAVE, where=ENG_ROOM)
        await company.asked("And in Germany?", user="ben", where=ENG_ROOM)
        await company.asked(FALCON, where=DEAL_ROOM)
        await company.asked("/report too old", where=DEAL_ROOM)
        await company.asked("/report mine", user="ben")
        await company.asked(LEAVE)
        assert len(await company.state.sessions_of(ANN)) == 4

        told = await company.told(text)

        assert "聊天裡的訊息本身" in told
        shared = await company.state.load_session(ENG_ROOM.key)
        assert [turn.question for turn in shared.turns] == ["And in Germany?"]
        for key in (DEAL_ROOM.key, f"{DEAL_ROOM.key}:private:ann", dm("ann").key):
            assert await company.state.load_session(key) == Session()
        assert await company.records.of_user(ANN, limit=9) == []
        assert [f.comment for f in await company.state.feedback()] == ["mine"]
        assert await company.state.preferences(ANN) == Preferences()

    async def test_it_waits_its_turn_where_somebody_is_being_answered(self, tmp_path: Path) -> None:
        model = WaitingModel("Falcon")
        company = Company(tmp_path, model=model)
        await company.knows(tape_out(), leave())
        await company.asked(LEAVE, user="ann", where=ENG_ROOM)
        bens = a_message(FALCON, user="ben", conversation=ENG_ROOM)
        await company.begin(bens)
        await model.waits.wait()
        forgetting = a_message("forget me", conversation=dm("ann"))
        await company.begin(forgetting)
        await company.inbox.ended(forgetting.event_id)

        model.go_on.set()
        await company.inbox.ended(bens.event_id)
        await company.inbox.followers_ended(forgetting.event_id)

        session = await company.state.load_session(ENG_ROOM.key)
        assert [turn.question for turn in session.turns] == [FALCON]

    async def test_questions_that_were_given_up_are_forgotten_too(self, company: Company) -> None:
        for user in ("ann", "ben"):
            conversation = replace(dm(user), platform="gone")
            message = a_message("my secret question", user=user, conversation=conversation)
            await company.begin(message)
            await company.inbox.ended(message.event_id)
        assert len(await company.inbox.dead()) == 2

        await company.asked("forget me")

        (left,) = await company.inbox.dead()
        assert '"user":"ben"' in left.entry.body

    async def test_while_redis_is_away_nothing_is_promised(self, tmp_path: Path) -> None:
        redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.5)
        company = Company(tmp_path, state=RedisState(redis, tenant=TENANT, timeout_s=1))

        assert "cannot remove it right now" in await company.told("forget me")

    async def test_it_is_possible_however_much_somebody_asks(self, tmp_path: Path) -> None:
        company = Company(tmp_path, questions_per_minute=1)
        await company.asked(LEAVE)

        assert "wait a moment" in await company.told("/status")
        assert "I have forgotten" in await company.told("forget me")


class TestReport:
    async def test_a_report_is_kept_with_the_answer_before_it(self, tmp_path: Path) -> None:
        company = Company(tmp_path, admins=["sam"])
        await company.knows(leave())
        (answer,) = await company.asked(LEAVE)

        told = await company.told("/report It is 36 months by now.")

        assert "together with my last answer" in told
        (report,) = await company.state.feedback()
        assert (report.comment, report.about) == (
            "It is 36 months by now.",
            answer.final.feedback_id,
        )
        overview = await company.overviews.of(SAM)
        assert overview.admin is not None
        assert [r.text for r in overview.admin.reports or ()] == ["It is 36 months by now."]

    async def test_one_without_an_answer_is_kept_as_well(self, company: Company) -> None:
        assert "administrators can read it" in await company.told("/report The page is slow.")
        assert (await company.state.feedback())[0].about is None

    async def test_what_cannot_be_kept_is_told(self, company: Company) -> None:
        assert "`/report The" in await company.told("/report")
        assert "2,000" in await company.told("/report " + "x" * 2_001)
        assert "「/回報 " in await company.told("/回報")
        assert await company.state.feedback() == []


class TestOverview:
    async def test_somebody_sees_their_own_things(self, company: Company) -> None:
        await company.asked("/language en")
        await company.asked(LEAVE)
        await company.asked(FALCON, user="ben")

        mine = await company.overviews.of(ANN)
        sams = await company.overviews.of(SAM)

        assert (mine.is_known, mine.groups, mine.language) == (True, ("eng",), Language.ENGLISH)
        assert [q.text for q in mine.recent or ()] == [LEAVE]
        assert [s.source for s in mine.sources or ()] == ["handbook", "wiki"]
        assert [s.source for s in sams.sources or ()] == ["handbook"]
        assert mine.admin is None

    async def test_somebody_unknown_sees_that_they_are(self, company: Company) -> None:
        stranger = await company.overviews.of(UserRef(TENANT, "stranger"))

        assert not stranger.is_known
        assert stranger.sources == ()

    async def test_an_administrator_reads_open_questions_of_rooms_they_read_and_counts_the_rest(
        self, tmp_path: Path
    ) -> None:
        company = Company(tmp_path, admins=["ann"])
        await company.knows(leave())
        for n, (user, where) in enumerate(
            [
                ("sam", GENERAL),
                ("ben", ENG_ROOM),
                ("sam", dm("sam")),
                ("sam", whisper(GENERAL, "sam")),
                ("sam", a_conversation("#sales", ConversationKind.PRIVATE)),
            ]
        ):
            await company.asked(f"What is xyzzy number {n}?", user=user, where=where)

        admin = (await company.overviews.of(ANN)).admin

        assert admin is not None
        texts = {question.text for question in admin.unanswered or ()}
        assert texts == {"What is xyzzy number 0?", "What is xyzzy number 1?"}
        assert admin.unanswered_elsewhere == 3
        assert admin.index is not None
        assert admin.index.documents == 1
        assert admin.queue is not None
        assert admin.submissions == 0

    async def test_what_is_away_is_left_out(self, tmp_path: Path) -> None:
        redis = open_redis("redis://127.0.0.1:1/0", timeout_s=0.5)
        company = Company(
            tmp_path,
            state=RedisState(redis, tenant=TENANT, timeout_s=1),
            records=RedisRecords(redis, tenant=TENANT, timeout_s=1),
            admins=["ann"],
        )

        overview = await company.overviews.of(ANN)

        assert overview.recent is None
        assert overview.sources == ()
        assert overview.admin is not None
        assert overview.admin.reports is None
