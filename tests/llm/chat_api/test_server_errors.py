"""The sentence of a server is found in any body, and its kind is recognized by the words of each server."""

from typing import Any

import pytest

from prompt_objects.errors import ContextTooLong, LLMError, RegionNotSupported, StillLoading, UnknownModel
from prompt_objects.llm.chat_api.server_errors import TABLE, codes_in, kind_of_error, message_index, sentence_in


def said(message: str, **more: object) -> dict[str, object]:
    return {"error": {"message": message, **more}}


LONG, UNKNOWN, REGION, LOADING = ContextTooLong, UnknownModel, RegionNotSupported, StillLoading
SENTENCES: dict[tuple[str, type[LLMError]], list[object]] = {
    ("OpenAI", LONG): [
        said("This model's maximum context length is 4097 tokens. However, you requested 4120 tokens."),
        said("Too long.", code="context_length_exceeded"),
        said("Your input exceeds the context window of this model."),
    ],
    ("Anthropic", LONG): [
        said("prompt is too long: 219898 tokens > 200000 maximum", type="invalid_request_error"),
        said("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
    ],
    ("Gemini", LONG): [
        [said("The input token count (134123) exceeds the maximum number of tokens allowed (131072).", code=400)]
    ],
    ("Mistral", LONG): [
        {"message": "Prompt contains 300000 tokens, too large for model with 131072 maximum context length"}
    ],
    ("DeepSeek", LONG): [
        said("This model's maximum context length is 131072 tokens. However, you requested 131134 tokens")
    ],
    ("OpenRouter", LONG): [
        said("This endpoint's maximum context length is 131072 tokens. However, you requested about 138956 tokens")
    ],
    ("LiteLLM", LONG): [said("litellm.BadRequestError: litellm.ContextWindowExceededError: AnthropicError - {}")],
    ("vLLM", LONG): [
        {"detail": "The decoder prompt (length 17772) is longer than the maximum model length of 16384."}
    ],
    ("llama.cpp", LONG): [
        said("the request exceeds the available context size.", code=400, type="exceed_context_size_error")
    ],
    ("Ollama", LONG): [
        {"error": "the input length exceeds the context length"},
        {"error": "prompt too long; exceeded max context length by 4 tokens"},
    ],
    ("LM Studio", LONG): [
        {"error": "Trying to keep the first 111490 tokens when context the overflows. However, the"}
    ],
    ("others", LONG): [{"message": "too many tokens in your prompt"}],
    ("OpenAI", UNKNOWN): [
        said("The model `deepseek-chat` does not exist or you do not have access to it."),
        said("Project `p` does not have access to model `gpt-9`", code="model_not_found"),
    ],
    ("Anthropic", UNKNOWN): [{"type": "error", **said("model: sonnet4", type="not_found_error")}],
    ("Gemini", UNKNOWN): [[said("models/gemini-pro is not found for API version v1main, or is not supported for")]],
    ("Mistral", UNKNOWN): [{"object": "error", "message": "Invalid model: mistral-x", "type": "invalid_model"}],
    ("DeepSeek", UNKNOWN): [said("Model Not Exist", type="invalid_request_error", code="invalid_request_error")],
    ("OpenRouter", UNKNOWN): [
        said("claude-sonnet-4-6 is not a valid model ID", code=400),
        said("No endpoints found for stepfun/step-3.5-flash:free.", code=404),
    ],
    ("LiteLLM", UNKNOWN): [said("400: {'error': '/chat/completions: Invalid model name passed in model=None.'}")],
    ("vLLM", UNKNOWN): [{"object": "error", "message": "The model `Qwen1.5` does not exist.", "code": 404}],
    ("llama.cpp", UNKNOWN): [said("model not found", code=400, type="invalid_request_error")],
    ("Ollama", UNKNOWN): [said('model "ollama" not found, try pulling it first', type="api_error")],
    ("LM Studio", UNKNOWN): [
        said('Invalid model identifier "o4-mini". Please specify a valid downloaded model (e.g., a, b).'),
        {"error": "No models loaded. Please load a model in the developer page or use the 'lms load' command."},
    ],
    ("OpenAI", REGION): [
        said("Country, region, or territory not supported", code="unsupported_country_region_territory")
    ],
    ("Anthropic", REGION): [
        said("Request not allowed", type="forbidden"),
        {"message": "Access to Anthropic models is not allowed from unsupported countries, regions, or territories."},
    ],
    ("Gemini", REGION): [[said("User location is not supported for the API use.", status="FAILED_PRECONDITION")]],
    ("OpenRouter", REGION): [
        said("This model is not available in your region.", code=403),
        {"type": "error", **said("This model is not available in your country.", type="RegionError")},
    ],
    ("llama.cpp", LOADING): [said("Loading model", code=503, type="unavailable_error")],
    ("others", LOADING): [{"error": "Model meta-llama/Llama-3 is currently loading", "estimated_time": 20.0}],
}


@pytest.mark.parametrize(("server", "kind"), SENTENCES, ids=lambda value: getattr(value, "__name__", value))
def test_the_words_of_each_server_are_recognized(server: str, kind: type[LLMError]) -> None:
    for body in SENTENCES[server, kind]:
        assert kind_of_error(f"{codes_in(body)} {sentence_in(body)}") is kind, body


def test_every_row_has_a_sentence_and_a_source() -> None:
    assert {(row.server, row.kind) for row in TABLE} == set(SENTENCES)
    assert all(row.source.startswith("https://") for row in TABLE)


@pytest.mark.parametrize(
    "words",
    [
        "Incorrect API key provided",
        "Rate limit reached",
        "temperature must be below 2",
        "messages[3].content is required",
    ],
)
def test_other_errors_are_of_no_known_kind(words: str) -> None:
    assert kind_of_error(words) is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("plain words", "plain words"),
        ({"error": "plain words"}, "plain words"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ({"detail": [{"loc": ["body", "x"], "msg": "required"}]}, "body.x: required"),
        ({"message": {"detail": [{"loc": ["body", "x"], "msg": "Extra inputs"}]}}, "body.x: Extra inputs"),
        ({"error": {"message": "Failed.", "metadata": {"raw": '{"error": {"message": "Why"}}'}}}, "Failed: Why"),
        ({"error": {"message": "Failed", "metadata": {"raw": "Why"}}}, "Failed: Why"),
        ({"error": "Bad Request", "message": "The real reason"}, "The real reason: Bad Request"),
        ({"error": {"message": '{"error": {"message": "nested", "code": 400}}'}}, "nested"),
        ({"errors": [{"message": "one"}, {"message": "two"}]}, "one: two"),
        ({"Message": "of AWS"}, "of AWS"),
        ({"fault": {"faultstring": "an unknown form", "code": "x"}}, "an unknown form"),
        ("<html>Bad gateway</html>", "it responded with a web page."),
        ({"error": {"message": 5}}, ""),
        ([], ""),
        (None, ""),
    ],
    ids=lambda value: repr(value)[:50],
)
def test_the_sentence_of_any_body_is_found(body: object, sentence: str) -> None:
    assert sentence_in(body) == sentence


def test_a_body_of_any_depth_and_size_is_read() -> None:
    deep: Any = "the reason is deep"
    for _ in range(500):
        deep = {"error": [deep]}
    assert isinstance(sentence_in(deep) + codes_in(deep), str)
    assert len(sentence_in({"error": ["a b" * 10_000] * 10_000})) < 50_000


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("Missing `reasoning_content` field in the assistant message at message index 4.", 4),
        ("Invalid value for 'messages[31].content'", 31),
        ("messages.3.content.0.text: must not be blank", 3),
        ("body.messages.12.assistant: Extra inputs are not permitted", 12),
        ("no index", None),
    ],
)
def test_the_message_that_a_server_names_is_found(text: str, index: int | None) -> None:
    assert message_index(LLMError(text)) == index
