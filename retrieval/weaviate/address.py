"""Where a Weaviate server listens: one address for REST, one for gRPC, both with or without TLS."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from retrieval.errors import StoreError

_GRPC_PORT = 50051


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int
    is_secure: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """Both ends of one server."""

    rest: Endpoint
    grpc: Endpoint

    @classmethod
    def parse(cls, url: str, grpc_url: str | None) -> Self:
        """
        Args:
            url: `http://host:port` or `https://host:port`; https means TLS for gRPC as well.
            grpc_url: The same with the gRPC port, or `host:port`; None is port 50051 of *url*'s host.

        Raises:
            StoreError: If one of them is no such address.
        """
        rest = _endpoint(url, "SHIFU_WEAVIATE__URL", default_scheme=None)
        if grpc_url is None:
            return cls(rest, Endpoint(rest.host, _GRPC_PORT, rest.is_secure))
        scheme = "https" if rest.is_secure else "http"
        return cls(rest, _endpoint(grpc_url, "SHIFU_WEAVIATE__GRPC_URL", default_scheme=scheme))


def _endpoint(url: str, setting: str, *, default_scheme: str | None) -> Endpoint:
    if "://" not in url and default_scheme:
        url = f"{default_scheme}://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise StoreError(f"{setting}: {url!r} is no address: {error}") from error
    is_secure = parts.scheme in ("https", "grpcs")
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.hostname:
        raise StoreError(f"{setting}: {url!r} is no address; for example http://localhost:8080")
    if parts.path.strip("/") or parts.query:
        raise StoreError(
            f"{setting}: {url!r} must end after the port; Weaviate needs a host of its own"
        )
    if parts.username or parts.password:
        raise StoreError(
            f"{setting}: the key belongs into SHIFU_WEAVIATE__API_KEY, not into the address"
        )
    if port is None:
        port = 443 if is_secure else (80 if default_scheme is None else _GRPC_PORT)
    return Endpoint(parts.hostname, port, is_secure)
