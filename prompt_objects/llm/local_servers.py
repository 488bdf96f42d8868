"""Model servers on this machine, found at their default ports."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from prompt_objects.llm.model_listing import LOADING, SLOW, ModelListing, list_models_of_all

DEFAULT_PORTS: Mapping[int, str] = {
    11434: "Ollama",
    1234: "LM Studio",
    8080: "llama.cpp",
    9931: "llama.cpp",
    8000: "vLLM",
}


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A model server on this machine with at least one chat model, or with a problem that may pass."""

    name: str
    base_url: str
    listing: ModelListing


def find_local_server(
    ports: Mapping[int, str] | None = None, *, seconds: float = 0.3, ignored: Collection[str] = ()
) -> LocalServer | None:
    """Return the first server on `ports` (number -> name; the default ports if None) that has a chat model.

    Otherwise return the first one that is loading, or that has accepted the connection but not responded within
    `seconds`. All ports are queried at the same time. The addresses in `ignored` are left out.
    """
    ports = DEFAULT_PORTS if ports is None else ports
    names = {f"http://127.0.0.1:{port}/v1": name for port, name in ports.items()}
    for url in ignored:
        names.pop(url, None)
    found = list_models_of_all(names, None, seconds)
    for is_wanted in (
        lambda one: bool(one.chat),
        lambda one: one.problem == LOADING,
        lambda one: one.problem == SLOW,
    ):
        for url, name in names.items():
            if is_wanted(found[url]):
                return LocalServer(name, url, found[url])
    return None
