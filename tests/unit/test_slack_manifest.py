"""The manifest fits Slack's limits, asks for no more than it says why, and is the one in deploy/."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from adapters.cli import app
from adapters.slack.manifest import (
    ManifestInvalid,
    ManifestOptions,
    manifest,
    manifest_yaml,
)
from adapters.slack.permissions import EVENTS, SCOPES, OptIn, scopes
from tests.fakes.slack_api import METHODS

ROOT = Path(__file__).parents[2]
HTTP_URL = "https://shifu.example.com"

EVERY_OPTION = [
    ManifestOptions(
        http_url=url, opt_ins=frozenset(opt_ins), is_org_wide=is_org, legacy_assistant=is_legacy
    )
    for url in ("", HTTP_URL)
    for is_org in (False, True)
    for is_legacy in (False, True)
    for size in (0, 1, len(OptIn))
    for opt_ins in combinations(OptIn, size)
]


def bot_scopes(made: dict[str, Any]) -> set[str]:
    return set(made["oauth_config"]["scopes"]["bot"])


def bot_events(made: dict[str, Any]) -> set[str]:
    return set(made["settings"]["event_subscriptions"]["bot_events"])


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("slack-manifest.yaml", ManifestOptions()),
        ("slack-manifest-http.yaml", ManifestOptions(http_url=HTTP_URL)),
    ],
)
def test_the_files_in_deploy_are_what_the_command_makes(
    file: str, options: ManifestOptions
) -> None:
    assert (ROOT / "deploy" / file).read_text(encoding="utf-8") == manifest_yaml(options)


@pytest.mark.parametrize("options", EVERY_OPTION)
def test_slacks_limits_are_kept(options: ManifestOptions) -> None:
    made = manifest(options)
    shown, features = made["display_information"], made["features"]
    view = features.get("agent_view") or features["assistant_view"]
    described = view.get("agent_description") or view["assistant_description"]

    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert 175 <= len(shown["long_description"]) <= 4_000
    assert len(described) <= 300
    assert len(view["suggested_prompts"]) <= 4
    assert len(features["slash_commands"]) <= 5
    assert all(len(command["command"]) <= 32 for command in features["slash_commands"])
    assert len(features["shortcuts"]) <= 10
    assert all(len(shortcut["name"]) <= 24 for shortcut in features["shortcuts"])
    assert len(bot_events(made)) <= 100


@pytest.mark.parametrize("options", EVERY_OPTION)
def test_each_scope_and_event_has_its_reason_beside_it(options: ManifestOptions) -> None:
    text = manifest_yaml(options)
    made = manifest(options)

    assert yaml.safe_load(text) == made
    for name in bot_scopes(made) | bot_events(made):
        assert re.search(rf"^ +- {re.escape(name)}  # \S", text, re.MULTILINE), name


def test_an_event_is_asked_for_only_with_the_scope_that_it_needs() -> None:
    for options in EVERY_OPTION:
        made = manifest(options)
        needed = {
            "app_mention": "app_mentions:read",
            "message.im": "im:history",
            "message.channels": "channels:history",
            "message.groups": "groups:history",
            "message.mpim": "mpim:history",
            "member_joined_channel": "channels:read",
            "group_rename": "groups:read",
            "subteam_updated": "usergroups:read",
            "user_change": "users:read",
            "app_context_changed": "assistant:write",
            "assistant_thread_started": "assistant:write",
        }
        for event in bot_events(made) & needed.keys():
            assert needed[event] in bot_scopes(made)


def test_nothing_reads_along_until_somebody_wants_it() -> None:
    reads_along = {"message.channels", "message.groups"}
    plain = manifest(ManifestOptions())

    assert not reads_along & bot_events(plain)
    assert not {name for name in bot_scopes(plain) if name.startswith("search:")}
    assert "users:read.email" not in bot_scopes(plain)
    following = manifest(ManifestOptions(opt_ins=frozenset({OptIn.FOLLOW})))
    assert reads_along <= bot_events(following)
    indexing = manifest(ManifestOptions(opt_ins=frozenset({OptIn.INDEX})))
    assert reads_along <= bot_events(indexing)
    searching = manifest(ManifestOptions(opt_ins=frozenset({OptIn.LIVE_SEARCH})))
    assert bot_scopes(searching) - bot_scopes(plain) == {"search:read.public"}


def test_events_by_http_go_to_one_address_and_the_browser_comes_back() -> None:
    made = manifest(ManifestOptions(http_url=HTTP_URL + "/"))
    settings = made["settings"]

    assert settings["event_subscriptions"]["request_url"] == f"{HTTP_URL}/slack/events"
    assert settings["interactivity"]["request_url"] == f"{HTTP_URL}/slack/events"
    assert {c["url"] for c in made["features"]["slash_commands"]} == {f"{HTTP_URL}/slack/events"}
    assert made["oauth_config"]["redirect_urls"] == [f"{HTTP_URL}/slack/oauth_redirect"]
    assert settings["socket_mode_enabled"] is False


def test_socket_mode_has_no_address() -> None:
    text = manifest_yaml(ManifestOptions())

    assert "http" not in text
    assert yaml.safe_load(text)["settings"]["socket_mode_enabled"] is True


def test_an_older_workspace_gets_the_older_surface() -> None:
    old = manifest(ManifestOptions(legacy_assistant=True))

    assert "assistant_view" in old["features"]
    assert "agent_view" not in old["features"]
    assert "assistant_thread_started" in bot_events(old)
    assert not {"app_context_changed", "agent_session_stopped"} & bot_events(old)


@pytest.mark.parametrize(
    "options",
    [
        ManifestOptions(name=" "),
        ManifestOptions(name="師" * 36),
        ManifestOptions(http_url="http://shifu.example.com"),
    ],
)
def test_what_slack_would_refuse_is_refused_before(options: ManifestOptions) -> None:
    with pytest.raises(ManifestInvalid, match="for example"):
        manifest(options)


def test_the_list_of_permissions_is_sorted_and_says_everything_once() -> None:
    for names in ([scope.name for scope in SCOPES], [event.name for event in EVENTS]):
        assert names == sorted(set(names))
    assert all(scope.why and scope in scopes(frozenset(OptIn)) for scope in SCOPES)


def test_the_app_listens_to_every_event_that_it_asks_for() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "adapters/slack").glob("*.py")
        if path.name != "permissions.py"
    )  # fmt: skip

    for event in EVENTS:
        assert f'"{event.name.partition(".")[0]}"' in sources, event.name


def test_every_method_that_the_app_calls_is_among_what_it_asks_for() -> None:
    granted = {scope.name for scope in scopes(frozenset(OptIn))}
    called = {
        name.replace("_", ".")
        for path in (ROOT / "adapters/slack").glob("*.py")
        for name in re.findall(
            r"\.((?:agents|assistant|bots|chat|conversations|files|reactions|team|usergroups|users)_\w+)\(",
            path.read_text(encoding="utf-8"),
        )
    }

    assert called
    for name in called & METHODS.keys():
        needed = set(METHODS[name].scopes)
        assert not needed or needed & granted, name


class TestCommand:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_it_prints_what_can_be_pasted(self) -> None:
        result = CliRunner().invoke(
            app, ["slack", "manifest", "--name", "小師", "--http", HTTP_URL, "--follow", "--org"]
        )

        made = yaml.safe_load(result.stdout)
        assert result.exit_code == 0
        assert made["features"]["bot_user"]["display_name"] == "小師"
        assert made["settings"]["org_deploy_enabled"] is True
        assert "message.channels" in bot_events(made)
        assert "api.slack.com" in result.stderr

    def test_it_asks_for_what_the_settings_turn_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHIFU_SLACK__LIVE_SEARCH", "true")
        monkeypatch.setenv("SHIFU_SLACK__INDEX_CHANNELS", '["C1"]')

        made = yaml.safe_load(CliRunner().invoke(app, ["slack", "manifest"]).stdout)

        assert "search:read.public" in bot_scopes(made)
        assert "message.channels" in bot_events(made)

    def test_the_key_that_it_makes_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        key = CliRunner().invoke(app, ["slack", "key"]).stdout.strip()

        monkeypatch.setenv("SHIFU_SLACK__INSTALLATION_KEYS", f'["{key}"]')

        assert CliRunner().invoke(app, ["slack", "manifest"]).exit_code == 0
