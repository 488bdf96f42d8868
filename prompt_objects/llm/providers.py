"""Providers of models that have an OpenAI-compatible endpoint, each with the variable of its key.

If several keys are set, the first provider of the table is used. A key is sent only to the endpoint of its provider.
A default model is the provider's general model for tool calls at a moderate price; `source` documents the endpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: its endpoint, the variables that may contain its key, and the model used by default."""

    label: str
    base_url: str
    key_names: tuple[str, ...]
    model: str
    source: str

    def find_key(self, environ: Mapping[str, str]) -> tuple[str, str | None]:
        """Return the variable of the key and its value; without a key, the first variable and None."""
        for name in self.key_names:
            if key := environ.get(name, "").strip():
                return name, key
        return self.key_names[0], None


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider(
        "OpenAI",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "gpt-5.4-mini",
        "https://platform.openai.com/docs/api-reference/chat",
    ),
    "anthropic": Provider(
        "Anthropic",
        "https://api.anthropic.com/v1",
        ("ANTHROPIC_API_KEY",),
        "claude-sonnet-5-5",
        "https://platform.claude.com/docs/en/api/openai-sdk",
    ),
    "gemini": Provider(
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        "gemini-3.8-flash",
        "https://ai.google.dev/gemini-api/docs/openai",
    ),
    "groq": Provider(
        "Groq",
        "https://api.groq.com/openai/v1",
        ("GROQ_API_KEY",),
        "openai/gpt-oss-120b",
        "https://console.groq.com/docs/openai",
    ),
    "mistral": Provider(
        "Mistral",
        "https://api.mistral.ai/v1",
        ("MISTRAL_API_KEY",),
        "mistral-medium-latest",
        "https://docs.mistral.ai/api",
    ),
    "openrouter": Provider(
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_KEY",),
        "openrouter/auto",
        "https://openrouter.ai/docs/community/open-ai-sdk",
    ),
    "deepseek": Provider(
        "DeepSeek",
        "https://api.deepseek.com",
        ("DEEPSEEK_API_KEY",),
        "deepseek-v4-flash",
        "https://api-docs.deepseek.com",
    ),
    "xai": Provider("xAI", "https://api.x.ai/v1", ("XAI_API_KEY",), "grok-4.7", "https://docs.x.ai/api/integrations"),
    "together": Provider(
        "Together AI",
        "https://api.together.xyz/v1",
        ("TOGETHER_API_KEY",),
        "openai/gpt-oss-120b",
        "https://docs.together.ai/docs/openai-api-compatibility",
    ),
    "fireworks": Provider(
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        ("FIREWORKS_API_KEY",),
        "accounts/fireworks/models/gpt-oss-120b",
        "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
    ),
    "cerebras": Provider(
        "Cerebras",
        "https://api.cerebras.ai/v1",
        ("CEREBRAS_API_KEY",),
        "gpt-oss-120b",
        "https://inference-docs.cerebras.ai/resources/openai",
    ),
}
OPENAI = PROVIDERS["openai"]


def providers_with_key(environ: Mapping[str, str]) -> dict[str, Provider]:
    """Return the providers whose key is set, in the order of the table."""
    return {name: provider for name, provider in PROVIDERS.items() if provider.find_key(environ)[1]}
