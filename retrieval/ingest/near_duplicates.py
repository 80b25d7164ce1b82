"""Texts that say almost the same: found by comparing small samples of their word sequences."""

import re
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

SKETCH_SIZE = 256
"""Texts of fewer distinct sequences than this are compared exactly; for others the error is about ±0.03."""

_SEQUENCE = 4
_FEWEST = 12
"""A text with fewer sequences is too short to be called a copy of anything."""

_BAND = 24
_UNIT = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+")

Sketch = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two texts by id, the first one first in order, and the share of word sequences they have in common."""

    first: str
    second: str
    similarity: float


def near_duplicates(texts: Mapping[str, str], *, threshold: float = 0.8) -> list[NearDuplicate]:
    """
    Pairs of *texts* whose similarity is at least *threshold*, in (0.5, 1], most alike first.

    Only texts that share one of their smallest hashes are compared, so the work grows with the
    number of copies and not with the square of the number of texts.

    Source:
        Broder, "On the resemblance and containment of documents", 1997: the smallest hashes of the
        union are a random sample of it.
    """
    return alike({key: sketch(text) for key, text in texts.items()}, threshold=threshold)


def alike(all_sketches: Mapping[str, Sketch], *, threshold: float = 0.8) -> list[NearDuplicate]:
    """The same over sketches, for whoever does not want to keep the texts."""
    sketches = {key: found for key, found in all_sketches.items() if len(found) >= _FEWEST}
    order = {key: n for n, key in enumerate(sketches)}
    sharing: defaultdict[int, list[str]] = defaultdict(list)
    for key, found in sketches.items():
        for value in found[:_BAND]:
            sharing[int(value)].append(key)
    candidates = {
        pair for keys in sharing.values() for pair in combinations(keys, 2) if len(keys) <= 200
    }
    pairs = [
        NearDuplicate(first, second, round(similarity, 3))
        for first, second in sorted(candidates, key=lambda pair: (order[pair[0]], order[pair[1]]))
        if (similarity := resemblance(sketches[first], sketches[second])) >= threshold
    ]
    return sorted(pairs, key=lambda pair: -pair.similarity)


def sketch(text: str) -> Sketch:
    """The smallest hashes of a text's sequences of four words or Chinese characters, ascending."""
    units = [unit.encode() for unit in _UNIT.findall(text.lower())]
    hashes = {
        zlib.crc32(b" ".join(units[n : n + _SEQUENCE]))
        for n in range(max(0, len(units) - _SEQUENCE + 1))
    }
    # CRC keeps neighbours near each other; a multiplication spreads them.
    spread = np.fromiter(hashes, np.uint32, len(hashes)) * np.uint32(0x9E3779B1)
    return np.sort(spread)[:SKETCH_SIZE]


def resemblance(a: Sketch, b: Sketch) -> float:
    """Jaccard similarity of the two texts' sequences, in [0, 1]; an estimate for long texts."""
    union = np.union1d(a, b)[:SKETCH_SIZE]
    if not len(union):
        return 0.0
    return float(np.isin(union, np.intersect1d(a, b)).mean())
