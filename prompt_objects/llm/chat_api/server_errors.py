"""The errors that model servers send: where their sentence stands, and what it means.

Servers agree neither on the form of an error nor on its status, so the kind of an error is recognized by its words.
Each row of the table has a source for the words of one server; the tests have the complete sentences.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from prompt_objects.errors import ContextTooLong, LLMError, RegionNotSupported, StillLoading, UnknownModel


class Words(NamedTuple):
    """Words by which an error of a server is recognized, as a regular expression, with the source of the words."""

    server: str
    kind: type[LLMError]
    pattern: str
    source: str


TABLE = (
    # The conversation does not fit into the context window.
    Words(
        "OpenAI", ContextTooLong, r"context_length_exceeded|maximum context length|exceeds the context window",
        "https://github.com/mckaywrigley/chatbot-ui/issues/102",
    ),
    Words(
        "Anthropic", ContextTooLong, r"prompt is too long|exceed context limit|request_too_large",
        "https://github.com/earendil-works/pi/issues/102",
    ),
    Words(
        "Gemini", ContextTooLong, r"input token count.{0,40}exceeds the maximum",
        "https://github.com/google-gemini/gemini-cli/issues/4231",
    ),
    Words(
        "Mistral", ContextTooLong, r"too large for model with \d+ maximum context length",
        "https://docs.mistral.ai/resources/known-limitations",
    ),
    Words(
        "DeepSeek", ContextTooLong, r"maximum context length is \d+ tokens",
        "https://github.com/evalstate/fast-agent/issues/621",
    ),
    Words(
        "OpenRouter", ContextTooLong, r"endpoint's maximum context length",
        "https://github.com/OpenHands/OpenHands/issues/9937",
    ),
    Words(
        "LiteLLM", ContextTooLong, r"ContextWindowExceededError|maximum context limit|exceeds token limit",
        "https://docs.litellm.ai/docs/exception_mapping",
    ),
    Words(
        "vLLM", ContextTooLong, r"longer than the maximum model length",
        "https://github.com/xorbitsai/inference/issues/3785",
    ),
    Words(
        "llama.cpp", ContextTooLong, r"exceed_context_size_error|exceeds? the available context size",
        "https://github.com/ggml-org/llama.cpp/pull/15780",
    ),
    Words(
        "Ollama", ContextTooLong, r"input length exceeds.{0,20}context length|prompt too long; exceeded",
        "https://github.com/nano-step/nano-brain/issues/208",
    ),
    Words(
        "LM Studio", ContextTooLong, r"context the overflows|when context overflows|greater than the context length",
        "https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/546",
    ),
    Words(
        "others", ContextTooLong,
        r"(prompt|input|conversation) (is|are) too long|too many (input )?tokens|context (window|length)",
        "https://github.com/BerriAI/litellm/blob/main/litellm/litellm_core_utils/exception_mapping_utils.py",
    ),
    # The server does not have the model.
    Words(
        "OpenAI", UnknownModel, r"model_not_found|model\b.{0,120}\bdoes not exist",
        "https://github.com/zh-plus/openlrc/issues/63",
    ),
    Words(
        "Anthropic", UnknownModel, r"not_found_error.{0,20}model:|invalid model name",
        "https://github.com/anthropics/claude-code/issues/5349",
    ),
    Words(
        "Gemini", UnknownModel, r"models/\S+ is not found for API version",
        "https://github.com/wwardaww/gnome-gemini-ai/issues/21",
    ),
    Words(
        "Mistral", UnknownModel, r"invalid_model\b|invalid model: ",
        "https://github.com/mistralai/mistral-vibe/issues/617",
    ),
    Words(
        "DeepSeek", UnknownModel, r"model not exist",
        "https://github.com/langbot-app/LangBot/issues/1643",
    ),
    Words(
        "OpenRouter", UnknownModel, r"is not a valid model ID|no endpoints found for (?!.{0,40}tool)",
        "https://github.com/OpenRouterTeam/openrouter-examples/issues/74",
    ),
    Words(
        "LiteLLM", UnknownModel, r"invalid model name passed in",
        "https://github.com/BerriAI/litellm/issues/9663",
    ),
    Words(
        "vLLM", UnknownModel, r"the model `[^`]{0,200}` does not exist",
        "https://github.com/vllm-project/vllm/issues/3486",
    ),
    Words(
        "llama.cpp", UnknownModel, r"\bmodel not found\b",
        "https://github.com/ggml-org/llama.cpp/issues/17968",
    ),
    Words(
        "Ollama", UnknownModel, r"model \S{1,200} not found",
        "https://github.com/netease-youdao/QAnything/issues/555",
    ),
    Words(
        "LM Studio", UnknownModel, r"invalid model identifier|no models loaded",
        "https://github.com/assafelovic/gpt-researcher/issues/1556",
    ),
    # The server does not serve the user's region.
    Words(
        "OpenAI", RegionNotSupported, r"unsupported_country_region_territory|region, or territory not supported",
        "https://github.com/home-assistant/core/issues/120072",
    ),
    Words(
        "Anthropic", RegionNotSupported, r"from unsupported countries|^forbidden.{0,10}request not allowed",
        "https://github.com/anthropics/claude-code/issues/1613",
    ),
    Words(
        "Gemini", RegionNotSupported, r"user location is not supported",
        "https://github.com/google-gemini/gemini-cli/issues/24641",
    ),
    Words(
        "OpenRouter", RegionNotSupported, r"not available in your (region|country)",
        "https://github.com/anomalyco/opencode/issues/40233",
    ),
    # The server will respond when it has loaded its model.
    Words(
        "llama.cpp", StillLoading, r"\bloading model\b",
        "https://github.com/mostlygeek/llama-swap/issues/146",
    ),
    Words(
        "others", StillLoading, r"\bmodel\b.{0,200}\bis (currently|still) loading\b",
        "https://github.com/huggingface/transformers/issues/23793",
    ),
)  # fmt: skip
_PATTERNS = {
    kind: re.compile("|".join(f"(?:{row.pattern})" for row in TABLE if row.kind is kind), re.IGNORECASE | re.DOTALL)
    for kind in (ContextTooLong, RegionNotSupported, UnknownModel, StillLoading)
}
_SENTENCE_KEYS = ("message", "error", "errors", "detail", "details", "msg", "error_message", "error_description")
_CODE_KEYS = ("code", "type", "status", "reason", "error_type")
_NESTED_KEYS = ("metadata", "raw", "innererror", "data", "body")  # looked into after the sentences
_MAX_DEPTH = 8
_MAX_TEXTS = 5
_MAX_TEXT = 6000  # characters
_MESSAGE_INDEX = re.compile(
    r"\bmessages?(?:\[|\.| at (?:message )?index |\.\[| with index | index )(\d{1,6})\b", re.IGNORECASE
)
_PAGE = "it responded with a web page."


def kind_of_error(words: str) -> type[LLMError] | None:
    """Return the kind of an error by its codes and its text, None if the words are not known."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(words)), None)


def sentence_in(body: object) -> str:
    """Return what a server says in the body of an error, wherever it stands; empty if there is no text."""
    texts = list(_named_texts(body, 0)) or [text for text in _strings(body, 0) if " " in text.strip()]
    distinct = [text for text in dict.fromkeys(texts) if not any(text != other and text in other for other in texts)]
    *context, last = distinct[:_MAX_TEXTS] or [""]
    return ": ".join([*(text.rstrip(".: ") for text in context), last])


def codes_in(body: object) -> str:
    """Return the codes and types in the body of an error, such as `context_length_exceeded`."""
    found: list[str] = []
    level = [body]
    for _ in range(_MAX_DEPTH):
        mappings = [each for each in level if isinstance(each, dict)]
        found += [str(each[key]) for each in mappings for key in _CODE_KEYS if isinstance(each.get(key), str | int)]
        level = [child for each in level for child in _children(each)][:100]
    return " ".join(found[:20])


def _named_texts(value: object, depth: int) -> Iterator[str]:
    """Yield the texts under the usual keys, the outermost first."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        yield from _text_or_json(value, depth)
    elif isinstance(value, list):
        for item in value[:_MAX_TEXTS]:
            yield from _named_texts(item, depth + 1)
    elif isinstance(value, dict):
        fields = {key.lower(): field for key, field in value.items()}
        place = ".".join(map(str, loc)) if isinstance(loc := fields.get("loc"), list) else ""
        for key in (*_SENTENCE_KEYS, *_NESTED_KEYS):
            for text in _named_texts(fields.get(key), depth + 1):
                yield f"{place}: {text}" if place and key == "msg" else text


def _text_or_json(text: str, depth: int) -> Iterator[str]:
    """Yield a text; proxies put the JSON of another server into one."""
    if text.lstrip().startswith(("{", "[")):
        try:
            nested = list(_named_texts(json.loads(text), depth + 1))
        except (ValueError, RecursionError):
            nested = []
        if nested:
            yield from nested
            return
    if text.strip():
        yield _PAGE if text.lstrip().startswith("<") else text.strip()[:_MAX_TEXT]


def _strings(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value[:_MAX_TEXT]
    elif depth < _MAX_DEPTH:
        for child in _children(value)[:100]:
            yield from _strings(child, depth + 1)


def _children(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def message_index(error: LLMError) -> int | None:
    """Return the index of the message of a request that a server objects to, None if it names none."""
    match = _MESSAGE_INDEX.search(str(error))
    return int(match[1]) if match else None
