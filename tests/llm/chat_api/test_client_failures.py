"""The client says why a request failed, what helps, and whether a retry may."""

import socket
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest

from prompt_objects.errors import (
    ContextTooLong,
    LLMError,
    RateLimited,
    RegionNotSupported,
    ServerFailed,
    StillLoading,
    Unauthorized,
    UnknownModel,
    Unreachable,
)
from prompt_objects.llm.chat_api.client import OpenAILLM
from tests.support.chat_api_client import KEY, failure, send
from tests.support.openai_server import Behaviour, OpenAIServer, error, flood, hang, status, stream, text


@pytest.fixture
async def retrying(openai_server: OpenAIServer) -> AsyncIterator[OpenAILLM]:
    llm = OpenAILLM("small", base_url=openai_server.base_url, api_key=KEY, timeout=2)
    yield llm
    await llm.close()


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("quoted", [KEY, KEY.upper(), f"{KEY[:12]}...", "sk-*****6789"])
async def test_a_wrong_key_is_unauthorized_with_the_servers_sentence_without_the_key(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int, quoted: str
) -> None:
    openai_server.script(error(code, f"Incorrect API key provided: {quoted} is not valid.", code="invalid_api_key"))
    found = await failure(llm, Unauthorized)
    assert "api_key_env" in found.hint
    assert "Incorrect API key provided: … is not valid." in str(found)
    assert quoted not in str(found)


async def test_a_wrong_key_is_recognized_by_words(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(
        status(400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid key."}}])
    )
    assert "wrong (400): API key not valid" in str(await failure(llm, Unauthorized))


async def test_the_hint_names_the_variable_of_the_key(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, api_key=KEY, key_name="MY_KEY", max_retries=0)
    openai_server.script(error(401, "no"))
    found = await failure(llm, Unauthorized)
    assert "the key from MY_KEY is missing, or wrong (401): no" in str(found)
    assert found.hint == "Check MY_KEY."
    await llm.close()


async def test_a_missing_key_is_reported_before_anything_is_sent() -> None:
    with pytest.raises(Unauthorized) as caught:
        await send(OpenAILLM("gpt-5"))
    assert "no key is set" in str(caught.value)
    assert "OPENAI_API_KEY" in caught.value.hint


@pytest.mark.parametrize("key", ["“sk-1”", "sk-1\nsk-2"])
async def test_a_key_with_invalid_characters_is_reported_and_not_quoted(key: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        await send(OpenAILLM("gpt-5", api_key=key))
    assert "invalid characters" in str(caught.value)
    assert "sk-1" not in str(caught.value) + caught.value.hint


async def test_a_key_in_an_error_message_is_masked(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(400, f"cannot use {KEY} here"))
    assert "cannot use … here" in str(await failure(llm))


@pytest.mark.parametrize(
    "refusal",
    [
        error(404, "The model `smal` does not exist", code="model_not_found"),
        error(404, 'model "smal" not found, try pulling it first'),
        error(400, "Model smal not found"),
    ],
    ids=["openai", "ollama", "status 400"],
)
async def test_the_hint_for_an_unknown_model_has_a_similar_name_and_the_list(
    openai_server: OpenAIServer, llm: OpenAILLM, refusal: Behaviour
) -> None:
    openai_server.models = ["smaller", *(f"m{n}" for n in range(20))]
    openai_server.script(refusal)
    found = await failure(llm, UnknownModel)
    assert found.hint == ("Did you mean 'smaller'? The server has smaller, m0, m1, m2, m3, m4, m5, m6 and 13 more.")


async def test_the_list_of_models_is_read_whatever_its_content_type(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.listing = status(
        200, {"data": [{"id": "models/m"}, {"id": "embed"}, {"id": 3}, "x"]}, Content_Type="text/plain"
    )
    openai_server.script(error(404, "no such model"))
    assert (await failure(llm, UnknownModel)).hint.endswith("The server has m.")


async def test_an_unsupported_region_lists_the_models_even_inside_a_stream(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    refusal = {"error": {"message": "This model is not available in your region.", "code": 403}}
    openai_server.script(status(403, refusal), stream(refusal))
    for _ in range(2):
        found = await failure(llm, RegionNotSupported)
        assert found.hint == "Choose another model. The server has small, large."


async def test_a_wrong_address_without_a_list_of_models_is_reported(openai_server: OpenAIServer) -> None:
    base_url = openai_server.base_url.removesuffix("/v1") + "/nowhere"
    llm = OpenAILLM("small", base_url=base_url, max_retries=0)
    openai_server.models = []
    found = await failure(llm, UnknownModel)
    assert "web page" in str(found)
    await llm.close()


async def test_the_hint_for_a_rate_limit_gives_the_delay(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(429, {"error": {"message": "Slow down."}}, retry_after="12.5"))
    found = await failure(llm, RateLimited)
    assert isinstance(found, RateLimited)
    assert found.retry_after == 12.5
    assert found.hint == "Try again in 13 seconds."


async def test_retry_after_may_be_a_date(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after=formatdate(time.time() + 100, usegmt=True)))
    found = await failure(llm, RateLimited)
    assert isinstance(found, RateLimited)
    assert 95 < (found.retry_after or 0) <= 100


async def test_a_rate_limit_without_retry_after_has_none(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(429, "Slow down."))
    found = await failure(llm, RateLimited)
    assert isinstance(found, RateLimited)
    assert found.retry_after is None


async def test_retries_wait_as_long_as_the_server_requires(openai_server: OpenAIServer, retrying: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after="1"), text("Now."))
    start = time.monotonic()
    _, completion = await send(retrying)
    assert completion.message["content"] == "Now."
    assert 1 <= time.monotonic() - start < 5
    assert len(openai_server.received) == 2


async def test_a_delay_over_the_maximum_is_not_waited_for(openai_server: OpenAIServer, retrying: OpenAILLM) -> None:
    openai_server.script(status(429, retry_after="31"), text("Never."))
    found = await failure(retrying, RateLimited)
    assert isinstance(found, RateLimited)
    assert found.retry_after == 31
    assert len(openai_server.received) == 1


async def test_a_used_up_quota_is_not_retried(openai_server: OpenAIServer, retrying: OpenAILLM) -> None:
    openai_server.script(error(429, "You exceeded your current quota.", code="insufficient_quota"), text("Never."))
    found = await failure(retrying, Unauthorized)
    assert "Waiting will not help" in found.hint
    assert len(openai_server.received) == 1


@pytest.mark.parametrize(
    ("code", "message", "more"),
    [
        (400, "This model's maximum context length is 8192 tokens.", {"code": "context_length_exceeded"}),
        (400, "The decoder prompt (length 40960) is longer than the maximum model length of 8192.", {}),
        (400, "the request exceeds the available context size", {"type": "exceed_context_size_error"}),
        (500, "input length exceeds maximum context length", {}),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", {}),
        (413, "Payload Too Large", {}),
    ],
    ids=["openai", "vllm", "llama.cpp", "ollama", "anthropic", "proxy"],
)
async def test_a_conversation_that_is_too_long_has_its_own_error(
    openai_server: OpenAIServer, llm: OpenAILLM, code: int, message: str, more: dict[str, Any]
) -> None:
    openai_server.script(error(code, message, **more))
    found = await failure(llm, ContextTooLong)
    assert "new session" in found.hint


async def test_the_error_of_a_model_without_tools_names_the_capabilities(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(error(400, "registry.ollama.ai/library/small does not support tools"))
    assert "capabilities" in (await failure(llm)).hint


async def test_a_server_error_is_retried(openai_server: OpenAIServer, retrying: OpenAILLM) -> None:
    openai_server.script(error(503, "Overloaded"), text("Here."))
    assert (await send(retrying))[1].message["content"] == "Here."


@pytest.mark.parametrize("code", [500, 502, 503])
async def test_repeated_server_errors_are_raised(openai_server: OpenAIServer, llm: OpenAILLM, code: int) -> None:
    openai_server.script(error(code, "Overloaded"))
    assert "Overloaded" in str(await failure(llm, ServerFailed))


async def test_a_server_that_loads_its_model_is_asked_until_it_responds_or_ten_minutes_have_passed(
    openai_server: OpenAIServer, retrying: OpenAILLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompt_objects.llm.chat_api.retries.LOADING_DELAY", 0.01)
    loading = error(503, "Loading model", type="unavailable_error")
    openai_server.script(*[loading] * 8, text("Here."))
    assert (await send(retrying))[1].message["content"] == "Here."
    monkeypatch.setattr("prompt_objects.llm.chat_api.retries.MAX_LOADING_SECONDS", 0)
    openai_server.script(loading)
    assert "is still loading its model" in str(await failure(retrying, StillLoading))


async def test_a_servers_message_is_truncated_to_one_clean_line(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(500, "\x1b[31mred\nalert\r\n\u202e" + "x" * 5000))
    shown = str(await failure(llm, ServerFailed))
    assert "[31mred alert" in shown
    assert shown.endswith("…")


@pytest.mark.parametrize(
    "body", ["", "[]", '"no"', "null", "12", '{"error": {"message": 5}}', '{"error": [1]}', "\x00"]
)
async def test_an_error_in_an_unknown_format_is_still_one_sentence(
    openai_server: OpenAIServer, llm: OpenAILLM, body: str
) -> None:
    openai_server.script(status(500, body))
    await failure(llm, ServerFailed)


async def test_other_errors_quote_the_servers_message(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(error(422, "temperature must be below 2"))
    assert "refused the request (422): temperature must be below 2" in str(await failure(llm))


async def test_a_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    llm = OpenAILLM("small", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
    assert "the connection was refused" in str(await failure(llm, Unreachable))
    await llm.close()


async def test_an_unknown_host_is_unreachable() -> None:
    llm = OpenAILLM("small", base_url="http://no-such-server.invalid/v1", max_retries=0)
    with pytest.raises(Unreachable, match="the host name cannot be resolved"):
        await send(llm)
    await llm.close()


async def test_a_silent_server_is_unreachable_after_the_timeout(openai_server: OpenAIServer) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.2, max_retries=0)
    openai_server.script(hang())
    assert "the response timed out" in str(await failure(llm, Unreachable))
    await llm.close()


async def test_a_server_that_closes_the_connection_is_unreachable(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.script(hang(0))
    await failure(llm, Unreachable)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(openai_server: OpenAIServer, llm: OpenAILLM, code: int) -> None:
    with OpenAIServer(always=text("Thank you.")) as other:
        openai_server.script(status(code, location=f"{other.base_url}/chat/completions"))
        assert f"redirects to http://127.0.0.1:{other.port}," in str(await failure(llm))
        openai_server.listing = status(code, location=f"{other.base_url}/models")
        openai_server.script(error(404, "no such model"))
        await failure(llm, UnknownModel)
        assert other.received == []


async def test_a_redirect_to_an_invalid_address_is_reported(openai_server: OpenAIServer, llm: OpenAILLM) -> None:
    openai_server.script(status(307, location="http://[broken"))
    assert "an invalid address" in str(await failure(llm))


async def test_a_secret_in_the_path_of_the_address_is_not_shown(openai_server: OpenAIServer) -> None:
    base_url = f"http://127.0.0.1:{openai_server.port}/token-0123/v1"
    llm = OpenAILLM("small", base_url=base_url, max_retries=0)
    found = await failure(llm, UnknownModel)
    assert "token-0123" not in repr(llm) + str(found) + found.hint
    await llm.close()


@pytest.mark.parametrize("gap", [0, 0.05], ids=["fast", "slow"])
async def test_an_endless_error_is_not_read_to_the_end(openai_server: OpenAIServer, gap: float) -> None:
    llm = OpenAILLM("small", base_url=openai_server.base_url, timeout=0.5, max_retries=0)
    openai_server.script(flood(b"x" * (1 if gap else 1_000_000), number=400, gap=gap))
    start = time.monotonic()
    found = await failure(llm, Unreachable if gap else LLMError)
    assert "the response timed out" in str(found) if gap else "refused the request (400): xxx" in str(found)
    assert time.monotonic() - start < 2
    await llm.close()


async def test_an_endless_list_of_models_does_not_delay_the_error(
    openai_server: OpenAIServer, llm: OpenAILLM
) -> None:
    openai_server.listing = flood(b" ", gap=0.05)
    openai_server.script(error(404, "no such model"))
    start = time.monotonic()
    assert "Check the model's name" in (await failure(llm, UnknownModel)).hint
    assert time.monotonic() - start < 4


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "socksio"),
        ("HTTP_PROXY", "garbage://x", "proxy"),
        ("https_proxy", "http://a\x7fb", "proxy"),
        ("SSL_CERT_FILE", "/nonexistent", "certificates"),
    ],
)
async def test_the_hint_names_the_invalid_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    llm = OpenAILLM("small", base_url="http://127.0.0.2:9/v1", max_retries=0)
    with pytest.raises(Unreachable, match=words) as caught:
        await send(llm)
    assert variable in caught.value.hint


async def test_an_invalid_address_is_an_error() -> None:
    with pytest.raises(Unreachable, match="not a URL"):
        await send(OpenAILLM("small", base_url="http://a\x7fb/v1"))
