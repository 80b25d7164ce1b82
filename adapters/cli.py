"""The command `shifu`."""

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import structlog
import typer

from adapters.console import (
    err,
    out,
    print_answer,
    print_json,
    print_report,
    step_progress,
    sync_progress,
)
from adapters.logs import configure_logging
from adapters.settings import ConfigurationError, Settings, load_settings
from adapters.slack_cli import slack_app
from adapters.teams_cli import teams_app
from retrieval.errors import ShifuError

app = typer.Typer(
    name="shifu",
    help="Answers from your company's documents, with citations, and only from what every reader may read.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

log = structlog.get_logger()

_INTERRUPTED = 130

_As = Annotated[
    str, typer.Option("--as", metavar="USER", help="Who asks: a user id of the directory.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run a command; whatever goes wrong ends in a sentence and an exit code, not in a traceback."""
    try:
        app()
    except ShifuError as error:
        _fail(str(error))
    except SystemExit as ended:
        # What Typer makes of Ctrl-C, without a word.
        if ended.code == _INTERRUPTED:
            err.print("Stopped. Nothing is lost; the same command goes on from here.")
        raise
    except Exception:
        log.exception("command.failed")
        _fail("Something went wrong on our side; the lines above say what. Please report them.")


@app.command()
def ask(
    question: Annotated[
        str,
        typer.Argument(help="The question, in English or Chinese; - reads it from standard input."),
    ],
    user: _As,
    room: Annotated[
        str | None,
        typer.Option(
            "--in", metavar="ROOM", help='Where it is asked: "#channel"; default: a direct message.'
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Answer one question, as USER would see it, or as everybody in a channel would."""
    from adapters.questions import answer_json, ask_once

    settings = _settings()
    # Whatever arrives is a question; what is no text in it is left out.
    text = sys.stdin.buffer.read().decode(errors="replace") if question == "-" else question
    answer = asyncio.run(ask_once(settings, text, user=user, room=room))
    if as_json:
        print_json(answer_json(answer))
    else:
        print_answer(answer)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    user: _As,
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=100, help="Number of passages.")] = 10,
    as_json: _Json = False,
) -> None:
    """Show the passages that USER would be answered from."""
    from adapters.questions import passage_json, search_once

    passages = asyncio.run(search_once(_settings(), query, user=user, top_k=top_k))
    if as_json:
        print_json([passage_json(passage) for passage in passages])
        return
    if not passages:
        err.print("Nothing found that this person may read.")
    for number, passage in enumerate(passages, start=1):
        chunk = passage.chunk
        where = " › ".join([chunk.document.title, *chunk.heading_path])
        out.print(f"{number:2}  {passage.score:.3f}  {where}  ({chunk.document.id})", markup=False)
        out.print(f"    {' '.join(chunk.text.split())[:160]}", markup=False, style="dim")


@app.command()
def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files and folders: .md .adoc .html .pdf .docx .xlsx .pptx .txt. Or sharepoint:NAME, "
            "a site or library of SHIFU_TEAMS__SHAREPOINT.",
        ),
    ],
    acl: Annotated[
        list[str] | None,
        typer.Option(
            "--acl",
            help="Who may read documents that do not say: everyone, public, user:ID or a group; "
            "may be given several times. Or an acl.json.",
        ),
    ] = None,
) -> None:
    """Bring documents in, or up to date. What has not changed costs a look; what is gone is removed."""
    from adapters.ingestion import ingest_paths

    settings = _settings()
    libraries = [path for path in paths if path.startswith("sharepoint:")]
    files = [Path(path) for path in paths if path not in libraries]
    if libraries and acl:
        raise typer.BadParameter(
            "documents of SharePoint have their own rights", param_hint="--acl"
        )
    reports = []
    with sync_progress() as on_progress:
        if files:
            bringing = ingest_paths(settings, files, acl or [], on_progress=on_progress)
            reports += asyncio.run(bringing)
        if libraries:
            from adapters.teams_ingestion import ingest_sharepoint

            bringing = ingest_sharepoint(settings, libraries, on_progress=on_progress)
            reports += asyncio.run(bringing)
    for report in reports:
        print_report(report)
    if any(report.failed for report in reports):
        sys.exit(1)


@app.command()
def sources(as_json: _Json = False) -> None:
    """List where the documents came from."""
    from adapters.ingestion import list_sources

    counts = asyncio.run(list_sources(_settings()))
    if as_json:
        print_json(counts)
        return
    for source, count in sorted(counts.items()):
        out.print(f"{count:6}  {source}", markup=False)


@app.command()
def remove(
    source: Annotated[str, typer.Argument(help="A source as `shifu sources` prints it.")],
) -> None:
    """Remove all documents of a source, for example of a folder that has moved."""
    from adapters.ingestion import remove_source

    count = asyncio.run(remove_source(_settings(), source))
    out.print(f"{count} documents removed", markup=False)


@app.command()
def evaluate(
    corpus: Annotated[Path, typer.Option(help="A folder of documents, or a corpus.jsonl.")],
    questions: Annotated[Path, typer.Option(help="A queries.jsonl.")],
    acl: Annotated[
        Path | None, typer.Option(help="An acl.json: which groups may read what.")
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="A directory file, for questions that name users.")
    ] = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Write answers too, and judge them.")
    ] = False,
    result_file: Annotated[
        Path | None, typer.Option("--out", help="Write one JSON object per question here.")
    ] = None,
) -> None:
    """Measure recall, rank, abstention and leaks in a throw-away store. Exit code 1 on any leak."""
    from adapters import evaluate as evaluation

    for path in (corpus, questions, acl, people):
        if path is not None and not path.exists():
            raise ConfigurationError(f"{path}: does not exist")
    run = evaluation.EvaluationRun(corpus, questions, acl, people, answers)
    results = asyncio.run(evaluation.evaluate(_settings(), run))
    if result_file is not None:
        evaluation.write_results(result_file, results)
    evaluation.print_metrics(results)
    if any(result.leaks for result in results):
        sys.exit(1)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default: SHIFU_WEB__HOST.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; default: SHIFU_WEB__PORT.")
    ] = None,
) -> None:
    """Serve the web chat, and answer, until Ctrl-C."""
    from adapters.server import serve as run_server

    settings = _settings(server=True)
    changes = {"host": host, "port": port}
    web = settings.web.model_copy(update={k: v for k, v in changes.items() if v is not None})
    settings = settings.model_copy(update={"web": web})
    asyncio.run(
        run_server(settings, on_ready=lambda address: out.print(f"Shifu answers at {address}"))
    )


@app.command()
def work() -> None:
    """Answer questions and run jobs beside `shifu serve`, without a page, until Ctrl-C."""
    from adapters.server import work as run_worker

    settings = _settings(server=True)
    asyncio.run(
        run_worker(settings, on_ready=lambda address: out.print(f"Working; health at {address}"))
    )


queue_app = typer.Typer(
    help="Show how much waits for an answer, and what was given up.", invoke_without_command=True
)
app.add_typer(queue_app, name="queue")


@queue_app.callback()
def queue(context: typer.Context, as_json: _Json = False) -> None:
    """Show how much waits for an answer, and what was given up after several failures."""
    from adapters import queue as queues

    if context.invoked_subcommand is not None:
        return
    found = asyncio.run(queues.look(_settings()))
    if as_json:
        print_json(queues.queue_json(found))
        return
    state = found.state
    out.print(
        f"{state.waiting} waiting, the oldest for {state.oldest_age_s:.0f} s; "
        f"{state.unfinished - state.waiting} at work or in the background"
    )
    out.print(f"{state.dead} given up" + (":" if found.dead else ""))
    for letter in queues.queue_json(found)["dead_letters"]:
        out.print(
            f"  {letter['id']}  {letter['kind']}  {letter['given_up_at']}  "
            f"{letter['tries']} tries: {letter['reason']}",
            markup=False,
        )
    if found.dead:
        err.print("Try again with: shifu queue retry ID, or forget with: shifu queue drop ID")


@queue_app.command("retry")
def queue_retry(
    id: Annotated[str | None, typer.Argument(help="As `shifu queue` prints it.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
) -> None:
    """Put back what was given up: its asker gets the answer in the same message."""
    from adapters import queue as queues

    if (id is None) is not all_:
        raise ConfigurationError("Name one ID, or --all.")
    out.print(f"{asyncio.run(queues.retry(_settings(), id))} put back")


@queue_app.command("drop")
def queue_drop(
    id: Annotated[str, typer.Argument(help="As `shifu queue` prints it.")],
) -> None:
    """Forget what was given up; its asker was told already."""
    from adapters import queue as queues

    asyncio.run(queues.drop(_settings(), id))
    out.print("dropped")


store_app = typer.Typer(help="Move the documents: into Weaviate, to a new schema or embedder.")
app.add_typer(store_app, name="store")


@store_app.command("copy")
def store_copy(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FOLDER", help="Default: this tenant's in the state folder."
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """
    Copy documents, rights and vectors from a folder into Weaviate; the folder stays as it is.

    Run again after an interruption, or for what has changed in the folder meanwhile. A document that
    somebody else has written to Weaviate is left as it is there.
    """
    from adapters import store_admin

    with step_progress() as on_step:
        copied = store_admin.run(store_admin.copy(_settings(), folder, on_step=on_step))
    if as_json:
        print_json(copied.json)
        return
    out.print(copied.summary, markup=False)
    if left := copied.report.left_alone:
        err.print(
            "Left as they are, since they differ and Weaviate has them from elsewhere; "
            "shifu ingest brings them up to date:"
        )
        for document_id in left:
            err.print(f"  {document_id}", markup=False, style="dim")


@store_app.command("migrate")
def store_migrate(
    drop: Annotated[
        bool,
        typer.Option(
            "--drop-old-vectors",
            help="Give up this tenant's vectors of other embedders than the one that is set; "
            "processes that still use those fail from then on.",
        ),
    ] = False,
    as_json: _Json = False,
) -> None:
    """
    Move the documents to this version's schema, and compute the vectors of a new embedder.

    Old processes go on answering meanwhile. Ingestion waits while the new collections are switched to.
    """
    from adapters import store_admin

    settings = _settings()
    with step_progress() as on_step:
        migrated = store_admin.run(store_admin.migrate(settings, on_step=on_step))
    if not as_json:
        out.print(migrated.summary, markup=False)
    names = ", ".join(migrated.other_vectors)
    if names and not drop and not as_json:
        if sys.stdin.isatty() and err.is_terminal:
            drop = typer.confirm(
                f"There are vectors of {names} as well. Drop them? Processes that still use them "
                "would fail.",
                err=True,
            )
        else:
            err.print(
                f"Vectors of {names} are kept for processes that still use them. When none does: "
                "shifu store migrate --drop-old-vectors",
                markup=False,
            )
    dropped: list[str] = []
    if names and drop:
        with step_progress() as on_step:
            dropped = store_admin.run(store_admin.drop_other_vectors(settings, on_step=on_step))
    if as_json:
        print_json({**migrated.json, "vectors_dropped": dropped})
    elif dropped:
        out.print(f"vectors dropped: {', '.join(dropped)}", markup=False)


app.add_typer(slack_app, name="slack")
app.add_typer(teams_app, name="teams")


@app.command()
def demo(
    company: Annotated[Path, typer.Option(help="Folder of the example company.")] = Path(
        "examples/company"
    ),
    serve_page: Annotated[
        bool,
        typer.Option(
            "--serve/--no-serve",
            help="Serve the web page after the printed answers.",
            envvar="DEMO_SERVE",
        ),
    ] = True,
) -> None:
    """Ask the example company three questions, then serve its web page. No account, no key."""
    from adapters import demo as example
    from adapters.server import serve as run_server

    settings = example.demo_settings(_settings(server=True, level="warning"), company)
    if not serve_page:
        asyncio.run(example.show(settings, company))
        return
    asyncio.run(
        run_server(
            settings,
            suggestions=example.SUGGESTIONS,
            may_forget=True,
            prepare=lambda knowledge: example.present(knowledge, settings, company),
            on_ready=lambda address: out.print(f"Open {address} and ask as anyone. Ctrl-C ends."),
        )
    )


@app.command()
def doctor(as_json: _Json = False) -> None:
    """Check settings, documents, model, directory, Redis, Slack and Teams, and say how to mend what is wrong."""
    from adapters.doctor import examine

    findings = asyncio.run(examine(_settings()))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = {True: "ok  ", False: "FAIL", None: "–   "}[finding.is_ok]
            out.print(f"{mark}  {finding.part}: {finding.text}", markup=False)
    if any(finding.is_ok is False for finding in findings):
        sys.exit(1)


def _settings(*, server: bool = False, level: str | None = None) -> Settings:
    settings = load_settings()
    configure_logging(level or (settings.log_level if server else "error"))
    return settings


def _fail(text: str) -> None:
    for line in text.splitlines():
        err.print(f"shifu: {line}", markup=False)
    sys.exit(2)
