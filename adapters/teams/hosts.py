"""Which hosts are Microsoft's: where our tokens may go, and where activities may come from."""

import re
from collections.abc import Iterable

_ADDRESS = re.compile(r"(https?)://([A-Za-z0-9.\-]{1,253})(?::([0-9]{1,5}))?(?=[/?#]|\Z)([!-~]*)")
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9._~%+\-]*)*")
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class KnownHosts:
    """
    Args:
        entries: `x.y` is that host alone, `.x.y` every host below it. A loopback host counts, with or
            without TLS and on any port, only where it is an entry itself.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        hosts = [entry.strip().lower() for entry in entries]
        self._exact = frozenset(h for h in hosts if h and not h.startswith("."))
        self._suffixes = tuple(h for h in hosts if len(h) > 1 and h.startswith("."))

    def has(self, url: str) -> bool:
        """
        Whether a request to *url* goes to one of them, over TLS.

        Parsed strictly instead of with a library: two parsers that read one address differently are
        how a token gets to somebody else's host. Nothing with credentials, backslashes, control
        characters or another port passes.
        """
        return self._rest(url) is not None

    def has_service(self, url: str) -> bool:
        """As `has`, for what is only a base address: without query and fragment."""
        rest = self._rest(url)
        return rest is not None and _PLAIN_PATH.fullmatch(rest) is not None

    def _rest(self, url: str) -> str | None:
        found = _ADDRESS.fullmatch(url)
        if found is None:
            return None
        scheme, host, port, rest = found[1], found[2].lower(), found[3], found[4]
        if host in _LOOPBACK:
            return rest if host in self._exact else None
        if scheme != "https" or port not in (None, "443"):
            return None
        is_known = host in self._exact or host.endswith(self._suffixes)
        return rest if is_known and not host.startswith(".") and ".." not in host else None
