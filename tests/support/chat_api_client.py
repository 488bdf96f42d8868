"""A client of the real server on the loopback, and the requests and failures that tests send through it."""

import pytest

from prompt_objects.errors import LLMError
from prompt_objects.llm.base import Completion, Request, RequestSent, RetryScheduled, TextChunk
from prompt_objects.llm.chat_api.client import OpenAILLM

KEY = "sk-secret-0123456789"


HELLO = Request([{"role": "user", "content": "Hello"}])


async def send(llm: OpenAILLM, request: Request = HELLO) -> tuple[list[str], Completion]:
    """Return the texts and the completion, which must be the last part and the only one."""
    told = (RequestSent, RetryScheduled)
    *chunks, completion = [part async for part in llm.stream(request) if not isinstance(part, told)]
    assert isinstance(completion, Completion)
    texts = [part.text for part in chunks if isinstance(part, TextChunk)]
    assert len(texts) == len(chunks)
    assert "".join(texts) == completion.message["content"]
    return texts, completion


async def failure(llm: OpenAILLM, kind: type[LLMError] = LLMError) -> LLMError:
    """Return the error of a request, which must be one clean line that names model and server, and no key."""
    with pytest.raises(LLMError) as caught:
        await send(llm)
    found = caught.value
    assert type(found) is kind
    shown = str(found)
    assert "small at http://127.0.0.1:" in shown
    assert KEY not in shown + found.hint + repr(found)
    assert (shown + found.hint).isprintable()
    assert len(shown) < 500
    return found
