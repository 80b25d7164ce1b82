"""Vectors of sentences as bytes: never searched, only compared with the question in what was found."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np

from retrieval.types import FloatArray

# A coordinate of a unit vector as one byte: half the size of half floats, cosines within 0.01.
_STEPS = 127
_Key = TypeVar("_Key", bound=Hashable)


def pack_rows(rows: FloatArray) -> bytes:
    """Per row a scale as float32, then the coordinates in its steps."""
    scale = np.maximum(np.abs(rows).max(axis=1), 1e-9).astype(np.float32)
    steps = np.rint(rows / scale[:, None] * _STEPS).astype(np.int8)
    return np.concatenate([scale[:, None].view(np.int8), steps], axis=1).tobytes()


def unpack_rows(packed: bytes, *, dim: int) -> FloatArray:
    """
    Raises:
        ValueError: If these are not rows of *dim* coordinates.
    """
    _refuse_other_length(packed, dim)
    rows = np.frombuffer(packed, np.int8).reshape(-1, dim + 4)
    scale = rows[:, :4].copy().view(np.float32)
    return np.asarray(rows[:, 4:] * (scale / _STEPS), np.float32)


def cosines(packed: Mapping[_Key, bytes], query: FloatArray) -> dict[_Key, tuple[float, ...]]:
    """Cosines of *query* and each row, by the keys of *packed*; raises as `unpack_rows` does."""
    if not packed:
        return {}
    dim = len(query)
    for blob in packed.values():
        _refuse_other_length(blob, dim)
    # Unpacked and multiplied as one: many small steps would cost more than the arithmetic.
    products = (unpack_rows(b"".join(packed.values()), dim=dim) @ query).tolist()
    found: dict[_Key, tuple[float, ...]] = {}
    start = 0
    for key, blob in packed.items():
        end = start + len(blob) // (dim + 4)
        found[key] = tuple(products[start:end])
        start = end
    return found


def _refuse_other_length(packed: bytes, dim: int) -> None:
    if len(packed) % (dim + 4):
        raise ValueError("sentence vectors have another length than the question's")
