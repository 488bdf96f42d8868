"""A client of the OpenAI protocol for the real server on the loopback."""

from collections.abc import AsyncIterator

import pytest

from prompt_objects.llm.chat_api.client import OpenAILLM
from tests.support.chat_api_client import KEY
from tests.support.openai_server import OpenAIServer


@pytest.fixture
async def llm(openai_server: OpenAIServer) -> AsyncIterator[OpenAILLM]:
    llm = OpenAILLM("small", base_url=openai_server.base_url, api_key=KEY, timeout=2, max_retries=0)
    yield llm
    await llm.close()
