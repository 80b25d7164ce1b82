"""How the command line shows things: progress on standard error, results on standard output."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from retrieval.ingest.sync_report import OnProgress, SyncReport, SyncStep
from retrieval.types import Answer, Citation

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_STEPS = {
    SyncStep.LISTING: "Looking at the documents",
    SyncStep.RIGHTS: "Withdrawing rights",
    SyncStep.WRITING: "Indexing",
    SyncStep.EMBEDDING: "Computing vectors",
}


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Shown on a terminal only; gone when done."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        yield progress


@contextmanager
def step_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each step by its name; a total of 0 stands for one that is not known."""
    with progress_bar() as progress:
        tasks: dict[str, Any] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=None)
            progress.update(tasks[step], completed=done, total=total or None)

        yield show


@contextmanager
def sync_progress() -> Iterator[OnProgress]:
    with step_progress() as show:
        yield lambda now: show(_STEPS[now.step], now.done, now.total)


def print_json(value: Any) -> None:
    """One line of JSON when piped, indented on a terminal."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")


def print_answer(answer: Answer) -> None:
    out.print(answer.text, markup=False)
    if answer.notice:
        out.print(f"\n{answer.notice}", markup=False, style="italic")
    if answer.citations:
        out.print()
    for citation in answer.citations:
        out.print(f"  [{citation.number}] {_source(citation)}", markup=False, style="dim")


def print_report(report: SyncReport) -> None:
    counts = [
        (len(report.added), "added"),
        (len(report.updated), "updated"),
        (len(report.acl_changed), "with changed access"),
        (report.unchanged, "unchanged"),
        (len(report.deleted), "deleted"),
        (len(report.failed), "failed"),
    ]
    summary = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing to do"
    out.print(f"{report.source}: {summary}", markup=False)
    for kind, count in sorted(report.redactions.items()):
        out.print(f"  {count} × {kind} taken out before indexing", markup=False)
    for name, reason in report.skipped:
        err.print(f"  skipped: {name}: {reason}", markup=False, style="dim")
    for pair in report.near_duplicates:
        err.print(f"  nearly the same: {pair.first} and {pair.second}", markup=False, style="dim")
    for _, reason in report.failed:
        err.print(f"  failed: {reason}", markup=False, style="red")


def _source(citation: Citation) -> str:
    document = citation.chunk.document
    where = " › ".join([document.title, *citation.chunk.heading_path])
    facts = [document.id]
    if document.owner:
        facts.append(document.owner)
    if document.modified_at:
        facts.append(f"{document.modified_at:%Y-%m-%d}")
    return f"{where} ({', '.join(facts)})"
