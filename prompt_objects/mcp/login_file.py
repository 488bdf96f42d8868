"""The private file of a login: the tokens, and the registration of this program at a service."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_objects.utils import filesystem as disk
from prompt_objects.utils.concurrency import run_in_daemon_thread
from prompt_objects.utils.user_folders import state_folder

if TYPE_CHECKING:
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken


def login_folder() -> Path:
    """Return the folder of the tokens."""
    return state_folder() / "mcp-logins"


class LoginFile:
    """The `TokenStorage` of the `mcp` package for one service; an unreadable file counts as empty."""

    def __init__(self, url: str) -> None:
        self._file = login_folder() / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"

    async def get_tokens(self) -> "OAuthToken | None":
        from mcp.shared.auth import OAuthToken

        tokens: OAuthToken | None = self._parsed(OAuthToken, "tokens")
        return tokens

    async def set_tokens(self, tokens: "OAuthToken") -> None:
        await run_in_daemon_thread(lambda: self._write("tokens", tokens))

    async def get_client_info(self) -> "OAuthClientInformationFull | None":
        return self.client()

    async def set_client_info(self, client_info: "OAuthClientInformationFull") -> None:
        await run_in_daemon_thread(lambda: self._write("client", client_info))

    def client(self) -> "OAuthClientInformationFull | None":
        """Return the registration of this program at the service."""
        from mcp.shared.auth import OAuthClientInformationFull

        client: OAuthClientInformationFull | None = self._parsed(OAuthClientInformationFull, "client")
        return client

    def forget_client(self) -> None:
        """Remove the registration and the tokens that belong to it."""
        disk.remove_file(self._file)

    def _parsed(self, kind: type[Any], key: str) -> Any:
        with suppress(ValueError):
            return kind.model_validate(self._read()[key]) if key in self._read() else None
        return None

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            data = json.loads(disk.read_file(self._file))
            return data if isinstance(data, dict) else {}
        return {}

    def _write(self, key: str, value: Any) -> None:
        data = {**self._read(), key: value.model_dump(mode="json", exclude_none=True)}
        with disk.store_errors("written", self._file):
            disk.make_folder(self._file.parent)
            disk.replace_file(self._file, [json.dumps(data).encode()])
