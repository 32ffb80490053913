"""How addresses are spelled, and which of them only this host reaches."""

from __future__ import annotations

import pytest

from zonerss.errors import UsageError
from zonerss.serve.addresses import TcpAddress, UnixAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address", "is_loopback"),
    [
        ("127.0.0.1:9742", TcpAddress("127.0.0.1", 9742), True),
        ("127.8.9.10:0", TcpAddress("127.8.9.10", 0), True),
        ("[::1]:80", TcpAddress("::1", 80), True),
        ("[fe80::1%eth0]:9742", TcpAddress("fe80::1%eth0", 9742), False),
        (":9742", TcpAddress("", 9742), False),
        ("0.0.0.0:9742", TcpAddress("0.0.0.0", 9742), False),
        ("10.1.2.3:65535", TcpAddress("10.1.2.3", 65535), False),
        ("unix:/run/a b.sock", UnixAddress("/run/a b.sock"), True),
    ],
)
def test_an_address_is_read_and_spelled_alike(
    text: str, address: TcpAddress | UnixAddress, is_loopback: bool
) -> None:
    assert parse_address(text) == address
    assert str(address) == text
    assert address.is_loopback is is_loopback


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no address with a port"),
        ("9742", "no address with a port"),
        ("127.0.0.1", "no address with a port"),
        ("::1:9742", "no address with a port"),
        ("127.0.0.1:99999", "0 to 65535"),
        ("127.0.0.1:65536", "0 to 65535"),
        ("127.0.0.1:-1", "no address with a port"),
        ("localhost:9742", "names are not looked up"),
        ("[127.0.0.1]:9742", "no IPv6 address within"),
        ("127.0.0.1:97 42", "no address with a port"),
        ("unix:run/a.sock", "begins with a slash"),
        ("unix:", "begins with a slash"),
        ("unix:/" + "ä" * 54, "at most 107 bytes"),
    ],
)
def test_what_is_no_address_is_refused_with_its_words(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        parse_address(text)
    assert repr(text) in str(refused.value)
