"""Contexts from a configuration; files that change, and files that break; names of clients."""

from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.unit.serve.certificates import self_signed

from zonerss.errors import UsageError
from zonerss.plain import replace
from zonerss.serve.tls import Certificates, is_allowed, make_context, names_of
from zonerss.serve.webconfig import TlsConfig


@pytest.fixture
def config(tmp_path: Path) -> TlsConfig:
    made = self_signed(tmp_path, "server")
    return TlsConfig(str(made.cert), str(made.key))


def test_a_context_is_as_the_configuration_has_it(config: TlsConfig) -> None:
    context = make_context(config)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_NONE
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    other = make_context(
        replace(
            config,
            min_version="TLSv1_3",
            ciphers=("ECDHE-ECDSA-AES128-GCM-SHA256",),
            curve="secp384r1",
            prefer_server_ciphers=False,
            client_auth_type="RequireAndVerifyClientCert",
            client_ca_file=config.cert_file,
        )
    )
    assert other.minimum_version == ssl.TLSVersion.TLSv1_3
    assert other.verify_mode == ssl.CERT_REQUIRED
    assert not other.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    older = {one["name"] for one in other.get_ciphers() if one["protocol"] != "TLSv1.3"}
    assert older == {"ECDHE-ECDSA-AES128-GCM-SHA256"}
    assert len(other.get_ca_certs()) == 1


def test_certificates_that_are_no_files(config: TlsConfig, tmp_path: Path) -> None:
    """A handshake with them, in memory; nothing of them is left open."""
    cert, key = (Path(name).read_text() for name in config.files)
    inline = TlsConfig(cert=cert, key=key, client_ca=cert, client_auth_type="RequireAndVerifyClientCert")
    before = os.listdir("/proc/self/fd")
    serving = make_context(inline)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    asking = ssl.create_default_context(cadata=cert)
    asking.check_hostname = False
    asking.load_cert_chain(*config.files)
    shake_hands(serving, asking)
    stranger = self_signed(tmp_path, "stranger")
    asking.load_cert_chain(stranger.cert, stranger.key)
    with pytest.raises(ssl.SSLError):
        shake_hands(serving, asking)
    shake_hands(make_context(replace(inline, client_auth_type="RequestClientCert")), asking)
    for broken, said in (
        ({"key": cert}, "certificate of the web configuration and key of the web configuration:"),
        ({"key": cert, "cert_file": config.cert_file}, r"server\.crt and key of the web configuration:"),
        ({"client_ca": "x"}, "client_ca:"),
        ({"client_ca": "Zürich"}, "client_ca:"),
    ):
        with pytest.raises(UsageError, match=said):
            make_context(replace(inline, **broken))
    commented = make_context(replace(inline, client_ca=f"Zürich\n{cert}"))
    assert len(commented.get_ca_certs()) == 1


def shake_hands(serving: ssl.SSLContext, asking: ssl.SSLContext) -> None:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [serving.wrap_bio(there, back, server_side=True), asking.wrap_bio(back, there)]
    for _ in range(8):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_each_curve_and_cipher_is_one_of_openssls(config: TlsConfig) -> None:
    from zonerss.serve.webconfig import _CIPHERS, _CURVES

    for curve in filter(None, _CURVES.values()):
        make_context(replace(config, curve=curve))
    known = {one["name"] for one in ssl.create_default_context().get_ciphers()}
    assert set(_CIPHERS.values()) - known <= {name for name in _CIPHERS.values() if name.endswith("-SHA")}
    make_context(replace(config, ciphers=tuple(_CIPHERS.values())))


def test_what_cannot_be_used_is_named(config: TlsConfig, tmp_path: Path) -> None:
    other = self_signed(tmp_path, "other")
    with pytest.raises(UsageError, match="KEY_VALUES_MISMATCH"):
        make_context(replace(config, key_file=str(other.key)))
    with pytest.raises(UsageError, match=r"nowhere\.crt.*No such file"):
        make_context(replace(config, cert_file=str(tmp_path / "nowhere.crt")))
    with pytest.raises(UsageError, match="cannot use client_ca_file"):
        make_context(replace(config, client_ca_file=config.key_file))
    with pytest.raises(UsageError, match="OpenSSL does not take"):
        make_context(replace(config, ciphers=("NONE-OF-OURS",)))


def test_a_key_with_a_password_asks_nobody(config: TlsConfig, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", config.key_file, "-out", str(locked), "-passout", "pass:x"],
        check=True,
    )
    with pytest.raises(UsageError, match="encrypted"):
        make_context(replace(config, key_file=str(locked)))


def test_changed_files_are_read_again_and_broken_ones_leave_the_old(
    config: TlsConfig, tmp_path: Path
) -> None:
    now, said = [0.0], list[str]()
    certificates = Certificates(config, said.append, lambda: now[0])
    first = certificates.context()
    assert certificates.context() is first

    made = self_signed(tmp_path, "new")
    os.replace(made.cert, config.cert_file)
    assert certificates.context() is first  # looked at within the last second
    now[0] += 1.0
    assert certificates.context() is first  # its key is not there yet
    assert [one for one in said if "still used" in one] == said
    assert len(said) == 1

    os.replace(made.key, config.key_file)
    now[0] += 1.0
    second = certificates.context()
    assert second is not first
    assert "was read again" in said[-1]

    os.unlink(config.cert_file)
    for _ in range(3):
        now[0] += 1.0
        assert certificates.context() is second
    assert len(said) == 3


def test_names_of_a_client_are_compared_as_a_whole(config: TlsConfig) -> None:
    certificate = {
        "subjectAltName": (
            ("DNS", "prometheus.example"),
            ("email", "ops@example"),
            ("IP Address", "10.0.0.1"),
            ("IP Address", "2001:DB8:0:0:0:0:0:1\n"),
            ("URI", "spiffe://example/prometheus"),
            ("DirName", ()),
        )
    }
    names = {"prometheus.example", "ops@example", "10.0.0.1", "2001:db8::1", "spiffe://example/prometheus"}
    assert names_of(certificate) == names
    for name in names:
        assert is_allowed(replace(config, client_allowed_sans=frozenset((name, "x"))), certificate)
    assert not is_allowed(
        replace(config, client_allowed_sans=frozenset(("example", "10.0.0.10"))), certificate
    )
    assert not is_allowed(replace(config, client_allowed_sans=frozenset(("a",))), None)
    assert is_allowed(config, None)
