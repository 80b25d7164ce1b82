"""The real client against a server that behaves, or misbehaves, as told."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import cast

import numpy as np
import pytest

from retrieval.errors import ModelError, ModelMisconfigured, ModelUnavailable
from retrieval.models import ModelMessage, Role
from retrieval.openai_client import open_client
from retrieval.openai_models import OpenAIEmbedder, OpenAIModel
from retrieval.types import Usage
from tests.fakes.model_server import Fault, ModelServer

LONG_REPLY = "One sentence after another. " * 20
QUESTION = [ModelMessage(Role.SYSTEM, "Be brief."), ModelMessage(Role.USER, "晶片何時下線？")]
SECRET = "sk-secret"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(LONG_REPLY) as running:
        yield running


def a_model(server: ModelServer, *, timeout_s: float = 5, name: str = "test-model") -> OpenAIModel:
    return OpenAIModel(open_client(server.base_url, SECRET, timeout_s=timeout_s), model=name)


def an_embedder(
    server: ModelServer, *, dim: int | None = None, timeout_s: float = 5
) -> OpenAIEmbedder:
    client = open_client(server.base_url, SECRET, timeout_s=timeout_s)
    return OpenAIEmbedder(client, model="test-model", dim=dim)


async def told_by(model: OpenAIModel) -> tuple[str, Usage | None]:
    text, usage = "", None
    async for part in model.stream(QUESTION, max_tokens=100):
        if isinstance(part, Usage):
            usage = part
        else:
            text += part
    return text, usage


async def test_text_comes_in_pieces_and_the_usage_last(server: ModelServer) -> None:
    parts = [part async for part in a_model(server).stream(QUESTION, max_tokens=100)]

    assert "".join(str(part) for part in parts[:-1]) == LONG_REPLY
    assert len(parts) > 10
    assert isinstance(parts[-1], Usage)
    assert parts[-1].completion_tokens == len(LONG_REPLY)
    assert server.requests[0].body["max_tokens"] == 100
    assert server.requests[0].messages[1] == {"role": "user", "content": "晶片何時下線？"}


async def test_a_server_without_usage_still_ends_with_one(server: ModelServer) -> None:
    server.has_usage = False

    text, usage = await told_by(a_model(server))

    assert text == LONG_REPLY
    assert usage == Usage("test-model")


async def test_closing_the_iterator_hangs_up_on_the_server(server: ModelServer) -> None:
    server.fail(Fault.HANG_IN_STREAM)
    stream = a_model(server).stream(QUESTION, max_tokens=100)

    await anext(stream)
    await cast("AsyncGenerator[object, None]", stream).aclose()

    async with asyncio.timeout(5):
        await server.requests[0].dropped.wait()


@pytest.mark.parametrize("fault", [Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.SLOW])
async def test_a_passing_fault_is_bridged(server: ModelServer, fault: Fault) -> None:
    server.fail(fault)

    text, _ = await told_by(a_model(server))

    assert text == LONG_REPLY


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        (Fault.RATE_LIMIT, ModelUnavailable, "no more requests"),
        (Fault.NO_CREDIT, ModelMisconfigured, "credit"),
        (Fault.SERVER_ERROR, ModelUnavailable, "status 500"),
        (Fault.HANG, ModelUnavailable, "in time"),
        (Fault.HANG_IN_STREAM, ModelUnavailable, "in time"),
        (Fault.CUT_STREAM, ModelUnavailable, "hung up"),
        (Fault.ENDED_STREAM, ModelUnavailable, "broke off"),
        (Fault.BAD_JSON, ModelUnavailable, "cannot be read"),
        (Fault.ERROR_IN_STREAM, ModelUnavailable, "reported an error"),
        (Fault.WEB_PAGE, ModelMisconfigured, "/v1"),
    ],
)
async def test_a_lasting_fault_is_told_without_key_or_server_text(
    server: ModelServer, fault: Fault, kind: type[ModelError], told: str
) -> None:
    server.fail(*[fault] * 3)

    with pytest.raises(kind, match=told) as raised:
        await told_by(a_model(server, timeout_s=0.3))

    assert SECRET not in str(raised.value)
    assert "Traceback" not in str(raised.value)


async def test_a_server_that_wants_us_back_much_later_is_not_waited_for(
    server: ModelServer,
) -> None:
    server.retry_after = "60"
    server.fail(Fault.RATE_LIMIT)

    with pytest.raises(ModelUnavailable):
        await told_by(a_model(server))

    assert len(server.requests) == 1


async def test_a_wrong_key_names_the_setting_and_not_the_key(server: ModelServer) -> None:
    server.api_key = "sk-right"

    with pytest.raises(ModelMisconfigured, match="SHIFU_MODEL__API_KEY") as raised:
        await told_by(a_model(server))

    assert SECRET not in str(raised.value)


async def test_an_unknown_model_is_named(server: ModelServer) -> None:
    with pytest.raises(ModelMisconfigured, match="'other-model'"):
        await told_by(a_model(server, name="other-model"))


async def test_a_server_that_is_not_there_is_named(server: ModelServer) -> None:
    model = OpenAIModel(open_client("http://user:pw@127.0.0.1:9/v1", SECRET), model="m")

    with pytest.raises(ModelUnavailable, match=r"at 127\.0\.0\.1:9 cannot be reached"):
        await told_by(model)


@pytest.mark.parametrize("address", ["localhost:8000", "ftp://host/v1", "http://", "http://[x/v1"])
def test_an_impossible_address_is_refused_with_an_example(address: str) -> None:
    with pytest.raises(ModelMisconfigured, match=r"SHIFU_MODEL__BASE_URL.*http://localhost"):
        open_client(address, SECRET)


def test_an_impossible_key_is_refused_without_repeating_it() -> None:
    with pytest.raises(ModelMisconfigured, match="SHIFU_MODEL__API_KEY") as raised:
        open_client(None, "sk-鑰匙")

    assert "鑰匙" not in str(raised.value)


async def test_options_that_a_model_refuses_are_left_out_from_then_on(server: ModelServer) -> None:
    server.refused_options = {"max_tokens", "temperature", "stream_options"}
    client = open_client(server.base_url, SECRET)
    model = OpenAIModel(client, model="test-model", temperature=0.0)

    first, _ = await told_by(model)
    asked_before = len(server.requests)
    second, _ = await told_by(model)

    assert first == second == LONG_REPLY
    assert len(server.requests) == asked_before + 1
    assert server.requests[-1].body["max_completion_tokens"] == 100


async def test_half_a_surrogate_pair_in_a_question_is_no_obstacle(server: ModelServer) -> None:
    model = a_model(server)

    parts = [p async for p in model.stream([ModelMessage(Role.USER, "a\ud83d")], max_tokens=9)]

    assert parts


async def test_vectors_are_of_unit_length_in_the_order_of_the_texts(server: ModelServer) -> None:
    texts = [f"text {n}" for n in range(150)]
    embedder = an_embedder(server)

    together = await embedder.embed(texts)
    alone = await embedder.embed([texts[140]])

    assert together.shape == (150, 8)
    assert np.allclose(np.linalg.norm(together, axis=1), 1)
    assert np.allclose(together[140], alone[0])
    assert {request.body["encoding_format"] for request in server.requests} == {"float"}


async def test_no_texts_and_empty_texts_can_be_embedded(server: ModelServer) -> None:
    embedder = an_embedder(server, dim=8)

    assert (await embedder.embed([])).shape == (0, 8)
    assert (await embedder.embed(["", "  \n"])).shape == (2, 8)
    assert all(text.strip() for request in server.requests for text in request.body["input"])


async def test_vectors_of_another_length_are_refused(server: ModelServer) -> None:
    embedder = an_embedder(server)
    await embedder.embed(["a"])
    server.dim = 16

    with pytest.raises(ModelMisconfigured, match="16 numbers a text, but 8"):
        await embedder.embed(["b"])


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.SERVER_ERROR, ModelUnavailable),
        (Fault.HANG, ModelUnavailable),
        (Fault.BAD_JSON, ModelUnavailable),
        (Fault.WEB_PAGE, ModelUnavailable),
        (Fault.NO_CREDIT, ModelMisconfigured),
    ],
)
async def test_embedding_faults_are_told_as_such(
    server: ModelServer, fault: Fault, kind: type[ModelError]
) -> None:
    server.fail(*[fault] * 3)

    with pytest.raises(kind) as raised:
        await an_embedder(server, timeout_s=0.3).embed(["a"])

    assert SECRET not in str(raised.value)
