"""Ours beside a plain Haystack search: what each finds, whom it shows what, how long it takes, on one server."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.report import Row, ms, p50, p95, show, write_json
from benchmarks.retrieval_quality import sampled
from benchmarks.weaviate_server import WeaviateServer, weaviate_server

_PEER = Path(__file__).with_name("plain_haystack.py")
_LANGUAGES = {"en": "English", "zh-TW": "Chinese"}
_ORGANISATION = "tts"
_LEADS = "Salaries of the leads are reviewed in March."


def write_sets(sets: Path, into: Path, limit: int | None) -> None:
    """
    Copies of *sets* with at most *limit* questions each, and two more for access.

    `named`: sets with access lists once more, with group names as directories have them: all begin
    with the organisation's, and that alone is everyone. `leads`: one document for the group
    `eng-leads`, and a question of somebody in `eng`.
    """
    for corpus in sorted(sets.glob("*/corpus.jsonl")):
        name = corpus.parent.name
        questions = sampled(_read(corpus.with_name("queries.jsonl")), limit)
        acl_path = corpus.with_name("acl.json")
        if not acl_path.exists():
            _write_set(into / name, corpus, questions, None)
            continue
        documents = json.loads(acl_path.read_text(encoding="utf-8"))["documents"]
        _write_set(into / name, corpus, questions, documents)
        _write_set(
            into / f"{name}, named",
            corpus,
            [_renamed(question) for question in questions],
            {i: _named(groups) for i, groups in documents.items()},
        )
    leads = into / "leads.jsonl"
    rows = [
        {"doc_id": "leads", "title": "Leads", "text": _LEADS},
        {"doc_id": "all", "title": "Engineering", "text": "Salaries are paid on the 5th."},
    ]
    leads.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    question = {
        "query_id": "leads",
        "query": "When are salaries reviewed?",
        "lang": "en",
        "groups": ["eng"],
        "expect": "refuse",
        "answerable": False,
    }
    _write_set(into / "leads", leads, [question], {"leads": ["eng-leads"], "all": ["eng"]})
    leads.unlink()


def rows_of(side: str, sets: Path, results: Sequence[Mapping[str, Any]]) -> list[Row]:
    by_set: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        if "set" in result:
            by_set.setdefault(result["set"], []).append(result)
    rows: list[Row] = []
    for name, found in by_set.items():
        questions = {q["query_id"]: q for q in _read(sets / name / "queries.jsonl")}
        acl = _documents(sets / name / "acl.json")
        leaks = {r["query_id"]: _leaked(questions[r["query_id"]], r["ranked"], acl) for r in found}
        seconds = [result["seconds"] for result in found if result["ranked"]]
        for language, label in _LANGUAGES.items():
            asked = [r for r in found if questions[r["query_id"]]["lang"] == language]
            if not asked:
                continue
            gold = [r for r in asked if _is_to_answer(questions[r["query_id"]])]
            rows.append(
                {
                    "set": name,
                    "questions": label,
                    "side": side,
                    "asked": len(asked),
                    **{
                        f"recall@{k}": _recall(gold, questions, k) if gold else None for k in (1, 5)
                    },
                    "leaked documents": sum(leaks[r["query_id"]] for r in asked) if acl else None,
                    "questions that leak": sum(leaks[r["query_id"]] > 0 for r in asked)
                    if acl
                    else None,
                    "set p50 ms": ms(p50(seconds)),
                    "set p95 ms": ms(p95(seconds)),
                }
            )
    return rows


def run(given: argparse.Namespace, folder: Path) -> dict[str, list[Row]]:
    sets = folder / "sets"
    write_sets(given.sets, sets, given.limit)
    rows: list[Row] = []
    memory: list[Row] = []
    ours = [sys.executable, "-m", "benchmarks.peers.ours", "--embeddings"]
    # Nobody else's server: the peer uses, and deletes, a collection named Default.
    with weaviate_server(folder / "weaviate", own=True) as server:
        for side, command in {
            "plain Haystack": [given.peer_python, str(_PEER)],
            "ours, one search": [*ours, "none", "--store-alone"],
            "ours, words": [*ours, "none"],
            "ours, vectors": [*ours, "local", "--only", *given.with_vectors],
        }.items():
            results = _run(command, server, sets, folder / "results.jsonl")
            rows += rows_of(side, sets, results)
            resident = next(row["memory_mb"] for row in results if "memory_mb" in row)
            memory.append({"side": side, "process MB": resident, "server MB": server.memory_mb})
    rows.sort(key=lambda row: (str(row["set"]), str(row["questions"])))
    return {"beside a peer": rows, "memory": memory}


def _run(command: list[str], server: WeaviateServer, sets: Path, out: Path) -> list[Any]:
    where = ["--url", server.url, "--grpc-url", server.grpc_url, "--api-key", server.api_key]
    subprocess.run([*command, "--sets", str(sets), *where, "--out", str(out)], check=True)
    return _read(out)


def _recall(
    results: Sequence[Mapping[str, Any]], questions: Mapping[str, Mapping[str, Any]], k: int
) -> float:
    hits = [
        not set(questions[r["query_id"]]["gold_doc_ids"]).isdisjoint(r["ranked"][:k])
        for r in results
    ]
    return round(sum(hits) / len(hits), 3)


def _leaked(
    question: Mapping[str, Any], ranked: Sequence[str], acl: Mapping[str, Sequence[str]]
) -> int:
    readers = [question["groups"], *(question.get("reader_groups") or [])] if acl else []
    return sum(any(set(groups).isdisjoint(acl[i]) for groups in readers) for i in ranked)


def _is_to_answer(question: Mapping[str, Any]) -> bool:
    expected = "answer" if question.get("answerable", True) else "abstain"
    return bool(question.get("expect", expected) == "answer")


def _renamed(question: Mapping[str, Any]) -> Mapping[str, Any]:
    readers = [_named(groups) for groups in question.get("reader_groups") or []]
    return {**question, "groups": _named(question["groups"]), "reader_groups": readers}


def _named(groups: Sequence[str]) -> list[str]:
    return [
        _ORGANISATION if group == "everyone" else f"{_ORGANISATION}-{group}" for group in groups
    ]


def _write_set(
    place: Path,
    corpus: Path,
    questions: Sequence[Mapping[str, Any]],
    acl: Mapping[str, Sequence[str]] | None,
) -> None:
    place.mkdir(parents=True)
    shutil.copy(corpus, place / "corpus.jsonl")
    lines = [json.dumps(question, ensure_ascii=False) + "\n" for question in questions]
    (place / "queries.jsonl").write_text("".join(lines), encoding="utf-8")
    if acl is not None:
        (place / "acl.json").write_text(json.dumps({"documents": acl}), encoding="utf-8")


def _documents(acl: Path) -> Mapping[str, Sequence[str]]:
    if not acl.exists():
        return {}
    documents: Mapping[str, Sequence[str]] = json.loads(acl.read_text("utf-8"))["documents"]
    return documents


def _read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="The head of plain_haystack.py says how to make the peer's environment.",
    )
    parser.add_argument("--sets", type=Path, required=True, help="folder of question sets")
    parser.add_argument("--peer-python", required=True, help="Python of the peer's environment")
    parser.add_argument("--limit", type=int, help="at most so many questions of each set")
    parser.add_argument(
        "--with-vectors",
        nargs="+",
        default=["handbook", "riscv", "leads"],
        metavar="SET",
        help="sets whose vectors are worth the minutes that they take",
    )
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="shifu-beside-") as folder:
        results = run(given, Path(folder))
    for name, rows in results.items():
        show(name.capitalize(), rows)
    write_json(given.out, results)


if __name__ == "__main__":
    main()
