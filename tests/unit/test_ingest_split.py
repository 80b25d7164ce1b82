"""Chunks: whole thoughts, of a good size, under their headings, with ids that last."""

import pytest

from retrieval.ingest.split import CHINESE_CHARACTERS, LATIN_CHARACTERS, split
from retrieval.types import Chunk, Document
from tests.builders import an_acl


def chunks_of(markdown: str, *, title: str = "Title") -> tuple[Chunk, ...]:
    document = Document(id="doc", source="test", title=title, acl=an_acl(), content_hash="")
    return split(document, markdown).chunks


ENGLISH = "The lab opens at nine and closes at six, except on Friday. "
CHINESE = "實驗室早上九點開放，晚上六點關閉，星期五除外。"


def test_a_short_section_is_one_chunk_under_its_headings() -> None:
    chunks = chunks_of("# Title\n\nintro\n\n## Lab\n\none\n\ntwo\n\n### ESD **rules**\n\nthree\n")

    assert [(chunk.heading_path, chunk.text) for chunk in chunks] == [
        ((), "intro"),
        (("Lab",), "one\n\ntwo"),
        (("Lab", "ESD rules"), "three"),
    ]


def test_headings_may_be_underlined_and_are_not_looked_for_in_code() -> None:
    chunks = chunks_of(
        "Lab\n===\n\n```sh\n# comment\n\n## more\n```\n\nRules\n---\n\ntext\n\n---\n\nend"
    )

    assert [chunk.heading_path for chunk in chunks] == [("Lab",), ("Lab", "Rules")]
    assert "# comment\n\n## more" in chunks[0].text
    assert chunks[1].text == "text\n\nend"


@pytest.mark.parametrize(
    ("sentence", "size", "end"),
    [(ENGLISH, LATIN_CHARACTERS, "Friday."), (CHINESE, CHINESE_CHARACTERS, "。")],
)
def test_long_text_is_cut_after_sentences(sentence: str, size: int, end: str) -> None:
    text = (sentence * 60).strip()

    chunks = chunks_of(text)

    assert len(chunks) > 2
    assert all(len(chunk.text) <= size * 1.4 for chunk in chunks)
    assert all(chunk.text.endswith(end) for chunk in chunks)
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "".join(text.split())


def test_text_without_any_seam_is_cut_all_the_same() -> None:
    assert all(len(chunk.text) <= 1.4 * LATIN_CHARACTERS for chunk in chunks_of("x" * 5000))


def test_long_lists_are_cut_between_items() -> None:
    items = [f"- item {n}: {ENGLISH}\n  {ENGLISH.strip()}" for n in range(20)]

    chunks = chunks_of("\n".join(items))

    assert len(chunks) > 1
    assert all(chunk.text.startswith("- item") for chunk in chunks)


def test_a_table_a_little_too_long_stays_whole() -> None:
    table = "\n".join(["| a | b |", "| --- | --- |", *(f"| {n} | {'x' * 40} |" for n in range(22))])

    (chunk,) = chunks_of(table)

    assert chunk.text == table


def test_each_part_of_a_long_table_has_its_header() -> None:
    rows = [f"| {n} | {'x' * 60} |" for n in range(60)]

    chunks = chunks_of("\n".join(["| number | value |", "|:---|---:|", *rows]))

    assert len(chunks) > 2
    assert all(chunk.text.startswith("| number | value |\n|:---|---:|\n") for chunk in chunks)
    assert [line for chunk in chunks for line in chunk.text.split("\n")[2:]] == rows


def test_padding_of_aligned_tables_is_not_kept() -> None:
    (chunk,) = chunks_of("| a          | b   |\n|------------|-----|\n| 1          | 2   |")

    assert chunk.text == "| a | b |\n|---|---|\n| 1 | 2 |"


def test_each_part_of_long_code_is_fenced() -> None:
    chunks = chunks_of("```asm\n" + "\n".join(f"li t0, {n:060}" for n in range(60)) + "\n```")

    assert len(chunks) > 2
    assert all(
        chunk.text.startswith("```asm\n") and chunk.text.endswith("\n```") for chunk in chunks
    )


def test_a_caption_stays_with_its_table() -> None:
    table = "| a |\n| --- |\n" + "\n".join(f"| {n} {'x' * 50} |" for n in range(12))

    chunks = chunks_of(f"{(ENGLISH * 12).strip()}\n\n**Limits of the lab**\n\n{table}")

    assert chunks[-1].text.startswith("**Limits of the lab**\n\n| a |")


def test_a_small_rest_joins_what_is_before_it() -> None:
    chunks = chunks_of(f"{(ENGLISH * 15).strip()}\n\nAsk Frank.")

    assert [chunk.text.endswith("Ask Frank.") for chunk in chunks] == [True]


def test_nothing_without_words_becomes_a_chunk() -> None:
    assert chunks_of("## Only\n\n## Headings\n\n* * *\n\n```\n\n```\n\n---\n") == ()


def test_editing_one_section_leaves_all_other_ids() -> None:
    before = chunks_of("## A\n\none\n\n## B\n\ntwo\n\n## C\n\nthree")

    after = chunks_of(
        "## A\n\none, longer\n\nand more\n\n## New\n\nnew\n\n## B\n\ntwo\n\n## C\n\nthree"
    )

    assert {chunk.id for chunk in before} - {chunk.id for chunk in after} == {before[0].id}
    assert [chunk.ordinal for chunk in after] == [0, 1, 2, 3]


def test_equal_sections_have_different_ids_every_time_the_same() -> None:
    text = "## A\n\nsame\n\n## A\n\nsame"

    ids = [chunk.id for chunk in chunks_of(text)]

    assert len(set(ids)) == 2
    assert ids == [chunk.id for chunk in chunks_of(text)]
    assert all(chunk_id.startswith("doc#") for chunk_id in ids)
