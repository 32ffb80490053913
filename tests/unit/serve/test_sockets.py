"""Sockets that listen: modes, families, what is in use, what is handed over; who has connected."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from zonerss.errors import CannotServe
from zonerss.serve import sockets
from zonerss.serve.addresses import TcpAddress, UnixAddress
from zonerss.serve.sockets import _passed, address_of, client_of, listen, passed, passed_count, remove


def test_a_port_that_is_in_use_is_said() -> None:
    with listen(TcpAddress("127.0.0.1", 0)) as first:
        address = address_of(first)
        assert isinstance(address, TcpAddress)
        with pytest.raises(CannotServe, match="another program listens there already") as refused:
            listen(address)
    assert str(address) in str(refused.value)


def test_an_address_of_another_host_is_said() -> None:
    with pytest.raises(CannotServe, match="no interface of this host"):
        listen(TcpAddress("192.0.2.1", 0))


def test_all_addresses_are_both_families() -> None:
    with listen(TcpAddress("", 0)) as sock:
        address = address_of(sock)
        assert isinstance(address, TcpAddress)
        assert (address.host, address.is_loopback) in (("", False), ("0.0.0.0", False))
        with socket.create_connection(("127.0.0.1", address.port)):
            found, place = sock.accept()
            with found:
                assert client_of(found, place) == "127.0.0.1"


def test_whoever_has_one_address_of_ipv6_has_its_network() -> None:
    try:
        sock = listen(TcpAddress("::1", 0))
    except CannotServe as err:
        pytest.skip(str(err))
    with sock:
        assert client_of(sock, ("2001:db8::1", 1, 0, 0)) == client_of(sock, ("2001:db8::ffff", 9, 0, 0))
        assert client_of(sock, ("2001:db8::1", 1, 0, 0)) != client_of(sock, ("2001:db8:0:1::1", 1, 0, 0))
        assert client_of(sock, ("fe80::1%lo", 1, 0, 1)) == client_of(sock, ("fe80::2", 1, 0, 2))


def test_a_socket_in_the_file_system_is_for_its_group(tmp_path: Path) -> None:
    address = UnixAddress(str(tmp_path / "a.sock"))
    sock = listen(address)
    try:
        assert stat.S_IMODE(os.stat(address.path).st_mode) == 0o660
        assert address_of(sock) == address
        with pytest.raises(CannotServe, match="another program listens there already"):
            listen(address)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address.path)
            found, place = sock.accept()
            with found:
                assert client_of(found, place) == os.getuid()
    finally:
        remove(sock)
    assert not os.path.lexists(address.path)
    remove(sock)


def test_a_socket_that_was_left_behind_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    address = UnixAddress(str(tmp_path / "a.sock"))
    listen(address).close()
    remove(listen(address))
    Path(address.path).write_text("mine")
    with pytest.raises(CannotServe, match="no socket has that name"):
        listen(address)
    assert Path(address.path).read_text() == "mine"
    with pytest.raises(CannotServe, match="No such file"):
        listen(UnixAddress(str(tmp_path / "nowhere" / "a.sock")))


def test_a_name_is_removed_while_it_is_still_listened_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, unlink = UnixAddress(str(tmp_path / "a.sock")), os.unlink

    def noted(path: str) -> None:
        with pytest.raises(CannotServe, match="another program listens there already"):
            listen(address)
        unlink(path)

    sock = listen(address)
    monkeypatch.setattr(sockets.os, "unlink", noted)
    remove(sock)
    assert not os.path.lexists(address.path)


@pytest.mark.parametrize(
    ("environ", "count"),
    [
        ({}, 0),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "2"}, 2),
        ({"LISTEN_PID": "43", "LISTEN_FDS": "2"}, 0),
        ({"LISTEN_FDS": "2"}, 0),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "two"}, 0),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "-1"}, 0),
        ({"LISTEN_PID": "42", "LISTEN_FDS": "99999999"}, 1024),
    ],
)
def test_what_was_handed_over_is_for_the_process_that_is_named(environ: dict[str, str], count: int) -> None:
    assert passed_count(environ, 42) == count


def test_variables_about_sockets_are_for_us_only() -> None:
    environ = {"LISTEN_PID": "42", "LISTEN_FDS": "0", "LISTEN_FDNAMES": "", "HOME": "/"}
    assert passed(environ, 42) == []
    assert environ == {"HOME": "/"}


def test_only_what_listens_is_taken() -> None:
    with listen(TcpAddress("127.0.0.1", 0)) as sock, _passed(os.dup(sock.fileno())) as taken:
        assert address_of(taken) == address_of(sock)
        assert not os.get_inheritable(taken.fileno())
    with (
        socket.socket(socket.AF_INET) as idle,
        pytest.raises(CannotServe, match="does not listen"),
    ):
        _passed(os.dup(idle.fileno()))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        pytest.raises(CannotServe, match="does not listen"),
    ):
        _passed(os.dup(datagrams.fileno()))
    reading, writing = os.pipe()
    try:
        with pytest.raises(CannotServe, match=f"descriptor {reading}"):
            _passed(reading)
    finally:
        os.close(reading)
        os.close(writing)
