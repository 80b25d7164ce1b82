"""How well questions are answered: recall, rank, abstention, and leaks, over a question set."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RECALL_AT = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """
    A question with what is expected of its answer.

    Attributes:
        gold_ids: Documents that hold the answer; any one is enough.
        answers: Accepted short answers, one of which must occur; *answers_all*: every one must.
        expect: `answer`, `refuse` (only documents that may not be shown hold it) or `abstain`.
        user: Who asks; with *conversation* or *readers*, who reads.
        reader_groups: The groups of every reader, when the question names groups and not people.
        history: Earlier questions of the same conversation.
    """

    id: str
    text: str
    language: str
    kind: str
    expect: str
    gold_ids: frozenset[str] = frozenset()
    gold_snippet: str = ""
    answers: tuple[str, ...] = ()
    answers_all: tuple[str, ...] = ()
    forbidden_ids: frozenset[str] = frozenset()
    leak_strings: tuple[str, ...] = ()
    user: str | None = None
    conversation: str | None = None
    readers: tuple[str, ...] = ()
    reader_groups: tuple[frozenset[str], ...] = ()
    history: tuple[str, ...] = ()

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> "EvaluationQuestion":
        """
        From one line of a `queries.jsonl`.

        Raises:
            ValueError: If the line has no id or no text.
        """
        if not values.get("query_id") or not values.get("query"):
            raise ValueError("a question needs 'query_id' and 'query'")
        answerable = bool(values.get("answerable", True))
        groups = [values["groups"]] if "groups" in values else []
        groups += values.get("reader_groups") or []
        return cls(
            id=str(values["query_id"]),
            text=str(values["query"]),
            language=str(values.get("lang", "")),
            kind=str(values.get("type", "")),
            expect=str(values.get("expect") or ("answer" if answerable else "abstain")),
            gold_ids=frozenset(values.get("gold_doc_ids") or ()),
            gold_snippet=str(values.get("gold_snippet") or ""),
            answers=tuple(values.get("answers") or ()),
            answers_all=tuple(values.get("answers_all") or ()),
            forbidden_ids=frozenset(values.get("forbidden_doc_ids") or ()),
            leak_strings=tuple(values.get("leak_strings") or ()),
            user=values.get("user"),
            conversation=values.get("conversation"),
            readers=tuple(values.get("readers") or ()),
            reader_groups=tuple(frozenset(g) for g in groups),
            history=tuple(values.get("history") or ()),
        )


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """
    What came out for one question.

    Attributes:
        ranked_ids: Distinct documents, best first.
        unreadable_ids: Those among ranked or cited documents that some reader may not read.
        abstained: None when no answer was asked for.
    """

    question: EvaluationQuestion
    ranked_ids: tuple[str, ...]
    unreadable_ids: frozenset[str] = frozenset()
    chunk_texts: tuple[str, ...] = ()
    answer: str | None = None
    cited_ids: tuple[str, ...] = ()
    abstained: bool | None = None

    @property
    def rank(self) -> int | None:
        """Rank of the first gold document, from 1."""
        return next(
            (r for r, i in enumerate(self.ranked_ids, start=1) if i in self.question.gold_ids), None
        )

    @property
    def leaks(self) -> list[str]:
        """Everything that reached readers who may not have it."""
        text = _comparable(self.answer or "")
        told = [s for s in self.question.leak_strings if _contains(text, s)]
        shown = self.question.forbidden_ids.intersection((*self.ranked_ids, *self.cited_ids))
        return [*sorted(self.unreadable_ids | shown), *told]

    @property
    def holds_answer(self) -> bool | None:
        """Whether the answer says what was asked; None when nothing can be compared."""
        question = self.question
        if self.answer is None or not (question.answers or question.answers_all):
            return None
        text = _comparable(self.answer)
        return all(_contains(text, a) for a in question.answers_all) and (
            not question.answers or any(_contains(text, a) for a in question.answers)
        )

    def as_json(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "query_id": self.question.id,
            "ranked_doc_ids": list(self.ranked_ids),
        }
        if self.answer is not None:
            values |= {
                "answer": self.answer,
                "citations": list(self.cited_ids),
                "abstained": self.abstained,
            }
        return values


@dataclass(frozen=True, slots=True)
class Metrics:
    """Counts and rates over some questions. A rate is None where no question bears on it."""

    questions: int
    ranked: int
    rates: dict[str, float | None] = field(default_factory=dict)
    leaks: int = 0


def measure(results: Sequence[EvaluationResult]) -> Metrics:
    """
    Recall@k, MRR@10 and nDCG@10 over the questions to be answered, with the other rates.

    Source:
        nDCG: Järvelin & Kekäläinen, TOIS 2002, with binary gain.
    """
    to_rank = [r for r in results if r.question.expect == "answer" and r.question.gold_ids]
    rates: dict[str, float | None] = {}
    for k in RECALL_AT:
        rates[f"recall@{k}"] = _mean(float(r.rank is not None and r.rank <= k) for r in to_rank)
    rates["MRR@10"] = _mean(1 / r.rank if r.rank and r.rank <= 10 else 0.0 for r in to_rank)
    rates["nDCG@10"] = _mean(map(_ndcg, to_rank))
    with_snippet = [r for r in to_rank if r.question.gold_snippet and r.chunk_texts]
    rates["snippet@5"] = _share(with_snippet, lambda r: _snippet_within(r, 5))
    answered = [r for r in results if r.abstained is not None]
    for expect, name in (
        ("abstain", "abstention"),
        ("refuse", "refusal"),
        ("answer", "false abstention"),
    ):
        asked = [r for r in answered if r.question.expect == expect]
        rates[name] = _share(asked, lambda r: bool(r.abstained))
    comparable = [
        r for r in answered if r.question.expect == "answer" and r.holds_answer is not None
    ]
    rates["correct"] = _share(
        comparable, lambda r: bool(r.holds_answer) and not r.abstained and not r.leaks
    )
    return Metrics(len(results), len(to_rank), rates, sum(len(r.leaks) for r in results))


def by_group(
    results: Sequence[EvaluationResult], key: Callable[[EvaluationQuestion], str]
) -> dict[str, Metrics]:
    groups: dict[str, list[EvaluationResult]] = {}
    for result in results:
        groups.setdefault(key(result.question), []).append(result)
    return {name: measure(group) for name, group in sorted(groups.items()) if name}


def _ndcg(result: EvaluationResult) -> float:
    gold = result.question.gold_ids
    gain = sum(
        1 / math.log2(rank + 1)
        for rank, i in enumerate(result.ranked_ids[:10], start=1)
        if i in gold
    )
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(gold), 10) + 1))
    return gain / ideal


def _snippet_within(result: EvaluationResult, k: int) -> bool:
    snippet = _letters(result.question.gold_snippet)
    return any(snippet in _letters(text) for text in result.chunk_texts[:k])


def _share(
    results: Sequence[EvaluationResult], holds: Callable[[EvaluationResult], bool]
) -> float | None:
    return _mean(float(holds(result)) for result in results)


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return sum(listed) / len(listed) if listed else None


def _comparable(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _letters(text: str) -> str:
    return "".join(c for c in _comparable(text) if c.isalnum())


def _contains(comparable_text: str, wanted: str) -> bool:
    """*wanted* occurs, compared by letters and digits; a bare number must stand alone."""
    number = _comparable(wanted).strip()
    if re.fullmatch(r"[\d.,]+", number):
        pattern = rf"(?<!\d)(?<!\d[.,]){re.escape(number)}(?!\d|[.,]\d)"
        return bool(re.search(pattern, comparable_text))
    letters = _letters(wanted)
    return bool(letters) and letters in _letters(comparable_text)
