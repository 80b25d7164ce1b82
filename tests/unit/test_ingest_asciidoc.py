"""AsciiDoc as technical manuals write it."""

import pytest

from retrieval.ingest.asciidoc import asciidoc_to_markdown


def converted(text: str) -> str:
    return asciidoc_to_markdown(text).strip()


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("_pte_ and *WARL* and __un__constrained", "*pte* and **WARL** and *un*constrained"),
        ("`mstatus` and ``x``INH and `+a*b+`", "`mstatus` and `x`INH and `a*b`"),
        ("mstatus_mie_bit stays", "mstatus_mie_bit stays"),
        ("[#norm:a_b]#All harts# must", "All harts must"),
        ("[[anchor]]Text", "Text"),
        ("see <<norm:misa_mxl>> and <<sec,the section>>", "see misa_mxl and the section"),
        ("((trap)) handling(((trap, vectored (mode))))", "trap handling"),
        ("indexterm:[a,b]the CSR csr:misa[] with csr:misa[f]=0", "the CSR misa with misa.f=0"),
        ("insn:lr[]/insn:sc[] and qty:32[bits]", "lr/sc and 32 bits"),
        (
            "link:https://a.example[the *page*] or https://b.example[]",
            "[the *page*](https://a.example) or https://b.example",
        ),
        ('"`quoted`" 8{times}8 {unknown}', "“quoted” 8×8 {unknown}"),
        ("2^XLEN^ and log~2~n", "2^XLEN and log2n"),
        ("a footnote:[really]", "a  (really)"),
        ("one +\ntwo\nthree", "one\ntwo three"),
        ("中文一行\n接下一行", "中文一行接下一行"),
        ("pass:[<u>] kept", "<u> kept"),
    ],
)
def test_inline_markup(markup: str, shown: str) -> None:
    assert converted(markup) == shown


def test_attributes_of_the_document_are_filled_in() -> None:
    assert converted("= T\n:part: QL-A50\n\nThe {part} runs.") == "# T\n\nThe QL-A50 runs."


def test_headings_keep_their_level() -> None:
    assert (
        converted("[[id]]\n== Traps\n\ntext\n\n==== csr:mepc[] register")
        == "## Traps\n\ntext\n\n#### mepc register"
    )


def test_comments_directives_and_diagrams_are_dropped() -> None:
    text = """= Title
Ann Author <ann@a.example>
v1.0, 2026-01-01

// comment
////
block comment
////
include::images/reg.edn[]
ifdef::draft[]
kept text
endif::[]
toc::[]

[wavedrom, , svg]
....
{reg: [{bits: 1, name: 'SIE'}]}
....

after"""

    assert converted(text) == "# Title\n\nkept text\n\nafter"


def test_notes_say_that_they_are_notes() -> None:
    text = "NOTE: short\n\n[WARNING]\n====\nFirst.\n\nSecond.\n===="

    assert converted(text) == "**Note:** short\n\n**Warning:** First.\n\nSecond."


def test_source_blocks_become_fences() -> None:
    text = "[source,asm]\n----\nli t0, -1 # <1>\n----\n\n....\nplain\n....\n\n[source,c]\n--\nx = y;\n--"

    assert converted(text) == "```asm\nli t0, -1\n```\n\n```\nplain\n```\n\n```c\nx = y;\n```"


def test_lists_nest_by_marker_and_count_on() -> None:
    text = "* a\nwrapped\n** b\n* c\n. one\n. two\n\npause\n\n[start=3]\n. three\n\nTerm:: what it means"

    assert converted(text) == (
        "- a wrapped\n   - b\n- c\n   1. one\n   2. two\n\npause\n\n3. three\n\n- **Term**: what it means"
    )


def test_tables_keep_their_cells() -> None:
    text = """.Levels
[%autowidth,cols="^,<,<",options="header",]
|===
|Level |Name |Use
// comment
3+^|Basic
|0 .2+|User
a|* apps
* games
|1 |a \\| b
2*|same |x
|==="""

    assert converted(text) == (
        "**Levels**\n\n| Level | Name | Use |\n| --- | --- | --- |\n| Basic |  |  |\n"
        "| 0 | User | • apps • games |\n| 1 | User | a \\| b |\n| same | same | x |"
    )


def test_a_table_may_tell_its_columns_by_its_first_line() -> None:
    assert converted("|====\n|a |b\n\n|1\n|2\n|====") == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_nested_tables_become_a_line() -> None:
    text = (
        '[cols="1,1a"]\n|===\n|x |\n[cols="1,1"]\n!===\n!CR !Register\n!CI !Immediate\n!===\n|==='
    )

    assert converted(text) == "| x | CR / Register; CI / Immediate |\n| --- | --- |"
