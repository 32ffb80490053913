"""TLS as the web configuration wants it, with certificates that are read again when their files change."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

from zonerss.errors import UsageError
from zonerss.kernel.private import memory_file
from zonerss.serve.webconfig import TlsConfig

LOOK_AGAIN_SECONDS = 1.0
"""The files are looked at for a change no more often."""
_VERIFY = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_Stamp = tuple[tuple[int, int, int, int] | None, ...]


def make_context(config: TlsConfig) -> ssl.SSLContext:
    """
    What a server's side of connections is made with.

    :raises UsageError: a certificate or a key cannot be read, they do not belong together, or OpenSSL does not take
        what was asked for
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.minimum_version = ssl.TLSVersion[config.min_version]
    context.maximum_version = ssl.TLSVersion[config.max_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if config.prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        if config.ciphers:
            context.set_ciphers(":".join(config.ciphers))
        if config.curve:
            context.set_ecdh_curve(config.curve)
    except (ssl.SSLError, ValueError) as err:
        raise UsageError(f"OpenSSL does not take these ciphers or this curve: {err}") from err
    try:
        with _file_of(config.cert_file, config.cert) as cert, _file_of(config.key_file, config.key) as key:
            context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as err:
        names = f"{config.cert_name} and key {config.key_name}"
        raise UsageError(f"cannot use certificate {names}: {_said(err)}") from err
    context.verify_mode = _VERIFY[config.client_auth_type]
    if config.client_ca_file or config.client_ca:
        try:
            with _file_of(config.client_ca_file, config.client_ca) as authority:
                context.load_verify_locations(authority)
        except (OSError, ValueError) as err:
            name = f"client_ca_file {config.client_ca_file}" if config.client_ca_file else "client_ca"
            raise UsageError(f"cannot use {name}: {_said(err)}") from err
    return context


@contextmanager
def _file_of(path: str | None, text: str | None) -> Iterator[str]:
    """A file with this text, in memory, that goes again; OpenSSL's own functions for text are not Python's."""
    if path is not None:
        yield path
        return
    with memory_file(text or "") as made:
        yield made


def _no_password() -> str:
    raise ValueError("the key is encrypted, and there is nobody to ask for its password")


def _said(err: Exception) -> str:
    if isinstance(err, ssl.SSLError):
        return err.reason or str(err)
    return (isinstance(err, OSError) and err.strerror) or str(err)


class Certificates:
    """The context that new connections are made with. A file that has become unusable leaves the old one in force."""

    def __init__(
        self, config: TlsConfig, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        :param say: takes a sentence when the files have changed
        :param clock: seconds, never going back
        :raises UsageError: see :func:`make_context`
        """
        self.config, self._say, self._clock = config, say, clock
        self._stamp = self._look()
        self._context = make_context(config)
        self._looked = clock()

    def context(self) -> ssl.SSLContext:
        """Made from the files as they are now, or were within the last second."""
        now = self._clock()
        if now - self._looked >= LOOK_AGAIN_SECONDS:
            self._looked = now
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp = stamp
                self._read_again()
        return self._context

    def _read_again(self) -> None:
        try:
            self._context = make_context(self.config)
        except UsageError as err:
            self._say(f"{err}; the certificate of before is still used")
        else:
            self._say(f"certificate {self.config.cert_name} was read again")

    def _look(self) -> _Stamp:
        return tuple(map(_stamp_of, self.config.files))


def _stamp_of(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def names_of(certificate: Any) -> set[str]:
    """The names in a client's certificate as ssl.SSLSocket.getpeercert() has it; IP addresses in their short form."""
    found = set()
    for kind, name in (certificate or {}).get("subjectAltName", ()):
        if kind == "IP Address":
            found.add(_short(name))
        elif kind in ("DNS", "email", "URI"):
            found.add(name)
    return found


def _short(text: str) -> str:
    try:
        return str(ip_address(text.strip()))
    except ValueError:
        return text


def is_allowed(config: TlsConfig, certificate: Any) -> bool:
    """Whether a client with this certificate, which was verified already, may ask."""
    return config.client_allowed_sans is None or not config.client_allowed_sans.isdisjoint(
        names_of(certificate)
    )
