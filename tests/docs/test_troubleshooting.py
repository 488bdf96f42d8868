"""docs/troubleshooting.md quotes the program's messages."""

import re

import pytest

from prompt_objects.errors import LLMError
from prompt_objects.llm.base import Request
from prompt_objects.llm.chat_api.client import OpenAILLM
from tests.support.doc_examples import Example, examples
from tests.support.openai_server import OpenAIServer, status
from tests.support.paths import DOCS, ROOT

PAGE = DOCS / "troubleshooting.md"
REFUSALS = [example for example in examples(PAGE) if "error" in example.marks]
QUOTES = [
    "no model is set up; set a key such as OPENAI_API_KEY, or start a local model server",
    "The disk is full. Free some space, then try again.",
    "Is the server running, and is its address right?",
    "the connection was refused",
    "is in use by",
    "does not start: ",
]


@pytest.mark.parametrize("example", REFUSALS, ids=lambda example: example.marks["error"])
async def test_a_refusal_of_a_server_reads_as_the_page_says(example: Example, openai_server: OpenAIServer) -> None:
    shown = example.text.replace("https://api.example.com", openai_server.base_url.removesuffix("/v1"))
    first, *hints = shown.splitlines()
    body = {"error": {"message": first.rpartition(": ")[2]}}
    openai_server.script(status(int(example.marks["error"]), body, x_should_retry="false"))
    llm = OpenAILLM("MODEL", base_url=openai_server.base_url, api_key="sk-example", key_name="EXAMPLE_KEY")
    with pytest.raises(LLMError) as caught:
        async for _ in llm.stream(Request([{"role": "user", "content": "Hello"}])):
            pass
    await llm.close()
    assert [f"error: {caught.value}", *filter(None, [caught.value.hint])] == [first, *hints]


@pytest.mark.parametrize("quote", QUOTES)
def test_other_quotes_are_texts_of_the_program(quote: str) -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "prompt_objects").rglob("*.py"))
    assert quote in re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    assert quote in sources
