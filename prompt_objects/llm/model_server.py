"""A server of models: its address, its key, and the models that it lists."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from prompt_objects.errors import UsageError
from prompt_objects.llm.model_listing import ModelListing, list_models
from prompt_objects.llm.providers import OPENAI

if TYPE_CHECKING:
    from prompt_objects.llm.base import LLM


@dataclass(frozen=True, slots=True)
class ModelServer:
    """An OpenAI-compatible server, by default OpenAI's.

    `key_name` is the environment variable of the key; if it is given, the server requires the key.
    """

    base_url: str = field(default=OPENAI.base_url, repr=False)  # it may contain a password
    api_key: str | None = field(default=None, repr=False)
    key_name: str | None = None
    label: str = ""
    timeout: float | None = None

    def __str__(self) -> str:
        from prompt_objects.llm.chat_api.endpoint import display_url

        url = display_url(self.base_url)
        place = f"{self.label} at {url}" if self.label else url
        return f"{place} ({self.missing_key} is not set)" if self.missing_key else place

    @property
    def missing_key(self) -> str:
        """The variable of the key that is required but not set; empty if nothing is missing."""
        return "" if self.api_key or not self.key_name else self.key_name

    def llm(self, model: str) -> "LLM":
        """Return a client for a model of this server. Raises `UsageError` if the address is not a URL."""
        import openai  # noqa: F401 - half a second, spent here rather than in the first request

        from prompt_objects.llm.chat_api.client import DEFAULT_TIMEOUT, OpenAILLM

        if not _is_url(self.base_url):
            raise UsageError(
                f"The address of the model {model} is not a URL.",
                hint="Check OPENAI_BASE_URL, or base_url in environment.yaml; an example is http://127.0.0.1:11434/v1.",
            )
        return OpenAILLM(
            model,
            base_url=self.base_url,
            api_key=self.api_key,
            key_name=self.key_name,
            timeout=self.timeout or DEFAULT_TIMEOUT,
        )

    def list_models(self, seconds: float = 3.0) -> ModelListing:
        """Return the models of the server, waiting for at most `seconds`. Without a required key, nothing is sent."""
        if self.missing_key or not _is_url(self.base_url):
            return ModelListing()
        return list_models(self.base_url, api_key=self.api_key, seconds=seconds)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_http = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_http and text.isprintable() and " " not in text
