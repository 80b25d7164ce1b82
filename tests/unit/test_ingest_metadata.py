"""What documents say about themselves, and how they are told what is wrong with it."""

from datetime import UTC, datetime

import pytest

from retrieval.access import PUBLIC, Level, group_principal, tenant_principal, user_principal
from retrieval.errors import IngestError
from retrieval.ingest.convert import convert, read_header
from retrieval.ingest.metadata import access_list, parse_metadata
from retrieval.types import Language

FRONT_MATTER = """---
title: "出差與差旅費報支辦法"
owner: amy.lin
updated: 2026-08-14
review: 2027-02-14
level: confidential
acl: [finance, user:amy.lin]
lang: zh-TW
version: 1.10
supersedes: hr/travel-2024.md
link: https://heron.example/hr/travel
keywords: nobody, reads, these
---
內容
"""


def test_front_matter_becomes_typed_values() -> None:
    metadata = convert("travel.md", FRONT_MATTER.encode()).metadata

    assert metadata.owner == "amy.lin"
    assert metadata.updated == datetime(2026, 8, 14, tzinfo=UTC)
    assert metadata.review == datetime(2027, 2, 14, tzinfo=UTC)
    assert metadata.level is Level.CONFIDENTIAL
    assert metadata.acl == ("finance", "user:amy.lin")
    assert metadata.language is Language.CHINESE
    assert metadata.version == "1.10"
    assert metadata.supersedes == "hr/travel-2024"
    assert metadata.link == "https://heron.example/hr/travel"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.adoc",
            "// licence\n= Title\n:acl: design, lab\n:level: secret\n:owner: david.hsu\n\nText.\n",
        ),
        (
            "a.html",
            '<html><head><title>Title</title><meta name="shifu:acl" content="design, lab">'
            '<meta name="shifu:level" content="secret"><meta name="shifu:owner" content="david.hsu">'
            "</head><body><p>Text.</p></body></html>",
        ),
    ],
)
def test_asciidoc_attributes_and_html_meta_say_the_same_as_front_matter(
    name: str, text: str
) -> None:
    converted = convert(name, text.encode())

    assert converted.title == "Title"
    assert converted.metadata.acl == ("design", "lab")
    assert converted.metadata.level is Level.SECRET
    assert converted.metadata.owner == "david.hsu"
    assert converted.markdown.splitlines()[-1] == "Text."


def test_a_sidecar_wins_over_the_file() -> None:
    converted = convert("a.md", b"---\nacl: [everyone]\nowner: ben\n---\ntext", b"acl: [hr]\n")

    assert converted.metadata.acl == ("hr",)
    assert converted.metadata.owner == "ben"


@pytest.mark.parametrize(
    ("front_matter", "complaint"),
    [
        ("level: internel", "allowed are public, internal, confidential, secret"),
        ("updated: 14.8.2026", "write YYYY-MM-DD"),
        ("link: javascript:alert(1)", "begins with https://"),
        ("acl: {a: b}", "write `acl: [design, lab]`"),
        ("title: [a, b]", "`title` as a list"),
        ("title: a: b", "not valid YAML"),
        ("- a", "not a list of `key: value` lines"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(front_matter: str, complaint: str) -> None:
    with pytest.raises(IngestError, match=r"^hr/a\.md: ") as raised:
        convert("hr/a.md", f"---\n{front_matter}\n---\ntext".encode())

    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "---\nacl: [hr]\n\ntext without an end"),
        ("a.adoc", "= Title\n\nText.\n\n:acl: hr\n"),
        ("a.adoc", "= Title\n:acl: hr\n:acl: public\n\nText.\n"),
        (
            "a.html",
            '<meta name="shifu:acl" content="hr"><meta name="shifu:acl" content="public"><p>x',
        ),
    ],
)
def test_an_access_list_that_might_be_overlooked_is_an_error(name: str, text: str) -> None:
    with pytest.raises(IngestError):
        convert(name, text.encode())


@pytest.mark.parametrize(
    "text",
    [
        '<!-- <meta name="shifu:acl" content="public"> --><p>text</p>',
        '<html><body><meta name="shifu:acl" content="public"><p>text</p></body></html>',
    ],
)
def test_meta_tags_in_comments_or_in_the_body_grant_nothing(text: str) -> None:
    assert convert("a.html", text.encode()).metadata.acl is None


def test_names_become_principals_of_the_tenant() -> None:
    acl = access_list(["everyone", "design", "group:lab", "user:amy.lin"], "acme")

    assert acl.level is Level.INTERNAL
    assert acl.principals == {
        tenant_principal("acme"),
        group_principal("acme", "design"),
        group_principal("acme", "lab"),
        user_principal("acme", "amy.lin"),
    }


def test_what_anybody_may_read_is_public_unless_a_level_says_otherwise() -> None:
    assert access_list(["public"], "acme").level is Level.PUBLIC
    assert access_list(["public"], "acme").principals == {PUBLIC}
    assert access_list(["public"], "acme", Level.SECRET).level is Level.SECRET


@pytest.mark.parametrize("names", [[], ["role:boss"], ["tenant:acme"], ["user:"]])
def test_names_that_stand_for_nobody_are_refused(names: list[str]) -> None:
    with pytest.raises(IngestError):
        access_list(names, "acme")


def test_unknown_languages_are_left_to_be_detected() -> None:
    assert parse_metadata({"lang": "ja"}).language is None
    assert parse_metadata({"lang": "zh_Hant"}).language is Language.CHINESE


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (
            "a.md",
            "---\nacl: [hr]\nowner: a\n---\ntext",
            "---\nowner: a\nlevel: secret\nacl: [it]\n---\ntext",
        ),
        ("a.adoc", "= T\n:acl: hr\n\ntext", "= T\n:acl: it\n:level: secret\n\ntext"),
        (
            "a.html",
            '<meta name="shifu:acl" content="hr"><p>text',
            '<meta name="shifu:acl" content="it"><p>text',
        ),
    ],
)
def test_the_content_hash_knows_nothing_of_access(name: str, before: str, after: str) -> None:
    header, changed = read_header(name, before.encode()), read_header(name, after.encode())

    assert header.content_hash == changed.content_hash
    assert header.metadata.acl != changed.metadata.acl


def test_the_content_hash_changes_with_every_other_statement() -> None:
    hashes = {
        read_header("a.md", text.encode()).content_hash
        for text in ("text", "other", "---\nowner: a\n---\ntext", "---\nowner: b\n---\ntext")
    }

    assert len(hashes) == 4
