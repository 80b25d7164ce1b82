"""Our collections on a Weaviate server: how they must look, made where they are missing, checked where they are not."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from weaviate import WeaviateAsyncClient
from weaviate.classes.config import (
    Configure,
    DataType,
    Property,
    StopwordsPreset,
    VectorDistances,
    VectorFilterStrategy,
)
from weaviate.classes.tenants import Tenant
from weaviate.collections.classes.config import CollectionConfig

from retrieval.errors import StoreDamaged, StoreError, StoreUnavailable
from retrieval.store import BM25_B, BM25_K1
from retrieval.weaviate.connection import Connection, status_of
from retrieval.weaviate.layout import Field, Kind, Layout, Names, space_of

_ATTEMPTS = 5
_EMBEDDER = re.compile(r", of (.*), schema version")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LiveSchema:
    """What there is on the server, of others too."""

    collections: Mapping[str, CollectionConfig]
    aliases: Mapping[str, str]


async def prepare(
    connection: Connection, names: Names, *, tenant: str, embedder_name: str | None, replicas: int
) -> None:
    """
    Make what is missing, the tenant included, and check what is there.

    Several processes may do this at once.

    Raises:
        StoreDamaged: If a collection is not as it must be: what is in it is not served.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", tenant):
        raise StoreError(
            f"Weaviate allows letters, digits, '-' and '_' in a tenant's name, at most 64; got {tenant!r}"
        )
    schema = _Schema(connection, names, embedder_name, replicas)
    for attempt in range(_ATTEMPTS):
        try:
            targets = await schema.make()
            break
        except StoreUnavailable as error:
            # 422: another process has just made the same, or the cluster has not heard of it yet.
            if status_of(error) != 422 or attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.1 * 2**attempt)
    for target in targets:
        await make_tenants(connection, target, [tenant])


async def read_schema(connection: Connection) -> LiveSchema:
    async def read(client: WeaviateAsyncClient) -> LiveSchema:
        aliases = await client.alias.list_all()
        return LiveSchema(
            await client.collections.list_all(simple=False),
            {alias: found.collection for alias, found in aliases.items()},
        )

    return await connection.administer(read, "reading the schema")


async def make_collection(
    connection: Connection,
    layout: Layout,
    kind: Kind,
    name: str,
    *,
    embedder_name: str | None,
    replicas: int,
) -> None:
    about = f"of {embedder_name}, " if kind is Kind.VECTOR else ""
    hnsw = Configure.VectorIndex.hnsw(
        distance_metric=VectorDistances.COSINE,
        # The default, for filters that allow many rows, missed half of the nearest.
        filter_strategy=VectorFilterStrategy.SWEEPING,
        # Rounded vectors would rank by rounded cosines.
        quantizer=Configure.VectorIndex.Quantizer.none(),
    )
    await connection.administer(
        lambda client: client.collections.create(
            name,
            description=f"Shifu: {kind}, {about}schema version {layout.version}",
            properties=[_property(field) for field in layout.fields[kind]],
            vector_config=Configure.Vectors.self_provided(
                vector_index_config=hnsw if kind is Kind.VECTOR else Configure.VectorIndex.none()
            ),
            inverted_index_config=Configure.inverted_index(
                bm25_b=BM25_B,
                bm25_k1=BM25_K1,
                stopwords_preset=StopwordsPreset.NONE,
                index_timestamps=kind is Kind.ACL_SET,
            ),
            multi_tenancy_config=Configure.multi_tenancy(
                enabled=True, auto_tenant_creation=False, auto_tenant_activation=False
            ),
            replication_config=Configure.replication(factor=replicas, async_enabled=replicas > 1),
        ),
        "making a collection",
    )


async def make_tenants(connection: Connection, collection: str, tenants: Sequence[str]) -> None:
    await connection.administer(
        lambda client: client.collections.use(collection).tenants.create(
            [Tenant(name=tenant) for tenant in tenants]
        ),
        "making the tenant",
    )


def embedder_in(live: CollectionConfig) -> str:
    """Whose vectors a collection holds, as people know it."""
    found = _EMBEDDER.search(live.description or "")
    return found[1] if found else live.name


def wrong_in(layout: Layout, kind: Kind, live: CollectionConfig) -> list[str]:
    """What decides who finds what, and how it ranks, and is not as it must be."""
    return [*_wrong_settings(kind, live), *_wrong_properties(layout, kind, live)]


class _Schema:
    def __init__(
        self, connection: Connection, names: Names, embedder_name: str | None, replicas: int
    ) -> None:
        self._connection = connection
        self._names = names
        self._embedder_name = embedder_name
        self._replicas = replicas

    async def make(self) -> list[str]:
        """The collections to use, by their own names, made and checked."""
        live = await read_schema(self._connection)
        names = self._names
        wanted = [
            (kind, names.alias(kind), names.collection(kind))
            for kind in (Kind.DOCUMENT, Kind.CHUNK, Kind.ACL_SET)
        ]
        if self._embedder_name is not None:
            space = space_of(self._embedder_name)
            wanted.append((Kind.VECTOR, names.vectors(space), names.collection(Kind.VECTOR, space)))
        targets = []
        for kind, alias, name in wanted:
            target = live.aliases.get(alias, name)
            self._check_version(alias, target)
            await self._make_collection(kind, target, live.collections.get(target))
            if alias not in live.aliases:
                await self._connection.administer(
                    lambda client, a=alias, t=target: client.alias.create(
                        alias_name=a, target_collection=t
                    ),  # type: ignore[misc]
                    "naming a collection",
                )
            targets.append(target)
        return targets

    def _check_version(self, alias: str, target: str) -> None:
        found = self._names.parse(target)
        version = found.version if found else 0
        if version > self._names.layout.version:
            raise StoreDamaged(
                f"the collection {target} was made by a newer Shifu; update this one, nothing was changed"
            )
        if version < self._names.layout.version:
            raise StoreDamaged(
                f"{alias} stands for {target}, which an older Shifu made; run `shifu store migrate`"
            )

    async def _make_collection(self, kind: Kind, name: str, found: CollectionConfig | None) -> None:
        layout = self._names.layout
        if found is None:
            await make_collection(
                self._connection,
                layout,
                kind,
                name,
                embedder_name=self._embedder_name,
                replicas=self._replicas,
            )
            return
        if wrong := wrong_in(layout, kind, found):
            raise StoreDamaged(
                f"the collection {name} is not as Shifu made it ({'; '.join(wrong)}). Nothing is "
                "served from it, since access could be judged wrongly. Run `shifu store migrate`, or "
                "delete the collection and run `shifu ingest`."
            )
        if found.replication_config.factor != self._replicas:
            log.warning(
                "weaviate.replicas_differ",
                collection=name,
                live=found.replication_config.factor,
                configured=self._replicas,
            )


def _property(field: Field) -> Property:
    is_text = field.tokenization is not None
    return Property(
        name=field.name,
        data_type=field.type,
        tokenization=field.tokenization,
        index_filterable=None if field.type is DataType.BLOB else field.is_filterable,
        index_searchable=field.is_searchable if is_text else None,
    )


def _wrong_settings(kind: Kind, live: CollectionConfig) -> list[str]:
    wrong = []
    tenancy, inverted = live.multi_tenancy_config, live.inverted_index_config
    if not tenancy.enabled:
        wrong.append("multi-tenancy is off")
    if tenancy.auto_tenant_creation:
        wrong.append("tenants are made by themselves")
    if (inverted.bm25.k1, inverted.bm25.b) != (BM25_K1, BM25_B):
        wrong.append(f"BM25 has k1 {inverted.bm25.k1:g} and b {inverted.bm25.b:g}")
    stopwords = inverted.stopwords
    if stopwords.preset is not StopwordsPreset.NONE or stopwords.additions:
        wrong.append("it leaves out stop words")
    if kind is Kind.ACL_SET and not inverted.index_timestamps:
        wrong.append("times of creation are not indexed")
    if kind is Kind.VECTOR:
        distances = {
            getattr(vector.vector_index_config, "distance_metric", None)
            for vector in (live.vector_config or {}).values()
        }
        if distances != {VectorDistances.COSINE}:
            wrong.append("vectors are not compared by cosine")
    return wrong


def _wrong_properties(layout: Layout, kind: Kind, live: CollectionConfig) -> list[str]:
    wrong = []
    found = {prop.name: prop for prop in live.properties}
    for field in layout.fields[kind]:
        prop = found.get(field.name)
        if prop is None:
            wrong.append(f"{field.name} is missing")
        elif prop.data_type != field.type:
            wrong.append(f"{field.name} is {prop.data_type} instead of {field.type}")
        elif prop.tokenization != field.tokenization or prop.text_analyzer is not None:
            wrong.append(f"{field.name} has another tokenization than {field.tokenization}")
        elif field.is_filterable and not prop.index_filterable:
            wrong.append(f"{field.name} cannot be filtered by")
        elif field.is_searchable and not prop.index_searchable:
            wrong.append(f"{field.name} cannot be searched")
    return wrong
