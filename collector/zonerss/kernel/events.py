"""Processes that begin, as the kernel's process connector reports them: a Session need not list /proc each time.

The socket is pyroute2's ProcEventSocket. Its datagrams, one for each fork, exec and exit, are read and decoded here:
pyroute2's own parser takes 150 ms for 10,000 events, as many as the socket holds, and this module 5 ms. Where more
events come than the socket holds, the kernel drops them and says ENOBUFS: then all of /proc is listed again.
Source: Documentation/driver-api/connector.rst, include/uapi/linux/cn_proc.h, drivers/connector/cn_proc.c.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import socket
import struct
import sys
from typing import Any

from zonerss.closing import Closing
from zonerss.errors import CannotServe
from zonerss.plain import dataclass

BUFFER_BYTES = 8 << 20
"""Of the socket. An event takes about 0.8 KiB of it, so about ten thousand events fit."""

_FORK, _EXEC = 0x1, 0x2
_NETLINK_CONNECTOR = 11  # include/uapi/linux/netlink.h
_SO_RCVBUFFORCE = 33  # include/uapi/asm-generic/socket.h
_EVENT_AT = 16 + 20  # struct nlmsghdr, struct cn_msg
_EVENT = struct.Struct("=IIQ")  # what, cpu, timestamp_ns
_FORKED = struct.Struct("=IIII")  # parent_pid, parent_tgid, child_pid, child_tgid
_EXECED = struct.Struct("=II")  # process_pid, process_tgid
# A struct nlmsghdr of type NLMSG_DONE, a struct cn_msg of the connector's, and PROC_CN_MCAST_IGNORE. Before Linux 6.6
# the kernel counts listeners by such messages, not by their sockets.
_IGNORE = (
    struct.pack("=IHHII", 40, 3, 0, 0, 0) + struct.pack("=IIIIHH", 1, 1, 0, 0, 4, 0) + struct.pack("=I", 2)
)


def decode_event(datagram: bytes) -> int | None:
    """
    The process that a datagram reports as new, or as changed by exec; None: neither. Pure.

    The fork of a thread (a child that does not lead its thread group) is not a new process.
    """
    if len(datagram) < _EVENT_AT + _EVENT.size:
        return None
    what = _EVENT.unpack_from(datagram, _EVENT_AT)[0]
    data = _EVENT_AT + _EVENT.size
    if what == _FORK and len(datagram) >= data + _FORKED.size:
        _, _, child_pid, child_tgid = _FORKED.unpack_from(datagram, data)
        return int(child_tgid) if child_pid == child_tgid else None
    if what == _EXEC and len(datagram) >= data + _EXECED.size:
        return int(_EXECED.unpack_from(datagram, data)[1])  # a kernel thread may become a process so
    return None


@dataclass(frozen=True, slots=True)
class Changes:
    """What was reported since the last time."""

    began: frozenset[int]
    """Processes that began, or replaced their memory. Some may have ended since."""
    overrun: bool
    """Events were lost: more came than the socket holds."""


def _require_connector() -> None:
    """
    Check that the kernel listens on the connector; in another network namespace than the host's it does not.

    The message is a bare header, which the connector drops (drivers/connector/connector.c, cn_rx_skb()). Asked first,
    because pyroute2 prints a traceback of its event loop where it is refused.

    :raises CannotServe: it does not
    """
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR) as probe:
            probe.sendto(struct.pack("=IHHII", 16, 3, 0, 0, 0), (0, 0))
    except OSError as err:
        raise CannotServe(f"the kernel does not report processes that begin: {err}") from err


def _socket_class() -> type[Any]:
    """
    pyroute2's ProcEventSocket, with those of its modules alone that it needs.

    The package's own __init__ imports all of its modules, which takes 240 ms of processor time; these take 105. So it
    is passed over, and what was imported is forgotten afterwards, so that whoever imports pyroute2 gets all of it.

    :raises ImportError: there is no pyroute2
    """
    if "pyroute2" not in sys.modules and (spec := importlib.util.find_spec("pyroute2")):
        package = importlib.util.module_from_spec(spec)
        sys.modules["pyroute2"] = package
        try:
            from pyroute2.netlink.connector import cn_proc

            return cn_proc.ProcEventSocket  # type: ignore[no-any-return]
        except (ImportError, AttributeError):
            pass  # a release with other modules
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == "pyroute2"]:
                del sys.modules[name]
    from pyroute2 import ProcEventSocket

    return ProcEventSocket  # type: ignore[no-any-return]


class ProcEvents(Closing):
    """A socket of the process connector; use it as a context manager."""

    def __init__(self, buffer_bytes: int = BUFFER_BYTES) -> None:
        """:raises CannotServe: no connector here (CONFIG_PROC_EVENTS), or not the host's namespaces, or not root"""
        try:
            socket_class = _socket_class()
        except ImportError as err:
            raise CannotServe("pyroute2 is missing: run vm/provision") from err
        _require_connector()
        with contextlib.ExitStack() as stack:
            try:
                self._connector = socket_class()
                stack.callback(self._connector.close)
                self._connector.bind()
                self._socket = socket.socket(fileno=os.dup(self._connector.fileno()))
                stack.callback(self._socket.close)
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes // 2)
                self._connector.control(listen=True)
            except OSError as err:
                raise CannotServe(f"the kernel does not report processes that begin: {err}") from err
            self._open = stack.pop_all()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):  # not by pyroute2, which waits for an answer that may not come
            self._socket.sendto(_IGNORE, (0, 0))
        self._open.close()

    def drain(self) -> Changes:
        """All that was queued up to now; never waits."""
        began: set[int] = set()
        overrun = False
        while True:
            try:
                pid = decode_event(self._socket.recv(4096, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return Changes(frozenset(began), overrun)
            except OSError as err:
                if err.errno != errno.ENOBUFS:
                    raise
                overrun = True
                continue
            if pid is not None:
                began.add(pid)
