"""The image and the compose file: pinned, without rights or default passwords, and in settings that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.settings import Settings, all_settings, load_settings
from adapters.web.guard import WebMode

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
COMPOSE = (DEPLOY / "compose.yaml").read_text("utf-8")
EXAMPLE = (DEPLOY / "env.example").read_text("utf-8")

_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")
_FULL_VERSION = re.compile(r":\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$")


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*all_settings(), "SHIFU_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "file",
    [
        DEPLOY / "Dockerfile",
        DEPLOY / "compose.yaml",
        DEPLOY / "env.example",
        *sorted(path for path in (DEPLOY / "helm").rglob("*") if path.is_file()),
    ],
    ids=lambda path: str(path.relative_to(DEPLOY)),
)
def test_every_setting_that_is_named_exists(file: Path) -> None:
    named = set(re.findall(r"\bSHIFU_[A-Z_]*[A-Z]\b", file.read_text("utf-8")))

    assert named <= all_settings().keys()


def test_images_are_pinned() -> None:
    images = [service["image"] for service in _services(compose()).values()]
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)

    assert all(_FULL_VERSION.search(image) for image in (*images, *bases))
    # What is installed in the one has to run in the other.
    assert len(set(bases)) == 1


def test_the_image_runs_as_a_user_that_is_a_number_and_not_root() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.findall(r"^USER (\S+)$", final, re.M) == ["10001:10001"]


def test_the_image_is_built_from_hashes_and_from_wheels_alone() -> None:
    assert "--only-binary :all: --require-hashes -r requirements.lock" in DOCKERFILE
    assert DOCKERFILE.count("--no-deps") == 2


def test_what_the_image_copies_is_let_through_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M)
        for source in line.split()[:-1]
    }

    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def test_the_health_check_is_a_program() -> None:
    found = re.search(r'"-c", "(.+)"\]$', DOCKERFILE, re.M)

    assert found
    compile(found.group(1), "HEALTHCHECK", "exec")


@pytest.mark.parametrize("service", ["app", "worker"])
def test_the_compose_settings_are_accepted(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in compose()["services"][service]["environment"].items():
        monkeypatch.setenv(name, value)

    settings = load_settings()

    assert isinstance(settings, Settings)
    assert settings.web.mode is WebMode.HEADER
    assert settings.web.trusted_proxies == ("172.31.250.1/32",)


def test_passwords_have_no_default() -> None:
    for name, kind, _ in _VARIABLE.findall(COMPOSE):
        if re.search("PASSWORD|KEY", name):
            assert kind == "?", name


def test_the_example_names_every_variable_and_fills_in_the_defaults_alone() -> None:
    given = dict(re.findall(r"^(\w+)=(.*)$", EXAMPLE, re.M))
    asked = {name for name, kind, _ in _VARIABLE.findall(COMPOSE) if kind == "?"}
    defaults = {name: value for name, kind, value in _VARIABLE.findall(COMPOSE) if kind == "-"}

    assert {name for name, value in given.items() if not value} == asked
    assert given.items() - dict.fromkeys(asked, "").items() <= defaults.items()


def test_only_the_page_is_published_and_only_on_this_machine() -> None:
    published = [
        port for service in _services(compose()).values() for port in service.get("ports", [])
    ]

    assert published == ["127.0.0.1:8020:8020"]
    assert compose()["networks"]["data"] == {"internal": True}


def test_a_folder_that_is_not_there_is_not_taken_for_one_whose_documents_are_gone() -> None:
    for service in ("app", "worker"):
        for mount in compose()["services"][service]["volumes"]:
            assert mount["bind"] == {"create_host_path": False}
            assert mount["read_only"] is True


def test_no_service_may_gain_rights() -> None:
    for name, service in _services(compose()).items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name


def test_a_stopping_container_is_given_longer_than_its_turns_are() -> None:
    app = compose()["services"]["app"]

    assert int(app["stop_grace_period"].removesuffix("s")) > int(
        app["environment"]["SHIFU_WORK__DRAIN_S"]
    )


def test_redis_keeps_what_it_confirmed_and_refuses_rather_than_drops() -> None:
    command = compose()["services"]["redis"]["command"][0]

    assert "--appendonly yes --appendfsync always" in command
    assert "--maxmemory-policy noeviction" in command
    # A shell that stays would keep the signal to stop for itself.
    assert command.startswith("exec ")
    # On the command line everybody on the machine could read it.
    assert "--requirepass" not in command


def test_weaviate_lets_nobody_in_without_a_key_and_invents_no_schema() -> None:
    environment = compose()["services"]["weaviate"]["environment"]

    assert environment["AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED"] == "false"
    assert environment["AUTHENTICATION_APIKEY_ENABLED"] == "true"
    assert environment["AUTOSCHEMA_ENABLED"] == "false"
    assert environment["DISABLE_TELEMETRY"] == "true"
    assert "GOMEMLIMIT" in environment


def compose() -> Any:
    """The compose file as compose would read it, with the variables of an installation."""
    given = {
        "TENANT": "qinglan",
        "CONFIG_DIR": "/etc/shifu",
        "DOCUMENTS_DIR": "/var/documents",
        "REDIS_PASSWORD": "a" * 48,
        "WEAVIATE_API_KEY": "b" * 48,
        "PUBLIC_ORIGIN": "https://shifu.example.com",
    }

    def value(match: re.Match[str]) -> str:
        name, kind, default = match.groups()
        return given[name] if name in given or kind != "-" else str(default)

    return yaml.safe_load(_VARIABLE.sub(value, COMPOSE))


def _services(composed: Any) -> dict[str, Any]:
    services: dict[str, Any] = composed["services"]
    return services
