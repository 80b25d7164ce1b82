"""Secrets go, everything that only looks a little like one stays. The samples are put together here, so that no
scanner takes this file for a leak."""

import pytest

from retrieval.ingest.redact import redact

A32 = "Ab1" * 11


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        (
            "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIE\nabc\n-----END RSA PRIVATE " + "KEY-----",
            "private key",
        ),
        ("-----BEGIN OPENSSH PRIVATE " + "KEY-----\nb3Bl", "private key"),
        ("AK" + "IA" + "ABCDEFGHIJKLMNOP", "AWS key"),
        ("gh" + "p_" + "a1B2" * 9, "GitHub token"),
        ("xo" + "xb-123456789012-abcdefABCDEF", "Slack token"),
        ("https://hooks.slack" + ".com/services/T0000/B0000/XXXXXXXXXXXX", "Slack webhook"),
        ("sk" + "-proj-" + A32, "API key"),
        ("ey" + "J" + "a" * 12 + ".ey" + "J" + "b" * 12 + "." + "c" * 12, "signed token"),
    ],
)
def test_known_secrets_are_replaced_and_counted(secret: str, kind: str) -> None:
    text, found = redact(f"before {secret}\n\nafter")

    assert text == f"before [redacted 已遮蔽: {kind}]\n\nafter"
    assert found == {kind: 1}


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        ("password: Hunter2Hunter2", "password: [redacted 已遮蔽: password]"),
        ("- **Password**: `Hunter2Hunter2`", "- **Password**: `[redacted 已遮蔽: password]`"),
        ("密碼：abcd1234!", "密碼：[redacted 已遮蔽: password]"),
        ("DB_PASSWORD=abcd1234efgh", "DB_PASSWORD=[redacted 已遮蔽: password]"),
        (
            "postgres://app:s3cret@db.example/x",
            "postgres://app:[redacted 已遮蔽: password]@db.example/x",
        ),
    ],
)
def test_a_password_goes_and_what_it_is_for_stays(line: str, redacted: str) -> None:
    assert redact(line)[0] == redacted


@pytest.mark.parametrize(
    "text",
    [
        "Password: at least 12 characters, changed every 90 days",
        "密碼：至少12碼，含大小寫",
        "password: <your-password1>",
        "password: ${DB_PASSWORD_1}",
        "password: ********",
        "The password is never sent by mail.",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "https://docs.example/a:b@c",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == (text, {})
