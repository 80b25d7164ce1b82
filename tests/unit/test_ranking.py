"""The order of what was found: words close together, one sentence that says it all, no doubles."""

from collections.abc import Sequence
from dataclasses import replace

from retrieval.analysis import query_tokens
from retrieval.ranking import QuestionTerms, rerank
from retrieval.types import IndexedDocument, Passage
from tests.builders import a_document

FILLER = "The annual report lists many other things that nobody asked about at all. " * 4


def a_passage(
    text: str,
    *,
    id: str | None = None,
    lexical: float = 1.0,
    similarity: float | None = None,
) -> Passage:
    chunk = a_document(text, id=id).chunks[0]
    return Passage(chunk, score=1.0, lexical=lexical, similarity=similarity)


def asked(question: str, *, other: str = "") -> QuestionTerms:
    """What a question is looked for by; *other* is its translation."""
    return QuestionTerms(question, tuple(query_tokens(question)), tuple(query_tokens(other)))


def order(
    question: str, passages: Sequence[Passage], *, top_k: int = 10, other: str = ""
) -> list[str]:
    ranked = rerank(asked(question, other=other), passages, top_k=top_k)
    return [passage.chunk.document.id for passage in ranked]


def superseded(document: IndexedDocument, by: str) -> Passage:
    newer = replace(document.document, superseded_by=by)
    return Passage(replace(document.chunks[0], document=newer), score=1.0, lexical=1.0)


def test_nothing_found_stays_nothing() -> None:
    assert order("leave", []) == []


def test_words_that_stand_together_beat_the_same_words_far_apart() -> None:
    apart = a_passage(f"Parental matters. {FILLER} Somebody took leave.", id="apart")
    together = a_passage(f"Parental leave is granted. {FILLER} Somebody asked.", id="together")

    assert order("parental leave", [apart, together]) == ["together", "apart"]


def test_one_sentence_that_says_it_all_beats_the_words_in_several() -> None:
    several = a_passage(
        "The reset is synchronous. A register exists. It holds a value.", id="several"
    )
    one = a_passage("The reset value of the register is zero. It exists. So be it.", id="one")

    assert order("reset value of the register", [several, one])[0] == "one"


def test_the_score_by_words_decides_among_passages_that_are_equal_otherwise() -> None:
    more, less = a_passage("Alpha.", id="z", lexical=9.0), a_passage("Beta.", id="a", lexical=3.0)

    assert order("parental leave", [less, more]) == ["z", "a"]


def test_meaning_outweighs_a_chance_word() -> None:
    word = a_passage("The leave of the train.", id="word", lexical=2.0, similarity=0.1)
    meaning = a_passage("Fathers stay at home.", id="meaning", lexical=0.0, similarity=0.9)

    assert order("parental leave", [word, meaning]) == ["meaning", "word"]


def test_a_passage_in_the_other_script_is_ranked_by_the_translation() -> None:
    about_it = a_passage("Parental leave is at most two years.", id="about-it", lexical=2.0)
    not_it = a_passage("The canteen is open.", id="not-it", lexical=0.0)

    assert order("育嬰假多久？", [not_it, about_it], other="parental leave")[0] == "about-it"


def test_a_newer_version_goes_before_the_one_that_it_supersedes() -> None:
    old = superseded(a_document("Parental leave is at most 12 months.", id="old"), by="new")
    new = a_passage("Parental leave may now last up to 24 months in total.", id="new")

    assert order("How long is parental leave?", [old, new]) == ["new", "old"]


def test_near_duplicates_collapse_into_the_best_and_leave_room_for_others() -> None:
    text = "Parental leave is at most 24 months and must be applied for ten days before it begins."
    passages = [
        a_passage(text, id="one", lexical=3.0),
        a_passage(text + " Thanks.", id="two", lexical=2.0),
        a_passage("Leave of other kinds is in the handbook.", id="other", lexical=1.0),
    ]

    assert order("parental leave", passages, top_k=2) == ["one", "other"]


def test_versions_of_one_text_collapse_into_the_newer() -> None:
    text = "Parental leave is at most 24 months and must be applied for ten days before it begins."
    old, new = superseded(a_document(text, id="a-old"), by="new"), a_passage(text, id="new")

    assert order("parental leave", [old, new]) == ["new"]


def test_equal_passages_are_ordered_by_id_so_that_answers_can_be_repeated() -> None:
    passages = [
        a_passage("Leave for engineers in Hsinchu.", id="b"),
        a_passage("Leave for engineers in Tainan.", id="a"),
    ]

    assert order("leave", passages) == order("leave", passages[::-1]) == ["a", "b"]


def test_chinese_of_either_script_is_ranked_alike() -> None:
    near = a_passage("育嬰留職停薪最長二十四個月。", id="near")
    far = a_passage("年度報告。" * 10 + "薪資與留任。" * 3, id="far")

    assert order("育嬰留職停薪多久", [far, near])[0] == "near"
    assert order("育婴留职停薪多久", [far, near])[0] == "near"
