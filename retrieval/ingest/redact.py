"""Secrets that must never be indexed: replaced by a placeholder that says what stood there."""

import re
from collections import Counter

_SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, flags))
    for kind, pattern, flags in (
        (
            "private key",
            # A block that is never closed is taken to the next blank line.
            r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
            r"(?:.*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|.*?(?=\n[ \t]*\n|\Z))",
            re.S,
        ),
        ("AWS key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", 0),
        (
            "AWS secret",
            r"(?<=aws_secret_access_key)(\s*[:=]\s*[\"']?)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
            re.I,
        ),
        ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})\b", 0),
        ("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}", 0),
        ("Slack token", r"\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}", 0),
        (
            "Slack webhook",
            r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}",
            0,
        ),
        ("API key", r"\b(?:sk|rk|pk)[-_](?:live|test|proj|ant|svcacct)[-_][A-Za-z0-9_-]{16,}", 0),
        ("API key", r"\bsk-[A-Za-z0-9]{32,}\b|\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])", 0),
        ("signed token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", 0),
        ("password", r"(?<=://)([^\s:/@]+:)[^\s:/@<>{}$*]{3,}(?=@[\w.-]+)", 0),
        (
            # Only a whole line `password: value`, and a value that looks chosen by a machine or a
            # careful person: prose about passwords, and examples in brackets, stay.
            "password",
            r"(^[ \t]*(?:[-*+>|][ \t]+)?[*_`\"']{0,3}(?:[\w.-]+[_. -])?"
            r"(?:password|passwd|pwd|passphrase|secret|api[_-]?key|access[_-]?token|密碼|口令|通行碼)"
            r"[*_`\"']{0,3}[ \t]*[:=：][ \t]*[*_`\"']{0,3})"
            r"(?=[!-~]*\d)(?=[!-~]*[A-Za-z])[^\s<>\[\]{}()|,;`\"'$*]{8,}(?=[`\"'*_]{0,3}[ \t]*\|?[ \t]*$)",
            re.I | re.M,
        ),
    )
)


def redact(text: str) -> tuple[str, Counter[str]]:
    """*text* without secrets, and how many of each kind were taken out."""
    found: Counter[str] = Counter()
    for kind, pattern in _SECRETS:

        def hide(match: re.Match[str], kind: str = kind) -> str:
            found[kind] += 1
            prefix = match[1] if match.re.groups else ""
            return f"{prefix}{placeholder(kind)}"

        text = pattern.sub(hide, text)
    return text, found


def placeholder(kind: str) -> str:
    return f"[redacted 已遮蔽: {kind}]"
