"""Which servers may be reached: those on the public internet, and those that a person allowed by name."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from msgspec import Struct

from prompt_objects.errors import ToolError

__all__ = [
    "AddressGuard",
    "Resolve",
    "is_public",
    "look_up",
]

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""From a host and a port to the addresses that it has; raises `OSError`."""
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # how a network without IPv4 reaches the IPv4 address in the last 32 bits


async def look_up(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host, in the order of its preference."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Say whether an address is a server's on the public internet, and not one that means another."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        if ip in _NAT64:
            return is_public(str(IPv4Address(int(ip) & 0xFFFF_FFFF)))
        means_another = ip.sixtofour or ip.teredo or ip.ipv4_mapped
        return ip in _GLOBAL_UNICAST and ip.is_global and not means_another
    return ip.is_global and not ip.is_multicast


class AddressGuard(Struct, frozen=True):
    """Lets through what is public, and the hosts in `allowed`: `wiki.example`, or with a port, `localhost:8080`."""

    allowed: Collection[str] = ()
    resolve: Resolve = look_up

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to; raises `ToolError`.

        A name may mean something else when it is looked up again: connect to these, not to the name.
        """
        try:
            found = await self.resolve(host, port)
        except (OSError, UnicodeError) as error:  # names that no name can be are UnicodeErrors
            raise ToolError(f"There is no server {host}: its name cannot be looked up.") from error
        if not self._is_allowed(host, port):
            for address in found:
                if not is_public(address):
                    raise ToolError(
                        f"{host} is not on the public internet ({address}), and is not asked. "
                        "Only the person can allow that, in environment.yaml."
                    )
        return found

    def _is_allowed(self, host: str, port: int) -> bool:
        name = host.lower().removesuffix(".")
        return any(entry.lower() in {name, f"{name}:{port}", f"[{name}]:{port}"} for entry in self.allowed)
