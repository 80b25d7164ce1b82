"""How a benchmark shows its figures: percentiles, one table, one JSON file that names the machine."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

Row = Mapping[str, str | int | float | None]
"""One line of a table: its columns by name, in order."""


def p50(seconds: Sequence[float]) -> float:
    return _percentile(seconds, 50)


def p95(seconds: Sequence[float]) -> float:
    return _percentile(seconds, 95)


def p99(seconds: Sequence[float]) -> float:
    return _percentile(seconds, 99)


def ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def ratio(of: float, to: float) -> float | None:
    return round(of / to, 2) if to else None


def machine() -> dict[str, str | int | float]:
    """What the figures were measured on."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(pages * page_bytes / 1e9),
        "python": platform.python_version(),
        "load_at_end": round(os.getloadavg()[0], 1),
    }


def show(title: str, rows: Sequence[Row]) -> None:
    """Print *rows* as one table; a number is right-aligned, None is a dash."""
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for name in dict.fromkeys(name for row in rows for name in row):
        numeric = not any(isinstance(row.get(name), str) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(_cell(row.get(str(column.header))) for column in table.columns))
    Console(width=220).print(table)


def write_json(path: Path | None, results: Mapping[str, Sequence[Row]]) -> None:
    """Write the tables by name to *path*, with the machine; nothing without a path."""
    if path is not None:
        content = {"machine": machine(), **{name: list(rows) for name, rows in results.items()}}
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _percentile(values: Sequence[float], share: float) -> float:
    return float(np.percentile(values, share)) if len(values) else float("nan")


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int | float) else value


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
