"""The installed command `shifu`, started as an administrator would start it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.evaluate import read_questions
from adapters.ingestion import list_sources, remove_source
from adapters.questions import ask_once, search_once
from adapters.settings import (
    ConfigurationError,
    DirectorySettings,
    EmbeddingsProvider,
    EmbeddingsSettings,
    Settings,
)
from retrieval.errors import IngestError

COMMAND = Path(sys.executable).parent / "shifu"
SALARY = "What is the monthly salary band of a G4 senior engineer?"
LEAVE = "How many days of annual leave do employees with three years of service have?"
SECRET = "128,700"
DOCUMENTS = {
    "hr/salary.md": "---\ntitle: Salary bands\nacl: [hr]\n---\n# Salary bands\n\n"
    "The monthly salary band of a G4 senior engineer is 91,300 to 128,700 TWD.\n",
    "leave.md": "---\ntitle: Annual leave\nacl: everyone\nlink: https://wiki.example.com/leave\n---\n"
    "# Annual leave\n\nEmployees with three years of service have 14 days of annual leave each year.\n",
    "parking.md": "# Parking\n\nThe car park closes at 22:00.\n",
}
PEOPLE = """
groups: {hr: {}}
users:
  amy: {name: Amy Lin, groups: [hr]}
  leo: {name: Leo Fang}
conversations:
  "#general": {kind: public}
  "#hr": {kind: private, members: [amy]}
"""
CORPUS = [
    {"doc_id": "leave", "title": "Annual leave", "text": DOCUMENTS["leave.md"].split("\n\n")[1]},
    {"doc_id": "salary", "title": "Salary", "text": DOCUMENTS["hr/salary.md"].split("\n\n")[1]},
]
ACCESS = {"documents": {"leave": ["everyone"], "salary": ["hr"]}}
ASKED: dict[str, Any] = {
    "query_id": "q1",
    "query": LEAVE,
    "lang": "en",
    "gold_doc_ids": ["leave"],
    "answers": ["14 days"],
    "groups": ["everyone"],
}


@dataclass(frozen=True)
class Installation:
    """A working folder with a state folder, documents and people; *ingested* is how that ended."""

    folder: Path
    ingested: subprocess.CompletedProcess[bytes]

    @property
    def settings(self) -> Settings:
        return settings_for(self.folder / "home", self.folder / "people.yaml")

    @property
    def source(self) -> str:
        return f"folder:{self.folder / 'docs'}"

    def shifu(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return shifu(self.folder, *arguments)

    def json(self, *arguments: str) -> Any:
        ended = self.shifu(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installation").resolve()
    for name, text in DOCUMENTS.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "people.yaml").write_text(PEOPLE, encoding="utf-8")
    return Installation(folder, shifu(folder, "ingest", "docs"))


def environment(**variables: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SHIFU_", "OPENAI_"))}
    own = {"HOME": "home", "EMBEDDINGS__PROVIDER": "none", "DIRECTORY__PATH": "people.yaml"}
    given = {k if k.startswith("PYTHON") else f"SHIFU_{k}": v for k, v in (own | variables).items()}
    return kept | given


def shifu(
    folder: Path, *arguments: str, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """The command in *folder*; *variables* are settings without their prefix, or Python's own."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
    )


def settings_for(home: Path, people: Path) -> Settings:
    return Settings(
        home=home,
        directory=DirectorySettings(path=people),
        embeddings=EmbeddingsSettings(provider=EmbeddingsProvider.NONE),
    )


def refused(ended: subprocess.CompletedProcess[bytes]) -> str:
    """What standard error says of a command that was refused: sentences, nothing else."""
    told = ended.stderr.decode()
    assert (ended.returncode, ended.stdout) == (2, b""), told
    assert all(line.startswith("shifu: ") for line in told.splitlines()), told
    return told


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def test_help_names_every_command(tmp_path: Path) -> None:
    ended = shifu(tmp_path, "--help")

    assert ended.returncode == 0
    listed = ended.stdout.decode().partition("Commands:")[2]
    commands = {line.split()[0] for line in listed.splitlines() if line.strip()}
    assert commands >= {"ask", "search", "ingest", "sources", "remove", "evaluate", "serve"}
    assert commands >= {"demo", "doctor"}
    assert not list(tmp_path.iterdir())


def test_a_document_without_an_access_list_fails_alone_with_the_way_out(
    installation: Installation,
) -> None:
    ended = installation.ingested

    assert ended.returncode == 1
    assert ended.stdout.decode() == f"{installation.source}: 2 added, 1 failed\n"
    assert "parking.md" in ended.stderr.decode()
    assert "--acl everyone" in ended.stderr.decode()


def test_an_answer_as_json_says_what_it_rests_on(installation: Installation) -> None:
    answer = installation.json("ask", LEAVE, "--as", "leo")

    assert "14 days" in answer["answer"]
    assert (answer["abstained"], answer["reason"], answer["language"]) == (False, "answered", "en")
    assert answer["usage"] is None
    assert answer["notice"] is None
    assert answer["timings_s"]["total"] >= 0
    (citation,) = answer["citations"]
    assert citation == {
        "number": 1,
        "document_id": "leave",
        "title": "Annual leave",
        "link": "https://wiki.example.com/leave",
        "passage": CORPUS[0]["text"].strip(),
    }


@pytest.mark.parametrize(
    "reader", [["--as", "leo"], ["--as", "amy", "--in", "#general"]], ids=["person", "channel"]
)
def test_whoever_may_not_read_the_salaries_gets_nothing_of_them(
    installation: Installation, reader: list[str]
) -> None:
    ended = installation.shifu("ask", SALARY, *reader, "--json")

    answer = json.loads(ended.stdout)
    assert (answer["abstained"], answer["reason"], answer["citations"]) == (True, "nothing", [])
    everything = (ended.stdout + ended.stderr).decode()
    assert SECRET not in everything
    assert "hr/salary" not in everything
    assert "Salary bands" not in everything


async def test_hr_is_answered_from_the_salaries_alone_and_in_its_own_channel(
    installation: Installation,
) -> None:
    alone = await ask_once(installation.settings, SALARY, user="amy", room=None)
    together = await ask_once(installation.settings, SALARY, user="amy", room="#hr")

    assert SECRET in alone.text
    assert SECRET in together.text


def test_search_as_json_lists_the_passages(installation: Installation) -> None:
    passages = installation.json("search", "salary band", "--as", "amy")

    assert passages[0]["document_id"] == "hr/salary"
    assert set(passages[0]) == {
        *("document_id", "chunk_id", "title", "heading_path", "link", "score", "text")
    }


async def test_a_search_shows_only_what_the_searcher_may_read(installation: Installation) -> None:
    passages = await search_once(installation.settings, "salary band", user="leo", top_k=10)

    assert {passage.chunk.document.id for passage in passages} <= {"leave"}


@pytest.mark.parametrize(
    ("user", "room", "question", "told"),
    [
        ("bob", None, LEAVE, "--as bob: nobody has this id; known are amy, leo"),
        ("amy", "#lab", LEAVE, "--in #lab: .*; known are #general, #hr"),
        ("leo", "#hr", LEAVE, "--in #hr: leo is not in it"),
        ("amy", None, "  \u200b ", "Please write a question"),
        ("amy", None, "x" * 100_000, "100000 characters"),
    ],
    ids=["unknown user", "unknown room", "not in the room", "empty", "too long"],
)
async def test_a_question_that_cannot_be_asked_is_refused_with_what_can_be(
    installation: Installation, user: str, room: str | None, question: str, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        await ask_once(installation.settings, question, user=user, room=room)


def test_an_unknown_user_ends_the_command_with_exit_code_2(installation: Installation) -> None:
    assert "known are amy, leo" in refused(installation.shifu("ask", LEAVE, "--as", "bob"))


async def test_without_documents_the_answer_is_how_to_add_some(
    installation: Installation, tmp_path: Path
) -> None:
    empty = settings_for(tmp_path / "home", installation.folder / "people.yaml")

    with pytest.raises(ConfigurationError, match="shifu ingest PATH"):
        await ask_once(empty, LEAVE, user="leo", room=None)
    with pytest.raises(ConfigurationError, match="shifu ingest PATH"):
        await search_once(empty, LEAVE, user="leo", top_k=1)


def test_a_folder_inside_a_source_is_no_source_of_its_own(installation: Installation) -> None:
    told = refused(installation.shifu("ingest", "docs/hr"))

    assert f"lies inside {installation.source}" in told
    assert f"shifu ingest {installation.folder / 'docs'}" in told


def test_a_source_is_listed_and_can_be_removed_by_that_name(
    installation: Installation, tmp_path: Path
) -> None:
    assert installation.json("sources") == {installation.source: 2}
    shutil.copytree(installation.folder / "home", tmp_path / "home")

    removed = shifu(tmp_path, "remove", installation.source)

    assert (removed.returncode, removed.stdout) == (0, b"2 documents removed\n")


async def test_removing_a_source_leaves_none_and_an_unknown_one_names_those_there_are(
    installation: Installation, tmp_path: Path
) -> None:
    shutil.copytree(installation.folder / "home", tmp_path / "home")
    settings = settings_for(tmp_path / "home", installation.folder / "people.yaml")

    with pytest.raises(IngestError, match=r"folder:/nowhere: .* there are: folder:/"):
        await remove_source(settings, "folder:/nowhere")
    assert await remove_source(settings, installation.source) == 2
    assert await list_sources(settings) == {}


@pytest.mark.parametrize("leak_strings", [[], ["14 days"]], ids=["no leak", "a leak"])
def test_an_evaluation_writes_its_results_and_fails_on_a_leak(
    tmp_path: Path, leak_strings: list[str]
) -> None:
    write_lines(tmp_path / "corpus.jsonl", CORPUS)
    write_lines(tmp_path / "queries.jsonl", [ASKED | {"leak_strings": leak_strings}])
    (tmp_path / "acl.json").write_text(json.dumps(ACCESS), encoding="utf-8")
    files = "--corpus corpus.jsonl --questions queries.jsonl --acl acl.json --out results.jsonl"

    ended = shifu(tmp_path, "evaluate", *files.split(), "--answers")

    assert ended.returncode == bool(leak_strings), ended.stderr
    assert ("LEAK q1: 14 days" in ended.stdout.decode()) == bool(leak_strings)
    assert "recall@10" in ended.stdout.decode()
    (line,) = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    result = json.loads(line)
    assert "14 days" in result.pop("answer")
    assert result == {
        "query_id": "q1",
        "ranked_doc_ids": ["leave"],
        "citations": ["leave"],
        "abstained": False,
    }
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"query": "What?"}', '{"query_id": "q1"}'])
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text(f"{json.dumps(ASKED)}\n\n{line}\n", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"queries\.jsonl:3: is no question"):
        read_questions(file)


def test_doctor_says_what_is_missing(tmp_path: Path) -> None:
    ended = shifu(tmp_path, "doctor", "--json")

    assert ended.returncode == 1
    found = {finding["part"]: finding for finding in json.loads(ended.stdout)}
    parts = ["state folder", "documents", "model", "directory", "redis", "queue", "slack", "teams"]
    assert list(found) == parts
    assert found["state folder"]["is_ok"] is True
    assert found["documents"]["is_ok"] is False
    assert "shifu ingest PATH" in found["documents"]["text"]
    assert found["model"]["is_ok"] is None
    assert "SHIFU_MODEL__BASE_URL" in found["model"]["text"]
    assert found["directory"]["is_ok"] is False
    assert "people.yaml" in found["directory"]["text"]
    assert found["slack"]["is_ok"] is None
    assert "docs/slack.md" in found["slack"]["text"]


def test_a_wrong_setting_is_named_with_an_example(tmp_path: Path) -> None:
    told = refused(shifu(tmp_path, "sources", MODEL__TIMEOUT_S="soon", WEB__PORT="70000"))

    assert "SHIFU_MODEL__TIMEOUT_S: " in told
    assert "for example SHIFU_MODEL__TIMEOUT_S=60" in told
    assert "for example SHIFU_WEB__PORT=8020" in told


# The first is Python's choice where the locale is C, the second where it is a language's.
@pytest.mark.parametrize(
    "on_invalid",
    [
        "surrogateescape",
        "strict",
    ],
)
def test_a_question_that_is_not_utf_8_ends_in_no_traceback(
    installation: Installation, on_invalid: str
) -> None:
    ended = shifu(
        installation.folder,
        *("ask", "-", "--as", "leo"),
        stdin=b"\xff\xfe " + LEAVE.encode(),
        PYTHONIOENCODING=f"utf-8:{on_invalid}",
    )

    assert ended.returncode in (0, 2)
    assert "exception" not in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()
    assert "Something went wrong" not in ended.stderr.decode()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at what the process waits for")
def test_ctrl_c_says_that_nothing_is_lost(installation: Installation) -> None:
    with subprocess.Popen(
        [COMMAND, "ask", "-", "--as", "leo"],
        cwd=installation.folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        waiting = Path(f"/proc/{process.pid}/syscall")
        # Reading from standard input: system call 0 or 63, by processor, on file 0.
        while waiting.read_text().split()[:2] not in (["0", "0x0"], ["63", "0x0"]):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        told = process.stderr.read().decode()

    assert process.returncode == 130
    assert told == "Stopped. Nothing is lost; the same command goes on from here.\n"
