"""Limits tools to servers on the public internet, and to hosts that the user allowed."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from msgspec import Struct

from prompt_objects.errors import ToolError

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Looks up the addresses of a host and a port; raises `OSError`."""
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_REFUSED = (IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))
"""Networks that Python counts as public: relays from IPv6 to IPv4, and addresses for documentation."""
_NAT64 = IPv6Network("64:ff9b::/96")  # the last 32 bits are an IPv4 address


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the system's order of preference."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Return whether an address is on the public internet and does not embed another address."""
    ip = ip_address(address)
    if any(ip in network for network in _REFUSED):
        return False
    if isinstance(ip, IPv6Address):
        if ip in _NAT64:
            return is_public(str(IPv4Address(int(ip) & 0xFFFF_FFFF)))
        embeds_another = ip.sixtofour or ip.teredo or ip.ipv4_mapped
        return ip in _GLOBAL_UNICAST and ip.is_global and not embeds_another
    return ip.is_global and not ip.is_multicast


class AddressGuard(Struct, frozen=True):
    """Permits public addresses, and the hosts in `allowed`: `wiki.example`, or with a port, `localhost:8080`."""

    allowed: Collection[str] = ()
    resolve: Resolve = look_up

    async def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to. Another lookup may give others. Raises `ToolError`."""
        try:
            found = await self.resolve(host, port)
        except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
            raise ToolError(f"The host name {host} cannot be resolved.") from error
        name = host.lower().removesuffix(".")
        if not any(entry.lower() in {name, f"{name}:{port}", f"[{name}]:{port}"} for entry in self.allowed):
            for address in found:
                if not is_public(address):
                    raise ToolError(
                        f"{host} is not on the public internet ({address}). "
                        "Only the user can allow it, by http_allow in environment.yaml."
                    )
        return found
