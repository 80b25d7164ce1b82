"""The app package fits Teams' limits, asks for no more than it says why, and is the one in deploy/."""

import io
import json
import re
import struct
import zipfile
import zlib
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.cli import app
from adapters.teams.manifest import ManifestInvalid, ManifestOptions, Slash, chinese, manifest
from adapters.teams.package import app_package, package_files
from adapters.teams.permissions import PERMISSIONS, GrantedBy, OptIn, permissions
from bot.commands import parse
from retrieval.types import Language

ROOT = Path(__file__).parents[2]
APP_ID = "11111111-2222-3333-4444-555555555555"
URL = "https://shifu.example.com"
PLAIN = ManifestOptions(APP_ID, URL)

EVERY_OPTION = [
    ManifestOptions(APP_ID, URL, opt_ins=frozenset(opt_ins), slash=slash)
    for slash in Slash
    for size in (0, 1, len(OptIn))
    for opt_ins in combinations(OptIn, size)
]


def asked_in_teams(made: dict[str, Any]) -> set[str]:
    return {p["name"] for p in made["authorization"]["permissions"]["resourceSpecific"]}


def every_command(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for listed in made["bots"][0]["commandLists"] for c in listed["commands"]]


def pixels(png: bytes) -> tuple[int, int, list[tuple[int, ...]]]:
    """Width, height, and the colours of a PNG of eight bits a channel."""
    width, height, bits, kind = struct.unpack(">IIBB", png[16:26])
    assert bits == 8
    size, data, at = {2: 3, 6: 4}[kind], b"", 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    raw, line, found = zlib.decompress(data), bytearray(width * size), []
    for y in range(height):
        start = y * (width * size + 1)
        method, above, line = raw[start], line, bytearray(raw[start + 1 : start + 1 + width * size])
        for i in range(width * size):
            left = line[i - size] if i >= size else 0
            corner = above[i - size] if i >= size else 0
            line[i] = (line[i] + _predicted(method, left, above[i], corner)) & 0xFF
        found += [tuple(line[x * size : (x + 1) * size]) for x in range(width)]
    return width, height, found


def _predicted(method: int, left: int, up: int, corner: int) -> int:
    near = left + up - corner
    paeth = min((left, up, corner), key=lambda value: abs(near - value))
    return (0, left, up, (left + up) // 2, paeth)[method]


def test_the_files_in_deploy_are_what_the_command_makes() -> None:
    held = package_files(ManifestOptions("00000000-0000-0000-0000-000000000000", URL))
    folder = ROOT / "deploy" / "teams-manifest"

    assert {path.name: path.read_bytes() for path in folder.iterdir()} == held


@pytest.mark.parametrize("options", EVERY_OPTION)
def test_teams_limits_are_kept(options: ManifestOptions) -> None:
    made = manifest(options)

    assert len(made["name"]["short"]) <= 30
    assert len(made["description"]["short"]) <= 80
    assert len(made["description"]["full"]) <= 4_000
    assert len(made["developer"]["name"]) <= 32
    for listed in made["bots"][0]["commandLists"]:
        assert len(listed["commands"]) <= 10
    assert len(made["bots"][0]["commandLists"]) <= 3
    for command in every_command(made):
        assert len(command["title"]) <= 32
        assert len(command["description"]) <= 128
    for command in made["composeExtensions"][0]["commands"]:
        assert len(command["title"]) <= 32
        assert len(command["description"]) <= 128
    assert len(made["authorization"]["permissions"]["resourceSpecific"]) <= 16


@pytest.mark.parametrize("options", EVERY_OPTION)
def test_all_that_people_read_is_there_in_chinese_too(options: ManifestOptions) -> None:
    made, texts = manifest(options), chinese(options)
    expected = {"$schema", "name.short", "name.full", "description.short", "description.full"}
    for kind, lists in (
        ("bots[0].commandLists[{}]", made["bots"][0]["commandLists"]),
        ("composeExtensions[{}]", made["composeExtensions"]),
    ):
        for i, listed in enumerate(lists):
            for j, _ in enumerate(listed["commands"]):
                place = f"{kind.format(i)}.commands[{j}]"
                expected |= {f"{place}.title", f"{place}.description"}

    assert set(texts) == expected
    untranslated = {"$schema", "name.short", "name.full"}
    assert all(re.search("[一-鿿]", text) for key, text in texts.items() if key not in untranslated)


@pytest.mark.parametrize("language", Language)
def test_what_is_chosen_from_the_list_is_a_command_of_ours(language: Language) -> None:
    for options in EVERY_OPTION:
        english = every_command(manifest(options))
        titles = [c["title"] for c in english]
        if language is Language.CHINESE:
            texts = chinese(options)
            titles = [v for k, v in texts.items() if k.startswith("bots") and k.endswith("title")]
        for title, command in zip(titles, english, strict=True):
            sent = command.get("prompt", f"/{title}")
            assert title in ("ask", "提問") or parse(sent) is not None, sent


def test_nothing_reads_along_until_somebody_wants_it() -> None:
    reads_along = {"ChannelMessage.Read.Group", "ChatMessage.Read.Chat"}

    assert asked_in_teams(manifest(PLAIN)) == {
        "ChannelMember.Read.Group",
        "ChannelSettings.Read.Group",
        "TeamSettings.Read.Group",
    }
    for opt_in in (OptIn.THREADS, OptIn.CHANNEL_FILES):
        options = ManifestOptions(APP_ID, URL, opt_ins=frozenset({opt_in}))
        assert reads_along <= asked_in_teams(manifest(options))
    for opt_in in (OptIn.FOLLOW, OptIn.INDEX):
        options = ManifestOptions(APP_ID, URL, opt_ins=frozenset({opt_in}))
        assert reads_along & asked_in_teams(manifest(options)) == {"ChannelMessage.Read.Group"}
    sharepoint = ManifestOptions(APP_ID, URL, opt_ins=frozenset({OptIn.SHAREPOINT}))
    assert asked_in_teams(manifest(sharepoint)) == asked_in_teams(manifest(PLAIN))


def test_nothing_may_be_written_and_nothing_is_asked_for_the_whole_tenant_by_the_package() -> None:
    for permission in permissions(frozenset(OptIn)):
        assert ".Read" in permission.name
        assert "Write" not in permission.name
        is_for_all = permission.name.endswith((".All", ".Hidden"))
        assert is_for_all is (permission.granted_by is GrantedBy.ADMIN)


def test_the_list_of_permissions_is_sorted_and_says_everything_once() -> None:
    names = [permission.name for permission in PERMISSIONS]

    assert names == sorted(set(names))
    assert all(p.why and p in permissions(frozenset(OptIn)) for p in PERMISSIONS)


def test_slash_commands_are_private_and_have_ask() -> None:
    made = manifest(ManifestOptions(APP_ID, URL, slash=Slash.ON))

    assert made["manifestVersion"] == "1.29"
    assert made["bots"][0]["supportsTargetedMessages"] is True
    for listed in made["bots"][0]["commandLists"]:
        titles = [c["title"] for c in listed["commands"]]
        is_shared = listed["scopes"] != ["personal"]
        assert ("ask" in titles) is is_shared
        assert ("slash" in listed.get("triggers", [])) is is_shared
    assert "supportsTargetedMessages" not in manifest(PLAIN)["bots"][0]
    preview = manifest(ManifestOptions(APP_ID, URL, slash=Slash.PREVIEW))
    assert preview["manifestVersion"] == "devPreview"
    assert "/vDevPreview/" in preview["$schema"]


@pytest.mark.parametrize(
    "options",
    [
        ManifestOptions("", URL),
        ManifestOptions("the-bot", URL),
        ManifestOptions(APP_ID, URL, name=" "),
        ManifestOptions(APP_ID, URL, name="師" * 31),
        ManifestOptions(APP_ID, URL, company="青" * 33),
        ManifestOptions(APP_ID, URL, version="1.0"),
        ManifestOptions(APP_ID, ""),
        ManifestOptions(APP_ID, "http://shifu.example.com"),
        ManifestOptions(APP_ID, URL, privacy="shifu.example.com/privacy"),
    ],
)
def test_what_teams_would_refuse_is_refused_before(options: ManifestOptions) -> None:
    with pytest.raises(ManifestInvalid, match="for example"):
        manifest(options)


def test_the_package_is_what_teams_takes() -> None:
    packed = app_package(PLAIN)

    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        made = json.loads(archive.read("manifest.json"))
        assert json.loads(archive.read("zh-tw.json")) == chinese(PLAIN)
    assert names == ["manifest.json", "zh-tw.json", "color.png", "outline.png"]
    assert made == manifest(PLAIN)
    assert {made["icons"]["color"], made["icons"]["outline"]} <= set(names)
    assert made["localizationInfo"]["additionalLanguages"][0]["file"] in names
    assert app_package(PLAIN) == packed


def test_the_pictures_are_as_teams_wants_them() -> None:
    held = package_files(PLAIN)
    color, outline = pixels(held["color.png"]), pixels(held["outline.png"])

    assert color[:2] == (192, 192)
    assert outline[:2] == (32, 32)
    assert {len(pixel) for pixel in outline[2]} == {4}
    shown = [pixel for pixel in outline[2] if pixel[3]]
    assert len(shown) > 100
    assert {pixel[:3] for pixel in shown} == {(255, 255, 255)}
    assert any(pixel[3] == 0 for pixel in outline[2])


class TestCommand:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_it_writes_what_can_be_uploaded(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(
            app,
            [
                *("teams", "package", "--app-id", APP_ID.upper(), "--public-url", f"{URL}/"),
                *("--name", "小師", "--company", "青嵐", "--slash", "-o", "our.zip"),
            ],
        )

        assert result.exit_code == 0, result.output
        assert "our.zip" in result.stdout
        assert f"{URL}/teams/messages" in result.stderr.replace("\n", "")
        with zipfile.ZipFile(tmp_path / "our.zip") as archive:
            made = json.loads(archive.read("manifest.json"))
        assert made["id"] == made["bots"][0]["botId"] == APP_ID
        assert made["name"]["short"] == "小師"
        assert made["developer"] == {
            "name": "青嵐",
            "websiteUrl": URL,
            "privacyUrl": URL,
            "termsOfUseUrl": URL,
        }

    def test_it_asks_for_what_the_settings_turn_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHIFU_TEAMS__APP_ID", APP_ID)
        monkeypatch.setenv("SHIFU_TEAMS__FOLLOW_TEAMS", '["*"]')

        printed = CliRunner().invoke(app, ["teams", "package", "--public-url", URL, "--json"])

        held = json.loads(printed.stdout)
        assert "ChannelMessage.Read.Group" in asked_in_teams(held["manifest.json"])
        assert held["zh-tw.json"]["description.short"].startswith("根據")
        assert not list(Path.cwd().iterdir())

    def test_the_permissions_are_listed_by_who_grants_them(self) -> None:
        plain = CliRunner().invoke(app, ["teams", "permissions"]).stdout
        listed = json.loads(
            CliRunner().invoke(app, ["teams", "permissions", "--sharepoint", "--json"]).stdout
        )

        assert "User.Read.All: tells employees from guests" in plain
        assert "Sites.Read.All" not in plain
        assert {"Sites.Read.All", "Files.Read.All"} <= {p["name"] for p in listed}
        assert all(p["why"] and p["granted_by"] for p in listed)
