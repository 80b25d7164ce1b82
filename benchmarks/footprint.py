"""What a process costs: start, memory with and without vectors, and synchronising what has not changed."""

import asyncio
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.app import open_knowledge
from adapters.settings import EmbeddingsProvider
from benchmarks.engines import Place
from benchmarks.generate import Generator, company_questions
from benchmarks.readers import scope_of
from benchmarks.report import Row, ratio
from retrieval.analysis import language_of
from retrieval.components import Question
from retrieval.embedded_store import EmbeddedStore
from retrieval.ingest.connectors import FolderConnector
from retrieval.ingest.sync import Synchroniser
from retrieval.store import ChunkStore

_GROUPS_OF_A_READER = 20


def process_row(place: Place, size: int, provider: EmbeddingsProvider) -> Row:
    """Start and memory of a process that opens the store and answers; runs in one of its own."""
    return asyncio.run(_process_row(place, size, provider))


async def _process_row(place: Place, size: int, provider: EmbeddingsProvider) -> Row:
    before = resident_mb()
    settings = place.settings(provider)
    started = time.perf_counter()
    async with open_knowledge(settings, store_folder=place.store_folder) as knowledge:
        opened = time.perf_counter() - started
        after_open = resident_mb()
        rng = random.Random(3)
        first = 0.0
        for text in company_questions()[:50]:
            scope = scope_of(rng, readers=1, groups=_GROUPS_OF_A_READER)
            await knowledge.pipeline.ask(Question(text, language_of(text), (text,)), scope)
            first = first or time.perf_counter() - started - opened
        used = resident_mb()
    return {
        "chunks": size,
        "vectors": "yes" if provider is EmbeddingsProvider.LOCAL else "no",
        "open s": round(opened, 2),
        "first answer s": round(first, 2),
        "code MB": before,
        "opened MB": after_open,
        "after 50 turns MB": used,
    }


def resident_mb() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1000)


async def resync_row(generator: Generator, chunks: int) -> Row:
    """A folder of generated files, synchronised twice: text only, since vectors would flatter the ratio."""
    with TemporaryDirectory(prefix="shifu-resync-") as place:
        files = Path(place, "files")
        count = _write_files(generator, chunks, files)
        store = await EmbeddedStore.open(Path(place, "store"), embedder_name=None)
        took = [await _sync(store, files) for _ in range(3)]
        await store.close()
    again = min(took[1:])
    return {
        "chunks": chunks,
        "files": count,
        "first sync s": round(took[0], 2),
        "unchanged s": round(again, 3),
        "times faster": ratio(took[0], again),
    }


def _write_files(generator: Generator, chunks: int, folder: Path) -> int:
    """One Markdown file per generated document; how many."""
    folder.mkdir()
    count = 0
    for count, indexed in enumerate(generator.documents(chunks), start=1):
        parts = [f"# {indexed.document.title}"]
        parts += [f"## {c.ordinal}\n\n{c.text}" for c in indexed.chunks]
        (folder / f"{count:06}.md").write_text("\n\n".join(parts), encoding="utf-8")
    return count


async def _sync(store: ChunkStore, files: Path) -> float:
    connector = FolderConnector([files], root=files, tenant="generated", default_acl=["everyone"])
    started = time.perf_counter()
    await Synchroniser(store, None).sync(connector, on_progress=lambda _: None)
    return time.perf_counter() - started
