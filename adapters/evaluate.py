"""Measures retrieval and answers over a question set, in a store that is thrown away afterwards."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from adapters.app import Knowledge, open_knowledge
from adapters.console import out, print_report, progress_bar, sync_progress
from adapters.settings import ConfigurationError, Settings
from bot.audience import Audience, scope_of_readers
from bot.directory import rooms_by_name
from bot.follow_up import stand_alone
from bot.messages import ConversationRef, Session, UserRef
from bot.yaml_directory import YamlDirectory
from retrieval.access import (
    PUBLIC,
    AccessScope,
    Acl,
    Level,
    Reader,
    group_principal,
    tenant_principal,
)
from retrieval.analysis import language_of
from retrieval.components import Question
from retrieval.errors import IngestError
from retrieval.evaluation import EvaluationQuestion, EvaluationResult, Metrics, by_group, measure
from retrieval.ingest.connectors import Connector, FolderConnector, read_acl_map
from retrieval.ingest.jsonl_connector import JsonlConnector

_RANKED_CHUNKS = 50
_EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class EvaluationRun:
    """
    What to measure.

    Attributes:
        corpus: A folder of documents, or a `corpus.jsonl`.
        acl: An `acl.json` with the groups that may read each document; None: what the documents say,
            and everyone where they say nothing.
        people: A directory file, for questions that name users and conversations.
        with_answers: Also write answers, not only rankings.
    """

    corpus: Path
    questions: Path
    acl: Path | None = None
    people: Path | None = None
    with_answers: bool = False


async def evaluate(settings: Settings, run: EvaluationRun) -> list[EvaluationResult]:
    """
    Raises:
        IngestError: If the corpus cannot be read.
        ConfigurationError: If the questions cannot be.
    """
    questions = read_questions(run.questions)
    directory = YamlDirectory.load(run.people, settings.tenant) if run.people else None
    with TemporaryDirectory(prefix="shifu-evaluate-") as folder:
        async with open_knowledge(settings, store_folder=Path(folder)) as knowledge:
            await _ingest(knowledge, _connector(settings, run))
            acls = {d.id: d.acl for d in await knowledge.store.documents()}
            readers = _Readers(settings.tenant, directory)
            results = []
            with progress_bar() as progress:
                for given in progress.track(questions, description="Asking"):
                    question = _at_file_level(given, acls)
                    scope, everyone = await readers.of(question)
                    result = await _ask(knowledge, question, scope, with_answers=run.with_answers)
                    results.append(_with_unreadable(result, everyone, acls))
    return results


def _at_file_level(question: EvaluationQuestion, known: Collection[str]) -> EvaluationQuestion:
    """Gold sections such as `traps#priority` as their file, where the corpus has whole files."""
    gold = frozenset(i if i in known else i.partition("#")[0] for i in question.gold_ids)
    return replace(question, gold_ids=gold)


def read_questions(path: Path) -> list[EvaluationQuestion]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read as UTF-8 text") from error
    questions = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            questions.append(EvaluationQuestion.parse(json.loads(line)))
        except (ValueError, AttributeError, TypeError) as error:
            raise ConfigurationError(f"{path}:{number}: is no question: {error}") from error
    return questions


def write_results(path: Path, results: Sequence[EvaluationResult]) -> None:
    lines = [json.dumps(result.as_json(), ensure_ascii=False) for result in results]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def print_metrics(results: Sequence[EvaluationResult]) -> None:
    names = {"en": "English", "zh-TW": "Chinese"}
    groups: dict[str, Metrics] = {"all": measure(results)}
    groups |= by_group(results, lambda q: names.get(q.language, q.language))
    groups |= by_group(results, lambda q: q.kind)
    shown = [name for name, value in groups["all"].rates.items() if value is not None]
    table = Table(box=None, pad_edge=False)
    table.add_column("questions", no_wrap=True)
    for name in ("asked", "ranked", *shown, "leaks"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, metrics in groups.items():
        rates = [metrics.rates[rate] for rate in shown]
        table.add_row(
            name,
            str(metrics.questions),
            str(metrics.ranked),
            *("–" if rate is None else f"{rate:.3f}" for rate in rates),
            str(metrics.leaks),
        )
    Console(width=180).print(table)
    for result in results:
        if result.leaks:
            out.print(f"LEAK {result.question.id}: {', '.join(result.leaks)}", markup=False)


def _connector(settings: Settings, run: EvaluationRun) -> Connector:
    acl_map = read_acl_map(run.acl) if run.acl else None
    default = None if acl_map is not None else [_EVERYONE]
    if run.corpus.is_dir():
        return FolderConnector(
            [run.corpus],
            root=run.corpus,
            tenant=settings.tenant,
            default_acl=default,
            acl_map=acl_map,
        )
    return JsonlConnector(run.corpus, tenant=settings.tenant, default_acl=default, acl_map=acl_map)


async def _ingest(knowledge: Knowledge, connector: Connector) -> None:
    with sync_progress() as on_progress:
        report = await knowledge.ingest(connector, on_progress=on_progress)
    print_report(report)
    if not report.added:
        raise IngestError(f"{connector.source}: no document could be read")


class _Readers:
    """Who reads the answer to a question, as the question names them: by groups or by people."""

    def __init__(self, tenant: str, directory: YamlDirectory | None) -> None:
        self._tenant = tenant
        self._directory = directory

    async def of(self, question: EvaluationQuestion) -> tuple[AccessScope, list[Reader]]:
        """The scope to search in, and every single reader to check the results against."""
        if question.reader_groups:
            readers = [self._by_groups(groups) for groups in question.reader_groups]
        elif self._directory is not None and question.user is not None:
            return await self._by_people(self._directory, question, question.user)
        else:
            readers = [self._by_groups({_EVERYONE})]
        return scope_of_readers(readers).scope, readers

    async def _by_people(
        self, directory: YamlDirectory, question: EvaluationQuestion, user: str
    ) -> tuple[AccessScope, list[Reader]]:
        asker = UserRef(self._tenant, user)
        if question.conversation:
            rooms = await rooms_by_name(directory)
            if question.conversation not in rooms:
                raise ConfigurationError(
                    f"{question.id}: there is no conversation {question.conversation!r} in the directory"
                )
            room = rooms[question.conversation]
            ref = ConversationRef("evaluate", self._tenant, room.channel, room.kind)
            audience = await Audience(directory).scope_of_conversation(ref, asker)
            return audience.scope, await _readers(directory, (*room.members, asker))
        named = (UserRef(self._tenant, name) for name in question.readers)
        readers = await _readers(directory, (asker, *named))
        return scope_of_readers(readers).scope, readers

    def _by_groups(self, groups: Collection[str]) -> Reader:
        principals = {group_principal(self._tenant, g) for g in groups if g != _EVERYONE}
        if _EVERYONE in groups:
            principals.add(tenant_principal(self._tenant))
        return Reader(frozenset({PUBLIC, *principals}), Level.SECRET)


async def _readers(directory: YamlDirectory, users: Iterable[UserRef]) -> list[Reader]:
    people = [await directory.person(user) for user in users]
    return [person.reader if person else Reader.stranger() for person in people]


async def _ask(
    knowledge: Knowledge, question: EvaluationQuestion, scope: AccessScope, *, with_answers: bool
) -> EvaluationResult:
    session = Session()
    for number, earlier in enumerate(question.history):
        answered = await knowledge.answerer.answer(earlier, session, scope)
        session = session.with_turn(answered.as_turn(earlier, event_id=str(number)))
    standalone = stand_alone(question.text, session.turns)
    search = Question(question.text, language_of(question.text), (standalone,))
    passages = await knowledge.pipeline.search(search, scope, top_k=_RANKED_CHUNKS)
    result = EvaluationResult(
        question,
        ranked_ids=tuple(dict.fromkeys(p.chunk.document.id for p in passages)),
        chunk_texts=tuple(p.chunk.text for p in passages[:10]),
    )
    if not with_answers:
        return result
    answer = (await knowledge.answerer.answer(question.text, session, scope)).answer
    return replace(
        result,
        answer=answer.text,
        cited_ids=tuple(dict.fromkeys(c.chunk.document.id for c in answer.citations)),
        abstained=answer.is_abstention,
    )


def _with_unreadable(
    result: EvaluationResult, readers: Sequence[Reader], acls: Mapping[str, Acl]
) -> EvaluationResult:
    """Checked reader by reader against each document's own list, not by the scope that was searched with."""
    shown = {*result.ranked_ids, *result.cited_ids}
    unreadable = {i for i in shown if not all(reader.may_read(acls[i]) for reader in readers)}
    return replace(result, unreadable_ids=frozenset(unreadable))
