"""How well questions are found and answered, over the example company and any question sets, without a model."""

import argparse
import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adapters.demo import TENANT
from adapters.evaluate import EvaluationRun, evaluate
from adapters.settings import EmbeddingsProvider, EmbeddingsSettings, Settings
from benchmarks.generate import COMPANY
from benchmarks.report import Row, show, write_json
from retrieval.evaluation import EvaluationResult, by_group, measure

_FOREIGN = "foreign"
_RAW_FOLDERS = ("corpus", "docs")
_LANGUAGES = {"en": "English", "zh-TW": "Chinese"}
_SHORT = {"false abstention": "declined", "abstention": "abstained", "refusal": "refused"}


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """
    A corpus with its questions.

    Attributes:
        corpus: A `corpus.jsonl`, or the folder of its untouched source files.
        foreign: Questions of a set about something else altogether, all of which should be declined.
    """

    name: str
    corpus: Path
    questions: tuple[Mapping[str, Any], ...]
    acl: Path | None = None
    people: Path | None = None
    foreign: tuple[Mapping[str, Any], ...] = ()

    def write(self, path: Path) -> None:
        """Write what is asked, foreign questions included, as a `queries.jsonl`."""
        rows = [dict(row) for row in self.questions]
        if self.corpus.is_dir() and self.people is None:
            # Files are not cut into documents as the ready-made corpus is: what follows # is a section.
            for line in rows:
                for key in ("gold_doc_ids", "forbidden_doc_ids"):
                    line[key] = [i.partition("#")[0] for i in line.get(key) or ()]
        widest = _all_groups(self.acl)
        for row in self.foreign:
            rows.append(
                {
                    "query_id": f"{_FOREIGN}-{row['query_id']}",
                    "query": row["query"],
                    "lang": row.get("lang"),
                    "type": _FOREIGN,
                    "expect": "abstain",
                    **({"groups": widest} if widest else {}),
                }
            )
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        path.write_text("".join(lines), encoding="utf-8")


def company() -> QuestionSet:
    files = sorted((COMPANY / "questions").glob("*.jsonl"))
    questions = tuple(row for file in files for row in _read(file))
    return QuestionSet("company", COMPANY / "docs", questions, people=COMPANY / "people.yaml")


def sets_in(folder: Path, apart: Sequence[str]) -> Iterator[QuestionSet]:
    """Every set below *folder*, ready-made and raw; the two named by *apart* ask each other's questions too."""
    known = {file.parent.name: _read(file) for file in sorted(folder.glob("*/queries.jsonl"))}
    for name, questions in known.items():
        place = folder / name
        acl = place / "acl.json" if (place / "acl.json").exists() else None
        others = [other for other in apart if other != name] if name in apart else []
        foreign = tuple(
            row for o in others for row in known.get(o, []) if row.get("answerable", True)
        )
        distinct = tuple({row["query"]: row for row in foreign}.values())
        if (place / "corpus.jsonl").exists():
            corpus = place / "corpus.jsonl"
            yield QuestionSet(name, corpus, tuple(questions), acl, foreign=distinct)
        for raw in (place / name for name in _RAW_FOLDERS):
            if raw.is_dir():
                yield QuestionSet(f"{name}, files", raw, tuple(questions), acl, foreign=distinct)


def sampled(rows: Sequence[Mapping[str, Any]], limit: int | None) -> tuple[Mapping[str, Any], ...]:
    """At most *limit* of the questions, the same ones every time, in their order."""
    if limit is None or len(rows) <= limit:
        return tuple(rows)
    keys = [hashlib.sha256(str(row["query_id"]).encode()).digest() for row in rows]
    last = sorted(keys)[limit - 1]
    return tuple(row for row, key in zip(rows, keys, strict=True) if key <= last)


async def run(
    asked: QuestionSet, provider: EmbeddingsProvider, limit: int | None
) -> list[EvaluationResult]:
    settings = Settings(tenant=TENANT, embeddings=EmbeddingsSettings(provider=provider))
    limited = QuestionSet(
        asked.name,
        asked.corpus,
        sampled(asked.questions, limit),
        asked.acl,
        asked.people,
        sampled(asked.foreign, limit),
    )
    with TemporaryDirectory(prefix="shifu-quality-") as folder:
        questions = Path(folder, "queries.jsonl")
        limited.write(questions)
        return await evaluate(
            settings,
            EvaluationRun(
                asked.corpus, questions, acl=asked.acl, people=asked.people, with_answers=True
            ),
        )


def rows_of(name: str, search: str, results: Sequence[EvaluationResult]) -> list[Row]:
    """One row for all, one for each language."""
    own = [result for result in results if result.question.kind != _FOREIGN]
    foreign = [result for result in results if result.question.kind == _FOREIGN]
    away = by_group(foreign, lambda q: _LANGUAGES.get(q.language, q.language))
    groups = by_group(own, lambda q: _LANGUAGES.get(q.language, q.language))
    rows: list[Row] = []
    for label, metrics in {"all": measure(own), **(groups if len(groups) > 1 else {})}.items():
        others = (measure(foreign) if label == "all" else away.get(label)) if foreign else None
        rates = {_SHORT.get(rate, rate): value for rate, value in metrics.rates.items()}
        rows.append(
            {
                "set": name,
                "search": search,
                "questions": label,
                "asked": metrics.questions,
                **{rate: None if v is None else round(v, 3) for rate, v in rates.items()},
                "foreign declined": round(others.rates["abstention"] or 0.0, 3) if others else None,
                "leaks": metrics.leaks + (others.leaks if others else 0),
            }
        )
    return rows


def _read(path: Path) -> list[Mapping[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def _all_groups(acl: Path | None) -> list[str]:
    if acl is None:
        return []
    documents = json.loads(acl.read_text(encoding="utf-8"))["documents"]
    return sorted({name for names in documents.values() for name in names})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=Path, help="folder of question sets, one folder each")
    parser.add_argument(
        "--apart",
        nargs=2,
        default=["riscv", "handbook"],
        metavar="NAME",
        help="two sets so different that neither can answer the other's questions",
    )
    parser.add_argument("--only", nargs="*", help="measure the sets of these names alone")
    parser.add_argument("--limit", type=int, help="at most so many questions of each set")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    # Figures without a model, whatever this shell is set up for.
    for name in ("OPENAI_API_KEY", "SHIFU_MODEL__API_KEY", "SHIFU_MODEL__BASE_URL"):
        os.environ.pop(name, None)
    sets = [company(), *(sets_in(given.sets, given.apart) if given.sets else ())]
    rows: list[Row] = []
    leaks = []
    for asked in sets:
        if given.only and asked.name not in given.only:
            continue
        for provider, search in (
            (EmbeddingsProvider.LOCAL, "vectors"),
            (EmbeddingsProvider.NONE, "words"),
        ):
            results = asyncio.run(run(asked, provider, given.limit))
            rows += rows_of(asked.name, search, results)
            leaks += [f"{asked.name} {r.question.id}: {r.leaks}" for r in results if r.leaks]
    show("Retrieval quality", rows)
    write_json(given.out, {"retrieval_quality": rows})
    for leak in leaks:
        print(f"LEAK {leak}")
    sys.exit(1 if leaks else 0)


if __name__ == "__main__":
    main()
