"""The documentation says what is so: settings, commands, examples, links, dependencies, the drawn pipeline."""

import json
import re
import shlex
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer

from adapters.cli import app
from adapters.settings import Settings, all_settings
from adapters.slack.permissions import SCOPES
from adapters.teams.permissions import PERMISSIONS
from bot.people_file import read_people
from retrieval.evaluation import EvaluationQuestion
from retrieval.ingest.convert import convert, supported_endings
from retrieval.ingest.metadata import FIELDS
from retrieval.pipeline import AnswerPipeline
from retrieval.store import InMemoryStore

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~<>}])/([A-Za-z][\w.-]*)")
_ROUTES = {"v1.", "v1", "healthz", "readyz", "slack", "teams"}
_SLASH_COMMANDS = {"ask", "shifu", "why", "invite"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in all_settings():
        monkeypatch.delenv(name, raising=False)


def test_the_table_of_settings_is_all_settings() -> None:
    listed = {}
    for name, default, description, example in _rows(_marked("configuration", "settings")):
        listed[name.strip("`")] = (default.strip("`"), description, example.strip("`"))

    assert list(listed.items()) == list(all_settings().items())


@each_page
def test_every_variable_exists(page: Path) -> None:
    named = set(re.findall(r"\bSHIFU_[A-Z_]+\b", _text(page)))

    assert named <= {*all_settings(), "SHIFU_CONFIG"}


@each_page
def test_every_command_line_can_be_run(page: Path) -> None:
    for line in _shell_lines(page):
        command, *arguments = [
            word for word in shlex.split(line, comments=True) if not _is_assignment(word)
        ] or [""]
        if command == "make":
            assert all(target in _targets() for target in arguments), line
        elif command == "shifu":
            name, *rest = arguments
            COMMANDS[name].make_context(name, rest)  # raises on what it does not know
        else:
            assert command in ("", "export", ".venv/bin/python"), line


@each_page
def test_every_command_in_a_sentence_exists(page: Path) -> None:
    for code in re.findall(r"(?<!`)`((?:shifu|make) [^`\n]+)`", _text(page)):
        program, name, *rest = code.split()
        if program == "make":
            assert name in _targets()
        elif name != "--help":
            command = COMMANDS[name]
            if rest and rest[0] in getattr(command, "commands", {}):
                command = command.commands[rest[0]]
            known = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in rest if word.startswith("--")} <= known, code


def test_the_table_of_slacks_scopes_is_all_of_them() -> None:
    rows = _rows(_marked("slack", "scopes"))[1:]

    assert [(name.strip("`"), why, when) for name, why, when in rows] == [
        (
            scope.name,
            scope.why,
            "needed"
            if scope.is_needed
            else ("with " + ", ".join(sorted(scope.only_for)) if scope.only_for else ""),
        )
        for scope in SCOPES
    ]


def test_the_table_of_what_teams_is_to_permit_is_all_of_it() -> None:
    rows = _rows(_marked("teams", "permissions"))[1:]

    assert [(name.strip("`"), *rest) for name, *rest in rows] == [
        (
            permission.name,
            permission.why,
            permission.granted_by.value,
            "needed"
            if permission.is_needed
            else ("with " + ", ".join(sorted(permission.only_for)) if permission.only_for else ""),
        )
        for permission in PERMISSIONS
    ]


def test_the_pipeline_is_drawn_as_it_is() -> None:
    drawn = AnswerPipeline(InMemoryStore(), embedder=None, model=None).drawn()

    assert _marked("architecture", "pipeline") == f"```mermaid\n{drawn}\n```"


def test_every_dependency_has_its_reason_and_nothing_else_has() -> None:
    project = tomllib.loads(_text(ROOT / "pyproject.toml"))
    required = chain(
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    )
    names = {re.split(r"[\s<>=~!;\[]", line)[0].lower() for line in required}

    section = _text(ROOT / "docs/architecture.md").partition("\n## Dependencies\n")[2]
    rows = _rows(section.partition("\n## ")[0])
    given = {name.lower() for row in rows for name in row[-2].split(", ")}

    assert given - {"package"} == names


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", _text(page))):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@each_page
def test_every_file_of_ours_that_is_named_exists(page: Path) -> None:
    text = _FENCE.sub("", _text(page))
    for path in re.findall(r"`((?:retrieval|bot|adapters|tests|docs|examples)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("folder", ["chat", "slack", "teams"])
def test_the_tables_of_files_hold_each_of_them_once(folder: str) -> None:
    head = f"| idea | files in `adapters/{folder}/` |\n"
    table = _text(ROOT / "docs/architecture.md").partition(head)[2].partition("\n\n")[0]
    files = {path.name for path in (ROOT / "adapters" / folder).glob("*.py")} - {"__init__.py"}

    assert sorted(re.findall(r"`(\w+\.py)`", table)) == sorted(files)


@each_page
def test_paths_are_anybodys(page: Path) -> None:
    first_folders = set(_ABSOLUTE_PATH.findall(_text(page)))

    assert first_folders - _ROUTES - _SLASH_COMMANDS <= {"etc", "var"}


def test_the_example_settings_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "shifu.toml"
    file.write_text(_example("configuration", "toml"), encoding="utf-8")
    monkeypatch.setenv("SHIFU_CONFIG", str(file))

    settings = Settings()

    assert settings.tenant == "qinglan"
    assert settings.web.public_origins == ("https://shifu.example.com",)


def test_the_example_directory_is_read() -> None:
    people = read_people(_example("configuration", "yaml"), "acme")

    assert people.persons["david.hsu"].groups == ("design", "engineering")
    assert not people.persons["nina.berg"].is_employee


def test_the_example_documents_are_read() -> None:
    front_matter = _example("knowledge", "markdown")
    asciidoc = _example("knowledge", "asciidoc") + "\nSome text.\n"

    assert convert("a.md", front_matter.encode()).metadata.supersedes == "hr/remote-work-2024"
    assert convert("a.adoc", asciidoc.encode()).metadata.acl == ("everyone",)
    assert all(f"`{key}`" in _text(ROOT / "docs/knowledge.md") for key in FIELDS)
    assert all(f"`{ending}`" in _text(ROOT / "docs/knowledge.md") for ending in supported_endings())


def test_the_example_question_is_read() -> None:
    examples = [json.loads(block) for kind, block in _blocks("evaluation") if kind == "json"]

    assert [EvaluationQuestion.parse(e).id for e in examples if "query" in e] == ["q1"]


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _blocks(page: str) -> list[tuple[str, str]]:
    return _FENCE.findall(_text(ROOT / f"docs/{page}.md"))


def _example(page: str, kind: str) -> str:
    """The first block of *kind* on the page."""
    return next(block for found, block in _blocks(page) if found == kind)


def _marked(page: str, name: str) -> str:
    text = _text(ROOT / f"docs/{page}.md")
    return text.partition(f"<!-- {name}:begin -->\n")[2].partition(f"\n<!-- {name}:end -->")[0]


def _rows(markdown: str) -> list[list[str]]:
    """Cells of all tables, without the rules and the head of the settings."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[0] not in ("---", "variable")]


def _shell_lines(page: Path) -> list[str]:
    return [
        line
        for kind, block in _FENCE.findall(_text(page))
        if kind == "sh"
        for line in block.replace("\\\n", " ").splitlines()
    ]


def _is_assignment(word: str) -> bool:
    return bool(re.match(r"[A-Z_]+=", word))


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", _text(ROOT / "Makefile"), re.M))


def _anchors(page: Path) -> set[str]:
    """As the usual renderers name headings: lower case, punctuation gone, hyphens for blanks."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", _text(page)), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
