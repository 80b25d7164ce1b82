"""The example company, asked three questions and then served: the whole product without an account or a key."""

from dataclasses import dataclass
from pathlib import Path

from adapters.app import Knowledge, open_directory, open_knowledge
from adapters.console import err, out, print_answer, sync_progress
from adapters.settings import ConfigurationError, DirectorySettings, Settings
from bot.audience import Audience
from bot.messages import Session, UserRef
from retrieval.ingest.connectors import FolderConnector
from retrieval.types import Language

TENANT = "qinglan"

SUGGESTIONS = {
    Language.ENGLISH: (
        "How many days a week may I work from home?",
        "What is the monthly salary band of a G4 senior engineer?",
        "Who is the first customer of Borealis?",
        "How does an LR/SC loop work?",
    ),
    Language.CHINESE: (
        "到職滿三年有幾天特休？",
        "國內出差過夜的日支費是多少？",
        "Borealis 什麼時候 tape-out？",
        "低溫時石英振盪器為什麼不起振？",
    ),
}


@dataclass(frozen=True, slots=True)
class _Shown:
    user: str
    question: str
    why: str


_QUESTIONS = (
    _Shown(
        "david.hsu",
        "Who is the first customer of Borealis?",
        "is in the secret project",
    ),
    _Shown("leo.fang", "Who is the first customer of Borealis?", "is not"),
    _Shown("leo.fang", "到職滿三年有幾天特休？", "asks in Chinese"),
)


def demo_settings(settings: Settings, company: Path) -> Settings:
    """
    *settings* for the company in *company*, with its state kept apart from a real installation's.

    Raises:
        ConfigurationError: If *company* is not there.
    """
    if not (company / "people.yaml").is_file():
        raise ConfigurationError(
            f"{company}: the example company is not there; run this in the repository, "
            "or name its folder: shifu demo --company examples/company"
        )
    return settings.model_copy(
        update={
            "tenant": TENANT,
            "home": settings.home_folder / "demo",
            "directory": DirectorySettings(path=company / "people.yaml"),
        }
    )


async def show(settings: Settings, company: Path) -> None:
    """`present` with what it needs opened for it."""
    async with open_knowledge(settings) as knowledge:
        await present(knowledge, settings, company)


async def present(knowledge: Knowledge, settings: Settings, company: Path) -> None:
    """Bring the documents in, or see that nothing has changed, and answer the three questions."""
    await _ingest(knowledge, settings, company)
    audience = Audience(open_directory(settings))
    for shown in _QUESTIONS:
        user = UserRef(TENANT, shown.user)
        scope = await audience.scope_of_person(user)
        answered = await knowledge.answerer.answer(shown.question, Session(), scope.scope)
        out.print()
        out.rule(f"{shown.user} ({shown.why}): {shown.question}", align="left", style="dim")
        print_answer(answered.answer)
    out.print()


async def _ingest(knowledge: Knowledge, settings: Settings, company: Path) -> None:
    documents = company / "docs"
    connector = FolderConnector(
        [documents], root=documents, tenant=TENANT, default_acl=None, source="example"
    )
    with sync_progress() as on_progress:
        report = await knowledge.ingest(connector, on_progress=on_progress)
    counts = await knowledge.store.counts()
    err.print(
        f"{counts.documents} documents of the example company in {settings.where_documents_are} "
        f"({report.unchanged} unchanged)",
        markup=False,
        style="dim",
    )
    for _, reason in report.failed:
        err.print(f"  failed: {reason}", markup=False, style="red")
