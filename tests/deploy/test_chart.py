"""The Helm chart: what it renders is restricted, names secrets only, and is accepted as settings."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from adapters.settings import Settings, all_settings, load_settings
from adapters.teams_app import bot_tokens

HELM_FOLDER = Path(__file__).resolve().parents[2] / "deploy/helm"
CHART = HELM_FOLDER / "shifu"
TOOLS = Path(os.environ.get("TOOLS_DIR", HELM_FOLDER.parents[1] / ".tools")) / "bin"
HELM = next((str(path) for path in sorted(TOOLS.glob("helm-*"))), shutil.which("helm"))
VALUES = sorted((HELM_FOLDER / "ci").glob("*.yaml"))
MANAGED_IDENTITY = ("teams.existingSecret=", "teams.credential=managedIdentity")
WORKLOADS = ("Deployment", "CronJob", "Job")

pytestmark = pytest.mark.skipif(
    HELM is None, reason="no helm; deploy/helm/lint.sh installs it (needs Go)"
)
each_values = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*all_settings(), "SHIFU_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@each_values
def test_the_settings_are_accepted(values: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = render(values)
    shared = _one(rendered, "ConfigMap")["data"]

    for workload, pod in _pods(rendered):
        with monkeypatch.context() as environment:
            for name, value in {**shared, **_environment(pod)}.items():
                environment.setenv(name, value)
            settings = load_settings()
        assert settings.tenant == "qinglan", workload


@each_values
def test_every_pod_is_restricted(values: Path) -> None:
    for workload, pod in _pods(render(values)):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True, workload
        assert pod["securityContext"]["runAsUser"] > 0, workload
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, workload
        assert pod["automountServiceAccountToken"] is False, workload
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, workload
        assert set(container["resources"]) == {"requests", "limits"}, workload
        assert not container["image"].endswith(":latest"), workload


@each_values
def test_a_service_of_our_name_adds_no_variable(values: Path) -> None:
    assert all(pod["enableServiceLinks"] is False for _, pod in _pods(render(values)))


@each_values
def test_secrets_are_named_and_never_contained(values: Path) -> None:
    rendered = render(values)
    secrets = _secrets()

    assert not [item for item in rendered if item["kind"] == "Secret"]
    assert not secrets & _one(rendered, "ConfigMap")["data"].keys()
    for workload, pod in _pods(rendered):
        for variable in pod["containers"][0]["env"]:
            if variable["name"] in secrets:
                assert set(variable["valueFrom"]) == {"secretKeyRef"}, workload


@each_values
def test_a_rolling_update_takes_nobody_away_before_another_is_there(values: Path) -> None:
    rendered = render(values)
    drain_s = int(_one(rendered, "ConfigMap")["data"]["SHIFU_WORK__DRAIN_S"])

    for deployment in _all(rendered, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        pre_stop_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert pod["terminationGracePeriodSeconds"] > drain_s + pre_stop_s.get("seconds", 0)
        assert container["startupProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_the_copies_that_weaviate_keeps_are_a_value() -> None:
    for replicas in ("1", "3"):
        rendered = render(HELM_FOLDER / "ci/smallest.yaml", f"weaviate.replicas={replicas}")
        assert _one(rendered, "ConfigMap")["data"]["SHIFU_WEAVIATE__REPLICAS"] == replicas


def test_all_pods_are_shut_off_but_for_what_is_named() -> None:
    rendered = render(HELM_FOLDER / "ci/smallest.yaml")
    (policy,) = _all(rendered, "NetworkPolicy")
    selected = policy["spec"]["podSelector"]["matchLabels"].items()

    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert policy["spec"]["ingress"] == []
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {
        *(53, 6379, 8080, 50051)
    }
    for deployment in _all(rendered, "Deployment"):
        assert selected <= deployment["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "settings", "ports"),
    [
        ("smallest", (), set()),
        ("slack", (), {443}),
        ("teams", (), {443}),
        ("teams", MANAGED_IDENTITY, {80, 443}),
        ("everything", (), {443, 3128, 3129}),
    ],
)
def test_slack_and_teams_are_reached_where_they_are_used_and_nowhere_else(
    values: str, settings: tuple[str, ...], ports: set[int]
) -> None:
    policy, *_ = _all(render(HELM_FOLDER / f"ci/{values}.yaml", *settings), "NetworkPolicy")
    egress = {
        port["port"]: rule.get("to") for rule in policy["spec"]["egress"] for port in rule["ports"]
    }

    assert egress.keys() - {53, 6379, 26379, 8080, 50051} == ports
    assert egress.get(80) in (None, [{"ipBlock": {"cidr": "169.254.169.254/32"}}])


def test_each_process_gets_of_slacks_secrets_what_it_needs() -> None:
    for values, common, more in (
        ("slack", {"BOT_TOKEN"}, {"APP_TOKEN"}),
        ("everything", {"CLIENT_SECRET", "INSTALLATION_KEYS"}, {"SIGNING_SECRET"}),
    ):
        for workload, pod in _pods(render(HELM_FOLDER / f"ci/{values}.yaml")):
            given = {variable["name"] for variable in pod["containers"][0]["env"]} & _secrets()
            slacks = {name.removeprefix("SHIFU_SLACK__") for name in given if "SLACK" in name}
            kind, _, name = workload.partition(" ")
            expected = common | (more if name == "shifu-serve" else set())
            assert slacks == (expected if kind == "Deployment" else set()), workload


@pytest.mark.parametrize(
    ("values", "settings", "way"),
    [
        ("teams", (), "CERTIFICATE"),
        ("teams", MANAGED_IDENTITY, "MANAGED_IDENTITY"),
        ("everything", (), "APP_PASSWORD"),
        ("everything", MANAGED_IDENTITY, "MANAGED_IDENTITY"),
        ("everything", ("teams.credential=certificate",), "CERTIFICATE"),
    ],
)
def test_whoever_answers_in_teams_can_sign_in_and_no_job_can(
    values: str, settings: tuple[str, ...], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = render(HELM_FOLDER / f"ci/{values}.yaml", *settings)
    shared = _one(rendered, "ConfigMap")["data"]

    for workload, pod in _pods(rendered):
        given = {**shared, **_environment(pod)}
        ways = {"APP_PASSWORD", "CERTIFICATE", "MANAGED_IDENTITY"}
        assert {each for each in ways if f"SHIFU_TEAMS__{each}" in given} == (
            {way} if workload.startswith("Deployment") else set()
        ), workload
        if workload.startswith("Deployment"):
            with monkeypatch.context() as environment:
                for name, value in given.items():
                    environment.setenv(name, value)
                assert bot_tokens(load_settings()) is not None, workload


def test_a_renewed_certificate_of_teams_arrives_without_a_restart() -> None:
    for workload, pod in _pods(
        render(HELM_FOLDER / "ci/teams.yaml", "teams.keys.certificate=x.pem")
    ):
        (volume,) = (each for each in pod["volumes"] if each["name"] == "teams")
        (mount,) = (m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "teams")

        assert [item["key"] for item in volume["secret"]["items"]] == ["x.pem"], workload
        assert _environment(pod)["SHIFU_TEAMS__CERTIFICATE"] == f"{mount['mountPath']}/x.pem"
        # What is mounted by subPath stays as it was when the pod began.
        assert mount.keys() == {"name", "mountPath", "readOnly"}, workload


def test_slack_and_teams_come_in_by_ways_of_their_own() -> None:
    rendered = render(HELM_FOLDER / "ci/everything.yaml")
    ways = {each["metadata"]["name"]: _paths(each) for each in _all(rendered, "Ingress")}
    _, entry, *_ = _all(rendered, "NetworkPolicy")

    assert ways == {
        "shifu": {("shifu.example.com", "/")},
        "shifu-slack": {("slack.example.com", "/slack")},
        "shifu-teams": {("shifu.example.com", "/teams")},
    }
    # The sign-in, and one controller that both are handed on by.
    assert len(entry["spec"]["ingress"][0]["from"]) == 2


@pytest.mark.parametrize(
    ("values", "ways", "policies"), [("slack", set(), 1), ("teams", {"/teams"}, 2)]
)
def test_without_a_file_of_people_none_is_mounted(
    values: str, ways: set[str], policies: int
) -> None:
    rendered = render(HELM_FOLDER / f"ci/{values}.yaml")

    assert "SHIFU_DIRECTORY__PATH" not in _one(rendered, "ConfigMap")["data"]
    for workload, pod in _pods(rendered):
        assert "directory" not in {volume["name"] for volume in pod["volumes"]}, workload
    assert {path for each in _all(rendered, "Ingress") for _, path in _paths(each)} == ways
    assert len(_all(rendered, "NetworkPolicy")) == policies


def test_nothing_is_let_in_for_teams_where_it_is_not_used() -> None:
    controller = "networkPolicy.teamsFrom[0].podSelector.matchLabels.app=controller"

    assert len(_all(render(HELM_FOLDER / "ci/smallest.yaml", controller), "NetworkPolicy")) == 1


def test_what_scales_itself_has_no_fixed_number() -> None:
    rendered = render(HELM_FOLDER / "ci/everything.yaml")
    scaled = {
        item["spec"]["scaleTargetRef"]["name"]
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for item in _all(rendered, kind)
    }

    assert scaled == {"shifu-serve", "shifu-worker"}
    assert not [d for d in _all(rendered, "Deployment") if "replicas" in d["spec"]]


def test_the_queue_is_asked_for_where_a_worker_answers() -> None:
    rendered = render(HELM_FOLDER / "ci/everything.yaml")
    triggers = _one(rendered, "ScaledObject")["spec"]["triggers"]
    service = next(s for s in _all(rendered, "Service") if s["metadata"]["name"] == "shifu-worker")

    assert {t["metadata"]["valueLocation"] for t in triggers} == {"waiting", "oldest_age_s"}
    assert {t["metadata"]["url"] for t in triggers} == {
        f"http://shifu-worker.knowledge.svc:{service['spec']['ports'][0]['port']}/queue"
    }
    assert all(isinstance(value, str) for t in triggers for value in t["metadata"].values())


def test_disruptions_take_one_pod_at_a_time() -> None:
    budgets = _all(render(HELM_FOLDER / "ci/smallest.yaml"), "PodDisruptionBudget")

    assert [budget["spec"]["maxUnavailable"] for budget in budgets] == [1, 1]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("redis.existingSecret=", "/redis/existingSecret"),
        ("redis.url=redis://x", "not allowed"),
        ("tenat=x", "not allowed"),
        ("web.trustedProxies={0.0.0.0/0}", "/web/trustedProxies"),
        ("weaviate.url=http://user:pass@host", "/weaviate/url"),
        ("settings.SHIFU_MODEL__API_KEY=x", "a secret is no value"),
        ("settings.SHIFU_SLACK__BOT_TOKEN=x", "a secret is no value"),
        ("settings.SHIFU_SLACK__SIGNING_SECRET=x", "a secret is no value"),
        ("settings.SHIFU_SLACK__INSTALLATION_KEYS={x}", "a secret is no value"),
        ("settings.SHIFU_SLACK__CLIENT_ID=x", "has a value of its own"),
        ("settings.SHIFU_TENANT=x", "has a value of its own"),
        ("slack.botToken=xoxb-1", "not allowed"),
        ("slack.events=socket", "slack.clientId"),
        ("slack.teams=null", "slack.clientId"),
        ("slack.existingSecret=", "slack.ingress"),
        ("settings.SHIFU_TEAMS__APP_PASSWORD=x", "a secret is no value"),
        ("settings.SHIFU_TEAMS__APP_ID=x", "has a value of its own"),
        ("settings.SHIFU_TEAMS__CERTIFICATE=/x.pem", "has a value of its own"),
        ("settings.SHIFU_TEAMS__DEVELOPMENT=true", "without a token"),
        ("teams.appPassword=x", "not allowed"),
        ("teams.appId=shifu", "/teams/appId"),
        ("teams.appTenantId=", "appId and appTenantId belong together"),
        ("teams.credential=managedIdentity", "teams.existingSecret"),
        ("teams.existingSecret=", "the app's secret"),
        ("worker.autoscaling.enabled=true", "exclude each other"),
        ("directory.configMap=people", "either configMap or secret"),
        ("sync.schedule=@daily", "exclude each other"),
        ("documents.volume=null", "documents.volume"),
        ("image.tag=latest", "/image/tag"),
    ],
)
def test_what_can_not_be_right_is_refused(wrong: str, why: str) -> None:
    refused = _helm(HELM_FOLDER / "ci/everything.yaml", wrong)

    assert refused.returncode != 0
    assert why in refused.stderr


def test_without_any_values_it_says_what_is_missing() -> None:
    refused = _helm(None)

    assert refused.returncode != 0
    for missing in ("/tenant", "/redis/existingSecret", "/weaviate/url", "/web/trustedProxies"):
        assert missing in refused.stderr


@pytest.mark.parametrize("named", ["existingSecret=shifu-teams", "ingress.enabled=true"])
def test_half_of_teams_is_refused(named: str) -> None:
    refused = _helm(
        HELM_FOLDER / "ci/smallest.yaml", f"teams.{named}", "teams.ingress.hosts={x.example.com}"
    )

    assert refused.returncode != 0
    assert "without it there is no Teams" in refused.stderr


def test_without_slack_and_teams_somebody_has_to_say_who_people_are() -> None:
    refused = _helm(HELM_FOLDER / "ci/smallest.yaml", "directory.configMap=")

    assert refused.returncode != 0
    assert "nobody would be known" in refused.stderr


def render(values: Path, *settings: str) -> list[dict[str, Any]]:
    done = _helm(values, *settings)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def _helm(values: Path | None, *settings: str) -> subprocess.CompletedProcess[str]:
    command = [str(HELM), "template", "shifu", str(CHART), "--namespace", "knowledge"]
    command += ["--kube-version", "1.30.0"]
    command += ["--values", str(values)] if values else []
    for setting in settings:
        command += ["--set", setting]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _all(rendered: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for item in rendered if item["kind"] == kind]


def _one(rendered: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (item,) = _all(rendered, kind)
    return item


def _pods(rendered: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for item in rendered:
        if item["kind"] in WORKLOADS:
            spec = item["spec"]
            if item["kind"] == "CronJob":
                spec = spec["jobTemplate"]["spec"]
            yield f"{item['kind']} {item['metadata']['name']}", spec["template"]["spec"]


def _paths(ingress: dict[str, Any]) -> set[tuple[str, str]]:
    return {
        (rule["host"], path["path"])
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    }


def _secrets() -> set[str]:
    """The variables that hold one."""
    groups = {"": Settings.model_fields} | {
        f"{name}__": field.annotation.model_fields
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    return {
        f"SHIFU_{group}{name}".upper()
        for group, fields in groups.items()
        for name, field in fields.items()
        if "SecretStr" in str(field.annotation)
    }


def _environment(pod: dict[str, Any]) -> dict[str, str]:
    """What the container is given, with something plausible for each secret."""
    plausible = {
        "SHIFU_REDIS__URL": "redis://redis:6379/0",
        "SHIFU_SLACK__INSTALLATION_KEYS": json.dumps(["A" * 43 + "="]),
    }
    return {
        variable["name"]: variable.get("value", plausible.get(variable["name"], "key"))
        for variable in pod["containers"][0]["env"]
        if variable["name"].startswith("SHIFU_")
    }
