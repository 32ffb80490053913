"""Sockets that listen: those that --listen asks for, and those that a service manager hands over (sd_listen_fds(3))."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from collections.abc import Hashable, Mapping, MutableMapping
from contextlib import suppress

from zonerss.errors import CannotServe
from zonerss.serve.addresses import Address, TcpAddress, UnixAddress

BACKLOG = 512
_FIRST_PASSED = 3
_MODE = 0o660


def listen(address: Address) -> socket.socket:
    """
    A socket that listens there; one in the file system has mode 0660.

    :raises CannotServe: it cannot; the sentence says why
    """
    try:
        return _tcp(address) if isinstance(address, TcpAddress) else _unix(address)
    except OSError as err:
        if err.errno == errno.EADDRINUSE:
            said = "another program listens there already; end it, or give another address by --listen"
        elif err.errno == errno.EADDRNOTAVAIL:
            said = "no interface of this host has that address"
        else:
            said = err.strerror or str(err)
        raise CannotServe(f"cannot listen on {address}: {said}") from err


def _tcp(address: TcpAddress) -> socket.socket:
    if address.host:
        family, _, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )[0]
        return _bound(family, place)
    try:
        return _bound(socket.AF_INET6, ("::", address.port), both=True)
    except OSError as err:
        if err.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return _bound(socket.AF_INET, ("0.0.0.0", address.port))  # there is no IPv6 here


def _bound(family: int, place: tuple[object, ...], both: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        sock.bind(place)
        return _listening(sock)
    except BaseException:
        sock.close()
        raise


def _listening(sock: socket.socket) -> socket.socket:
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def _unix(address: UnixAddress) -> socket.socket:
    _clear(address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~_MODE)
    try:
        sock.bind(address.path)
        return _listening(sock)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)


def _clear(address: UnixAddress) -> None:
    """Remove a socket that nobody listens on any more."""
    try:
        mode = os.lstat(address.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotServe(f"cannot listen on {address}: a file that is no socket has that name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
            return
        except BlockingIOError:
            pass  # its queue is full: somebody listens
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def passed_count(environ: Mapping[str, str], pid: int) -> int:
    """How many sockets, from descriptor 3 on, were handed over to this process."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not (count.isascii() and count.isdigit()):
        return 0
    return min(int(count), 1024)


def passed(environ: MutableMapping[str, str], pid: int) -> list[socket.socket]:
    """
    The sockets that were handed over; the variables that tell of them are removed, as they are not for our children.

    :raises CannotServe: one of them is no socket that listens
    """
    numbers = range(_FIRST_PASSED, _FIRST_PASSED + passed_count(environ, pid))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    return [_passed(number) for number in numbers]


def _passed(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
    except OSError as err:
        raise CannotServe(f"descriptor {number}, which was handed over to listen on, is no socket") from err
    is_stream = sock.type == socket.SOCK_STREAM
    if not is_stream or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise CannotServe(
            f"descriptor {number}, which was handed over, does not listen: its unit needs ListenStream= and Accept=no"
        )
    sock.setblocking(False)
    return sock


def address_of(sock: socket.socket) -> Address:
    """Where a socket listens."""
    place = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return UnixAddress(os.fsdecode(place))
    return TcpAddress("" if place[0] == "::" and _takes_both(sock) else place[0], place[1])


def _takes_both(sock: socket.socket) -> bool:
    return not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def client_of(sock: socket.socket, place: object) -> Hashable:
    """Who has connected, as far as it tells one client from another: an address, or a user of this host."""
    if sock.family != socket.AF_UNIX and isinstance(place, tuple):
        # Whoever has one IPv6 address has all of its /64.
        return place[0] if sock.family == socket.AF_INET else _network(place[0])
    with suppress(OSError, struct.error):
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(uid)
    return None


def _network(host: str) -> Hashable:
    if host.startswith("::ffff:") and "." in host:
        return host.rpartition(":")[2]
    return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:8]


def remove(sock: socket.socket) -> None:
    """
    Close it; its name in the file system goes, too. A second call does nothing.

    The name goes first: as long as it listens nobody else takes the name.
    """
    if sock.fileno() < 0:
        return
    address = address_of(sock)
    if isinstance(address, UnixAddress) and address.path:
        with suppress(OSError):
            os.unlink(address.path)
    sock.close()
