"""Settings come from the environment and a file, and a wrong one is named with an example."""

import json
import os
from pathlib import Path

import pytest

from adapters.settings import (
    ConfigurationError,
    EmbeddingsProvider,
    all_settings,
    load_settings,
)
from adapters.web.guard import WebMode

KEY = "sk-not-for-anybody"

WRONG = {
    "SHIFU_TENANT": ["", "Acme", "-acme", "a b", "a" * 65],
    "SHIFU_TURN_TIMEOUT_S": ["0", "soon"],
    "SHIFU_QUESTIONS_PER_MINUTE": ["0", "1.5"],
    "SHIFU_LOG_LEVEL": ["loud"],
    "SHIFU_REDIS__SESSION_TTL_S": ["0", "a day"],
    "SHIFU_MODEL__NAME": [""],
    "SHIFU_MODEL__TIMEOUT_S": ["-1", "soon"],
    "SHIFU_MODEL__INPUT_PRICE": ["-0.1", "cheap"],
    "SHIFU_MODEL__OUTPUT_PRICE": ["-0.1", "cheap"],
    "SHIFU_EMBEDDINGS__PROVIDER": ["cloud"],
    "SHIFU_EMBEDDINGS__NAME": [""],
    "SHIFU_SLACK__API_URL": ["slack.com", "https://slack.com/api?x=1"],
    "SHIFU_SLACK__MATCH_EMAIL": ["often"],
    "SHIFU_TEAMS__APP_ID": ["shifu", "0" * 32],
    "SHIFU_TEAMS__TENANTS": ['["contoso"]'],
    "SHIFU_TEAMS__GROUPS": ['{"eng": "engineering"}', "[]"],
    "SHIFU_TEAMS__FOLLOW_TEAMS": ['["all"]'],
    "SHIFU_TEAMS__INDEX_CHANNELS": [
        '["19:a@thread.tacv2"]',
        '["https://teams.example/l/channel/x"]',
    ],
    "SHIFU_TEAMS__GRAPH_URL": ["graph.microsoft.com"],
    "SHIFU_SLACK__TEAMS": ['{"T1": "ours"}'],
    "SHIFU_WEB__HOST": [""],
    "SHIFU_WEB__PORT": ["-1", "65536", "http"],
    "SHIFU_WEB__MODE": ["open"],
    "SHIFU_WEB__USER_HEADER": [""],
    "SHIFU_WEB__TRUSTED_PROXIES": ['["proxy.example.com"]', '["10.0.0.1/8"]'],
    "SHIFU_WEB__PUBLIC_ORIGINS": ['["shifu.example.com"]', '["https://a.example/path"]'],
    "SHIFU_WEB__FRAME_ANCESTORS": ['["*"]', '["https://a.example b"]'],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and no setting in the environment."""
    for name in os.environ:
        if name.upper().startswith(("SHIFU_", "OPENAI_", "SLACK_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal() -> str:
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    return str(refused.value)


def test_the_defaults_need_no_server_and_open_nothing_to_the_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder))

    settings = load_settings()

    assert settings.home_folder == folder / ".local/share/shifu"
    assert settings.store_folder == settings.home_folder / "store" / "default"
    assert settings.redis.url is None
    assert not settings.has_model
    assert settings.embeddings.provider is EmbeddingsProvider.AUTO
    assert (settings.web.host, settings.web.mode) == ("127.0.0.1", WebMode.PLAYGROUND)
    assert settings.web.trusted_proxies == ("127.0.0.0/8", "::1/128")
    assert settings.web.frame_ancestors == ()


def test_two_underscores_lead_into_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIFU_TENANT", "acme")
    monkeypatch.setenv("SHIFU_MODEL__TIMEOUT_S", "2.5")
    monkeypatch.setenv("SHIFU_WEB__MODE", "header")
    monkeypatch.setenv("SHIFU_WEB__TRUSTED_PROXIES", '["10.0.0.0/8", "fd00::/8"]')

    settings = load_settings()

    assert settings.store_folder.name == "acme"
    assert settings.model.timeout_s == 2.5
    assert settings.model.name == "gpt-5-mini"
    assert settings.web.mode is WebMode.HEADER
    assert settings.web.trusted_proxies == ("10.0.0.0/8", "fd00::/8")


def test_the_file_in_the_working_folder_is_read_and_the_environment_wins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "shifu.toml").write_text('tenant = "acme"\n[web]\nhost = "::1"\nport = 1\n')
    monkeypatch.setenv("SHIFU_WEB__PORT", "2")

    settings = load_settings()

    assert (settings.tenant, settings.web.host, settings.web.port) == ("acme", "::1", 2)


def test_another_file_can_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "shifu.toml").write_text('tenant = "acme"\n')
    (folder / "other.toml").write_text('tenant = "other"\n')
    monkeypatch.setenv("SHIFU_CONFIG", "other.toml")

    assert load_settings().tenant == "other"


def test_a_named_file_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIFU_CONFIG", "missing.toml")

    told = refusal()

    assert "missing.toml" in told
    assert "SHIFU_CONFIG=/etc/shifu.toml" in told


@pytest.mark.parametrize("content", [b"tenant =", b"[web", b'tenant = "\xff"'])
def test_a_file_that_is_no_toml_is_named(folder: Path, content: bytes) -> None:
    (folder / "shifu.toml").write_bytes(content)

    assert refusal().startswith("shifu.toml: is no valid TOML: ")


def test_a_wrong_value_in_the_file_is_named_like_its_variable(folder: Path) -> None:
    (folder / "shifu.toml").write_text("[web]\nport = 70000\n[model]\ntimeout_s = 0\n")

    assert [line.partition(":")[0] for line in refusal().splitlines()] == [
        "SHIFU_MODEL__TIMEOUT_S",
        "SHIFU_WEB__PORT",
    ]


@pytest.mark.parametrize(
    "content", ['tennant = "acme"', '[wep]\nport = 1\nhost = "x"', "[web]\nprot = 1"]
)
def test_a_name_in_the_file_that_is_no_setting_is_refused(folder: Path, content: str) -> None:
    (folder / "shifu.toml").write_text(content)

    assert "extra inputs are not permitted" in refusal()


@pytest.mark.parametrize("name", ["SHIFU_TENNANT", "SHIFU_WEP__PORT", "SHIFU_PORT"])
def test_a_variable_that_is_no_setting_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")

    told = refusal()

    assert name in told
    assert "docs/configuration.md" in told


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_answered_with_the_variable_and_an_example(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    told = refusal()

    assert told.startswith(f"{name}: ")
    assert told.endswith(f"; for example {name}={all_settings()[name][2]}")


@pytest.mark.parametrize(
    ("name", "value"), [("SHIFU_WEB__PROT", "1"), ("SHIFU_WEB__TRUSTED_PROXIES", "10.0.0.0/8")]
)
def test_a_mistake_inside_a_group_is_named_in_full(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert name in refusal()


def test_a_lower_case_variable_that_is_no_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("shifu_tennant", "acme")

    assert "shifu_tennant" in refusal().lower()


def test_every_example_is_a_value_that_its_variable_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (_, description, example) in all_settings().items():
        assert description, name
        if example:
            monkeypatch.setenv(name, example)

    assert load_settings().tenant == "qinglan"


def test_every_setting_but_a_key_has_an_example() -> None:
    without = {name for name, (_, _, example) in all_settings().items() if not example}

    assert without == {
        "SHIFU_MODEL__API_KEY",
        "SHIFU_EMBEDDINGS__API_KEY",
        "SHIFU_WEAVIATE__API_KEY",
        "SHIFU_SLACK__BOT_TOKEN",
        "SHIFU_SLACK__APP_TOKEN",
        "SHIFU_SLACK__SIGNING_SECRET",
        "SHIFU_SLACK__CLIENT_SECRET",
        "SHIFU_SLACK__INSTALLATION_KEYS",
        "SHIFU_TEAMS__APP_PASSWORD",
    }


def test_no_secret_is_in_the_settings_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIFU_MODEL__API_KEY", KEY)
    monkeypatch.setenv("SHIFU_EMBEDDINGS__API_KEY", KEY)
    monkeypatch.setenv("SHIFU_REDIS__URL", f"redis://:{KEY}@localhost:6379/0")

    settings = load_settings()

    assert (settings.model_key, settings.embeddings_key) == (KEY, KEY)
    assert (
        KEY not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    )


def test_no_secret_is_in_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIFU_MODEL__API_KEY", KEY)
    monkeypatch.setenv("SHIFU_MODEL__TIMEOUT_S", "soon")

    assert KEY not in refusal()


def test_the_usual_variable_for_a_key_makes_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    settings = load_settings()
    assert settings.has_model
    assert (settings.model_key, settings.embeddings_key) == (KEY, KEY)

    monkeypatch.setenv("SHIFU_MODEL__API_KEY", "sk-own")
    assert load_settings().model_key == "sk-own"


def test_slacks_own_names_of_its_tokens_are_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load_settings().has_slack
    assert load_settings().slack_api_url == "https://slack.com/api/"
    for name in ("BOT_TOKEN", "APP_TOKEN", "SIGNING_SECRET"):
        monkeypatch.setenv(f"SLACK_{name}", f"theirs-{name}")
    monkeypatch.setenv("SLACK_API_URL", "http://localhost:9000/api")
    monkeypatch.setenv("SHIFU_SLACK__APP_TOKEN", "ours")

    settings = load_settings()

    assert settings.has_slack
    assert settings.slack_bot_token == "theirs-BOT_TOKEN"
    assert settings.slack_app_token == "ours"
    assert settings.slack_signing_secret == "theirs-SIGNING_SECRET"
    assert settings.slack_api_url == "http://localhost:9000/api/"
    assert "ours" not in repr(settings)


@pytest.mark.parametrize("key", [KEY, "", "short", "ü" * 44, KEY * 3])
def test_what_is_no_installation_key_is_refused_unseen(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("SHIFU_SLACK__INSTALLATION_KEYS", json.dumps([key]))

    told = refusal()

    assert told.startswith("SHIFU_SLACK__INSTALLATION_KEYS: ")
    assert "shifu slack key" in told
    assert KEY not in told
