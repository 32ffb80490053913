"""Where to listen, as --listen spells it: 127.0.0.1:9742, [::1]:9742, :9742, unix:/run/zonerss.sock. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address

from zonerss.errors import UsageError
from zonerss.plain import dataclass

DEFAULT = "127.0.0.1:9742"
_MOST_PATH_BYTES = 107
"""sun_path of struct sockaddr_un, less the end of the string (unix(7))."""
_FORM = "say 127.0.0.1:9742, [::1]:9742, :9742 for all addresses, or unix:/run/zonerss/serve.sock"
_TCP = re.compile(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """An address of an interface and a port."""

    host: str
    """IPv4 or IPv6, without brackets; empty: all interfaces."""
    port: int
    """0: any that is free."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this host reaches it."""
        return bool(self.host) and ip_address(self.host.partition("%")[0]).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str

    @property
    def is_loopback(self) -> bool:
        """Always: no other host reaches it."""
        return True

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


def parse_address(text: str) -> Address:
    """
    One --listen.

    :raises UsageError: it is none; the sentence says how to spell one
    """
    if text.startswith("unix:"):
        return _unix(text)
    match = _TCP.fullmatch(text)
    if match is None:
        raise UsageError(f"--listen {text!r} is no address with a port: {_FORM}")
    six, four, port = match.groups()
    host = six or four or ""
    if int(port) > 65_535:
        raise UsageError(f"--listen {text!r}: a port is a number from 0 to 65535")
    try:
        version = ip_address(host).version if host else 4
    except ValueError as err:
        raise UsageError(
            f"--listen {text!r}: {host!r} is no IP address, and names are not looked up: {_FORM}"
        ) from err
    if six is not None and version != 6:
        raise UsageError(f"--listen {text!r}: there is no IPv6 address within the brackets: {_FORM}")
    return TcpAddress(host, int(port))


def _unix(text: str) -> UnixAddress:
    path = text.removeprefix("unix:")
    if not path.startswith("/") or "\0" in path:
        raise UsageError(f"--listen {text!r}: the path of a socket begins with a slash: {_FORM}")
    if len(path.encode("utf-8", "surrogateescape")) > _MOST_PATH_BYTES:
        raise UsageError(f"--listen {text!r}: the path of a socket has at most {_MOST_PATH_BYTES} bytes")
    return UnixAddress(path)
