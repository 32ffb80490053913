"""The web configuration: what it takes, what it refuses and by which words, what it takes otherwise."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.errors import UsageError
from zonerss.serve.webconfig import RateLimit, TlsConfig, WebConfig, parse_web_config

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"


def parse(text: str) -> WebConfig:
    return parse_web_config(text.encode(), "/etc/zonerss/web.yml")


@pytest.mark.parametrize(
    "text", ["", "{}", "---\n", "tls_server_config: {}", "basic_auth_users:\nrate_limit: {}\n"]
)
def test_nothing_asks_for_nothing(text: str) -> None:
    assert parse(text) == WebConfig()


def test_all_of_it() -> None:
    config = parse(
        f"""
        tls_server_config:
          cert_file: server.crt
          key_file: /keys/server.key
          client_auth_type: RequireAndVerifyClientCert
          client_ca_file: ca.crt
          client_allowed_sans: [prometheus.example, 10.0.0.1]
          min_version: TLS12
          max_version: TLS13
          cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]
          prefer_server_cipher_suites: false
          curve_preferences: [CurveP384]
        http_server_config:
          http2: false
          headers:
            X-Frame-Options: deny
            Strict-Transport-Security: max-age=31536000
            X-XSS-Protection: ""
        basic_auth_users:
          alice: {HASH}
        rate_limit:
          interval: 1m
          burst: 20
        """
    )
    assert config == WebConfig(
        tls=TlsConfig(
            cert_file="/etc/zonerss/server.crt",
            key_file="/keys/server.key",
            client_auth_type="RequireAndVerifyClientCert",
            client_ca_file="/etc/zonerss/ca.crt",
            client_allowed_sans=frozenset(("prometheus.example", "10.0.0.1")),
            ciphers=("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
            prefer_server_ciphers=False,
            curve="secp384r1",
        ),
        headers={"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=31536000"},
        users={"alice": HASH},
        rate_limit=RateLimit(60.0, 20),
    )


CERT = "cert_file: a, key_file: b"


def test_certificates_within_the_file() -> None:
    pem = {name: f"-----BEGIN {name}" for name in ("cert", "key", "client_ca")}
    auth = "client_auth_type: RequireAndVerifyClientCert"
    tls = parse(f"tls_server_config: {{{', '.join(f'{k}: {v}' for k, v in pem.items())}, {auth}}}").tls
    assert tls == TlsConfig(**pem, client_auth_type="RequireAndVerifyClientCert")
    assert tls.files == ()
    assert "BEGIN key" not in repr(tls)


def test_certificates_that_are_asked_for_and_not_needed() -> None:
    config = parse(f"tls_server_config: {{{CERT}, client_auth_type: RequestClientCert}}")
    assert config.tls is not None
    assert config.tls.client_auth_type == "RequestClientCert"
    assert config.words == (
        "/etc/zonerss/web.yml: client_auth_type is RequestClientCert: anybody is let in; no certificate is asked for",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tls_server_conf: {}", "tls_server_conf is not known; did you mean tls_server_config?"),
        (
            "tls_server_config: {cert_fil: a}",
            r"tls_server_config.cert_fil is not known; did you mean cert_file",
        ),
        ("http_server_config: {http3: true}", "http_server_config.http3 is not known"),
        ("rate_limit: {interval: 1s, burts: 2}", "rate_limit.burts is not known; did you mean burst?"),
        ("basic_auth_users: {a: secret}", "basic_auth_users.a is no hash by bcrypt"),
        ("basic_auth_users: {a: 5}", "basic_auth_users.a is no hash by bcrypt"),
        (f"basic_auth_users: {{'a:b': {HASH}}}", "without a colon"),
        (f"basic_auth_users: {{7: {HASH}}}", "names are texts"),
        (f"basic_auth_users: {{a: '{HASH.replace('$10$', '$31$')}'}}", "of cost 31: 4 to 17 are taken"),
        (f"basic_auth_users:\n  a: {HASH}\n  a: {HASH}", "a key is there twice, line 2, column 3"),
        ("tls_server_config: {cert_file: a}", "tls_server_config.key_file is missing"),
        ("tls_server_config: {key_file: a}", "tls_server_config.cert_file is missing"),
        ("tls_server_config: {cert: server.crt}", "cert is no PEM.*; a file is named by cert_file"),
        ("tls_server_config: {key: '-----BEGIN x', key_file: a}", "one of them is enough"),
        ("tls_server_config: {cert: '-----BEGIN x'}", "tls_server_config.key_file is missing"),
        (f"tls_server_config: {{{CERT}, client_ca_file: c}}", "client_auth_type is missing"),
        (
            f"tls_server_config: {{{CERT}, client_auth_type: RequireAndVerifyClientCert}}",
            "client_ca_file is missing",
        ),
        (
            f"tls_server_config: {{{CERT}, client_auth_type: RequireAnyClientCert}}",
            "requires no certificate without verifying it",
        ),
        (
            f"tls_server_config: {{{CERT}, client_auth_type: RequireAndVerify}}",
            "did you mean RequireAndVerifyClientCert",
        ),
        (
            f"tls_server_config: {{{CERT}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: c, "
            "client_allowed_sans: [a]}",
            "client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert",
        ),
        (f"tls_server_config: {{{CERT}, min_version: TLS14}}", "min_version is 'TLS14': did you mean TLS1"),
        (f"tls_server_config: {{{CERT}, min_version: TLS13, max_version: TLS12}}", "above max_version"),
        (f"tls_server_config: {{{CERT}, cipher_suites: [RC4]}}", "cipher_suites has 'RC4'"),
        (f"tls_server_config: {{{CERT}, cipher_suites: RC4}}", "cipher_suites is 'RC4': it takes a list"),
        (f"tls_server_config: {{{CERT}, curve_preferences: [P256]}}", "curve_preferences has 'P256'"),
        (f"tls_server_config: {{{CERT}, prefer_server_cipher_suites: 1}}", "it takes true or false"),
        ("tls_server_config: [a]", "tls_server_config takes a mapping"),
        ("[a, b]", "the file is no mapping"),
        ("5: a", "has a key that is no text: 5"),
        ("http_server_config: {headers: {X-Own: a}}", "headers.X-Own is not known"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", "say deny or sameorigin"),
        ('http_server_config: {headers: {Content-Security-Policy: "a\\nb"}}', "printable ASCII"),
        ("rate_limit: {interval: soon, burst: 1}", "takes a duration"),
        ("rate_limit: {interval: 1s}", "burst is 0"),
        ("rate_limit: {interval: 1s, burst: true}", "burst is True: it takes a whole number"),
        ("a: [", "web.yml is no YAML"),
        ("a: !!python/object/apply:os.system [id]", "web.yml is no YAML"),
        ("\x00", "web.yml is no YAML: special characters are not allowed, position 0"),
        ("[" * 5000, "web.yml is no YAML: it is nested too deeply"),
        ('a:\n  b: !!int ""', "web.yml is no YAML: a value is not .*, line 2, column 6"),
        ("!!bool foo", "web.yml is no YAML: a value is not of the kind"),
        ("!!timestamp foo", "web.yml is no YAML: a value is not of the kind"),
        ("!!float foo", "web.yml is no YAML: a value is not of the kind"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        parse(text)
    assert str(refused.value).startswith("/etc/zonerss/web.yml")


KEY = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp"


@pytest.mark.parametrize(
    "text",
    [
        f"basic_auth_users: {{a: {HASH}, b: [}}",
        f"basic_auth_users:\n  a: {HASH}\n b: {HASH}",
        f'basic_auth_users: {{a: "{HASH}',
        f"basic_auth_users: a:{HASH}",
        f"basic_auth_users: [a, {HASH}]",
        f"basic_auth_users: {{'a:{HASH}': }}",
        f"basic_auth_users: {{{HASH}: a}}",
        f"basic_auth_users: {{{HASH}: a, {HASH}: a}}",
        f"basic_auth_users: {{a: *{HASH[4:]}}}",
        f"basic_auth_users: {{a: !{KEY} b}}",
        f"basic_auth_users: {{a: !!int {KEY}}}",
        f"basic_auth_users: {{a: !!binary {KEY}=}}",
        f"basic_auth_users: {HASH}",
        f"{HASH}: alice",
        f"alice:{HASH}:",
        f"tls_server_config: {{{HASH[:40]}: alice}}",
        f"http_server_config: {{headers: {{{HASH}: alice}}}}",
        f"tls_server_config: {{key: [{KEY}]}}",
        f"tls_server_config: {{cert: {{{KEY}: 1}}}}",
        f"tls_server_config: {{key: {KEY}}}",
        f"tls_server_config: {KEY}",
        f"tls_server_config:\n  key: |\n {KEY}\n",
        f"tls_server_config:\n  key: '{KEY}\n  cert: 'a'\n",
    ],
)
def test_no_hash_and_no_key_is_in_what_is_said(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(text)
    assert HASH[7:20] not in str(refused.value)
    assert KEY[:10] not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("http_server_config: {http2: true}", "falls back to HTTP/1.1"),
        (f"tls_server_config: {{{CERT}, curve_preferences: [X25519, CurveP256]}}", "takes one curve"),
        (f"tls_server_config: {{{CERT}, curve_preferences: [X25519]}}", "takes one curve, and not X25519"),
        (f"tls_server_config: {{{CERT}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}", "is of TLS 1.3"),
        (
            f"basic_auth_users: {{a: {HASH}, b: '{HASH.replace('$10$', '$12$')}'}}",
            "different costs (10, 12), so how long a check takes tells whether a name is known",
        ),
    ],
)
def test_what_is_taken_otherwise_is_said(text: str, word: str) -> None:
    (said,) = parse(text).words
    assert word in said


def test_of_hashes_of_one_cost_there_is_nothing_to_say() -> None:
    assert parse(f"basic_auth_users: {{a: {HASH}, b: {HASH}}}").words == ()


def test_without_a_rate_there_is_no_limit() -> None:
    assert parse("rate_limit: {interval: 0s, burst: 9}").rate_limit is None
    assert parse("rate_limit: {interval: 250ms, burst: 1}").rate_limit == RateLimit(0.25, 1)


@given(st.binary() | st.text().map(str.encode))
def test_any_file_is_taken_or_refused(content: bytes) -> None:
    with contextlib.suppress(UsageError):
        parse_web_config(content, "web.yml")
