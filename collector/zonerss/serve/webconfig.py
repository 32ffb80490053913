"""The file of --web.config.file: who may ask, in the format of the exporter-toolkit of Prometheus. Pure.

https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md (read 2026-11). A key that is not
known is refused: a mistyped one must not leave a door open. What OpenSSL does another way than Go is refused too, or
is a word: a sentence for the log.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import yaml

from zonerss.errors import UsageError, did_you_mean, nearest
from zonerss.plain import dataclass, field

_VERSIONS = {"TLS10": "TLSv1", "TLS11": "TLSv1_1", "TLS12": "TLSv1_2", "TLS13": "TLSv1_3"}
"""As Go has them, and as ssl.TLSVersion has them."""
_CIPHERS = {
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
}
_CIPHERS_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": None}
"""Those that ssl.SSLContext.set_ecdh_curve() takes by the name that OpenSSL has for them."""
_UNVERIFIED = ("RequireAnyClientCert", "RequireClientCert")
_OPEN = ("NoClientCert", "RequestClientCert")
"""Certificates are looked at by nobody."""
_CLIENT_AUTH = (*_OPEN, "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
_HEADERS = {
    "Content-Security-Policy": None,
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-Content-Type-Options": ("nosniff",),
    "X-XSS-Protection": None,
    "Strict-Transport-Security": None,
}
"""Headers that may be added, and values that they may have; None: any."""
_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_HASHES = re.compile(r"\$2[aby]\$\S*")
"""In names of keys, by mistake."""
_COSTS = range(4, 18)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_USERS = 1000


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """tls_server_config."""

    cert_file: str | None = None
    """None: what the server shows is ``cert``."""
    key_file: str | None = None
    """None: it is ``key``."""
    cert: str | None = None
    """In PEM, as client_ca is."""
    key: str | None = field(default=None, repr=False)
    client_ca: str | None = None
    client_auth_type: str = "NoClientCert"
    client_ca_file: str | None = None
    client_allowed_sans: frozenset[str] | None = None
    """Names, of which a client's certificate must have one; None: any will do."""
    min_version: str = "TLSv1_2"
    """A member of ssl.TLSVersion."""
    max_version: str = "TLSv1_3"
    ciphers: tuple[str, ...] = ()
    """Up to TLS 1.2, as OpenSSL calls them; none: OpenSSL's own."""
    prefer_server_ciphers: bool = True
    curve: str | None = None
    """As OpenSSL calls it; None: OpenSSL's own."""

    @property
    def files(self) -> tuple[str, ...]:
        """What is to be read anew when it changes."""
        return tuple(filter(None, (self.cert_file, self.key_file, self.client_ca_file)))

    @property
    def cert_name(self) -> str:
        """What its certificate is called."""
        return self.cert_file or "of the web configuration"

    @property
    def key_name(self) -> str:
        """What its key is called."""
        return self.key_file or "of the web configuration"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """rate_limit: a bucket of tokens, of which each request takes one."""

    interval_seconds: float
    """After which there is one more."""
    burst: int
    """As many as there can be."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """All of the file."""

    tls: TlsConfig | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    """Hashes of passwords (bcrypt); none: nobody has to name himself."""
    rate_limit: RateLimit | None = None
    words: tuple[str, ...] = ()
    """Sentences about what was taken otherwise than it may have been meant."""


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key that is there twice, of which the last would hold."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """:raises yaml.YAMLError: a key is there twice"""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if any(key in keys[:at] for at, key in enumerate(keys)):
            raise yaml.constructor.ConstructorError(None, None, "a key is there twice", node.start_mark)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """:raises yaml.YAMLError: a value is not what its tag says, for which PyYAML has errors of all kinds"""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as err:
            problem = "a value is not of the kind that it is said to be"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from err


class _Section:
    """A mapping of the file, of which each key is taken once; what is left then is not known."""

    def __init__(self, name: str, value: object, path: str) -> None:
        self._name, self.path = name, path
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.wrong(None, "is no mapping of keys to values")
        for key in value:
            if not isinstance(key, str):
                raise self.wrong(None, f"has a key that is no text: {key!r}")
        self._left = dict(value)
        self._known: list[str] = []

    def wrong(self, key: str | None, what: str) -> UsageError:
        """The error about a key."""
        place = _HASHES.sub("(a hash)", ".".join(part for part in (self._name, key) if part))
        return UsageError(f"{self.path}: {place or 'the file'} {what}")

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of a key, of a type; the default where it is missing or null."""
        self._known.append(key)
        value = self._left.pop(key, None)
        if value is None:
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            is_shown = kind is not dict and key not in _SECRET and isinstance(value, (str, int, float))
            raise self.wrong(key, f"{f'is {value!r}: it ' if is_shown else ''}takes {_KINDS[kind]}")
        return value

    def texts(self, key: str) -> list[str] | None:
        """A list of texts; None: it is not there."""
        found = self.take(key, list)
        if found is None:
            return None
        if not all(isinstance(one, str) for one in found):
            raise self.wrong(key, "takes a list of texts")
        return list(found)

    def choice(self, key: str, known: Mapping[str, str], default: str) -> str:
        """One of some words."""
        found = str(self.take(key, str, default))
        if found not in known:
            raise self.wrong(key, f"is {found!r}: {_say_one_of(found, known)}")
        return found

    def end(self) -> None:
        """Nothing else is known here."""
        for key in self._left:
            hint = did_you_mean(nearest(key, self._known))
            raise self.wrong(key, f"is not known{'; ' + hint if hint else ''}")


_SECRET = ("cert", "key", "client_ca")
"""Keys whose values are in no error; nor are those of mappings: errors go into logs, which others read."""
_KINDS = {str: "text", bool: "true or false", list: "a list", dict: "a mapping", int: "a whole number"}


def _say_one_of(word: str, known: Collection[str]) -> str:
    return did_you_mean(nearest(word, known)) or f"say one of {', '.join(known)}"


def parse_web_config(content: bytes, path: str) -> WebConfig:
    """
    What the file says. Names of files in it are relative to its own directory.

    :raises UsageError: it is not as the format has it; names the file, the section and the key
    """
    try:
        found = yaml.load(content, _Loader)
    except (yaml.YAMLError, RecursionError) as err:
        raise UsageError(f"{path} is no YAML: {_said(err)}") from err
    whole = _Section("", found, path)
    words: list[str] = []
    config = WebConfig(
        tls=_tls(_Section("tls_server_config", whole.take("tls_server_config", dict), path), words.append),
        headers=_http(
            _Section("http_server_config", whole.take("http_server_config", dict), path), words.append
        ),
        users=_users(whole, words.append),
        rate_limit=_rate(_Section("rate_limit", whole.take("rate_limit", dict), path)),
        words=tuple(words),
    )
    whole.end()
    return config


def _said(err: yaml.YAMLError | RecursionError) -> str:
    """What is wrong and where, without what is there: that can be a hash or a key."""
    if isinstance(err, yaml.MarkedYAMLError):
        mark = err.problem_mark or err.context_mark
        problem = str(err.problem or err.context)
        if isinstance(err, (yaml.composer.ComposerError, yaml.constructor.ConstructorError)):
            problem = re.split(r"['\":]", problem)[0].strip()  # names of anchors and tags come behind
        return f"{problem}, line {mark.line + 1}, column {mark.column + 1}" if mark else problem
    if isinstance(err, yaml.reader.ReaderError):
        return f"{err.reason}, position {err.position}"
    return "it is nested too deeply" if isinstance(err, RecursionError) else type(err).__name__


def _tls(section: _Section, say: Callable[[str], None]) -> TlsConfig | None:
    cert, key, authority = (_here_or_there(section, name) for name in ("cert", "key", "client_ca"))
    auth = str(section.take("client_auth_type", str, "NoClientCert"))
    if auth in _UNVERIFIED:
        raise section.wrong(
            "client_auth_type",
            f"is {auth}: Python's ssl requires no certificate without verifying it; say RequireAndVerifyClientCert, or "
            "VerifyClientCertIfGiven",
        )
    if auth not in _CLIENT_AUTH:
        raise section.wrong("client_auth_type", f"is {auth!r}: {_say_one_of(auth, _CLIENT_AUTH)}")
    sans = section.texts("client_allowed_sans")
    minimum = section.choice("min_version", _VERSIONS, "TLS12")
    maximum = section.choice("max_version", _VERSIONS, "TLS13")
    if list(_VERSIONS).index(minimum) > list(_VERSIONS).index(maximum):
        raise section.wrong("min_version", f"is {minimum}, which is above max_version")
    ciphers = _ciphers(section, say)
    prefer = bool(section.take("prefer_server_cipher_suites", bool, True))
    curve = _curve(section, say)
    section.end()
    if not (cert.is_given or key.is_given or authority.is_given or auth != "NoClientCert"):
        return None
    for name, value in (("cert_file", cert), ("key_file", key)):
        if not value.is_given:
            raise section.wrong(name, "is missing")
    if auth == "RequestClientCert":
        say(f"{section.path}: client_auth_type is {auth}: anybody is let in; no certificate is asked for")
    if authority.is_given and auth == "NoClientCert":
        raise section.wrong(
            "client_auth_type", "is missing: client_ca_file alone asks no client for a certificate"
        )
    if auth not in _OPEN and not authority.is_given:
        raise section.wrong(
            "client_ca_file", f"is missing: {auth} needs to know who signs certificates of clients"
        )
    if sans is not None and auth != "RequireAndVerifyClientCert":
        raise section.wrong("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")
    return TlsConfig(
        cert_file=cert.file,
        key_file=key.file,
        cert=cert.text,
        key=key.text,
        client_ca=authority.text,
        client_auth_type=auth,
        client_ca_file=authority.file,
        client_allowed_sans=None if sans is None else frozenset(sans),
        min_version=_VERSIONS[minimum],
        max_version=_VERSIONS[maximum],
        ciphers=ciphers,
        prefer_server_ciphers=prefer,
        curve=curve,
    )


class _Pem(NamedTuple):
    """A certificate or a key: where it is, or itself."""

    file: str | None
    text: str | None

    @property
    def is_given(self) -> bool:
        """One of them is there."""
        return self.file is not None or self.text is not None


def _here_or_there(section: _Section, name: str) -> _Pem:
    text, file = section.take(name, str), section.take(f"{name}_file", str)
    if text and file:
        raise section.wrong(name, f"is there, and so is {name}_file: one of them is enough")
    if text and "-----BEGIN " not in text:
        raise section.wrong(name, f"is no PEM, which begins with -----BEGIN; a file is named by {name}_file")
    return _Pem(_beside(section.path, file) if file else None, text or None)


def _ciphers(section: _Section, say: Callable[[str], None]) -> tuple[str, ...]:
    found = []
    for name in section.texts("cipher_suites") or ():
        if name in _CIPHERS_13:
            say(f"{section.path}: cipher_suites: {name} is of TLS 1.3, which takes all of its own anyway")
        elif name in _CIPHERS:
            found.append(_CIPHERS[name])
        else:
            raise section.wrong("cipher_suites", f"has {name!r}: {_say_one_of(name, _CIPHERS)}")
    return tuple(found)


def _curve(section: _Section, say: Callable[[str], None]) -> str | None:
    names = section.texts("curve_preferences") or []
    for name in names:
        if name not in _CURVES:
            raise section.wrong("curve_preferences", f"has {name!r}: {_say_one_of(name, _CURVES)}")
    curve = _CURVES[names[0]] if len(names) == 1 else None
    if names and curve is None:
        say(
            f"{section.path}: curve_preferences: Python's ssl takes one curve, and not X25519; otherwise OpenSSL "
            "chooses by its own order: X25519, P-256 and others"
        )
    return curve


def _http(section: _Section, say: Callable[[str], None]) -> Mapping[str, str]:
    if section.take("http2", bool) is True:
        say(f"{section.path}: http2 is not spoken: every client falls back to HTTP/1.1")
    headers = section.take("headers", dict, {})
    section.end()
    found = {}
    for name, value in headers.items():
        place = f"headers.{name}"
        if name not in _HEADERS:
            raise section.wrong(place, f"is not known: {_say_one_of(str(name), tuple(_HEADERS))}")
        if not isinstance(value, str) or any(ord(c) < 32 or ord(c) > 126 for c in value):
            raise section.wrong(place, "takes text of printable ASCII characters")
        allowed = _HEADERS[name]
        if value and allowed is not None and value not in allowed:
            raise section.wrong(place, f"is {value!r}: say {' or '.join(allowed)}")
        if value:
            found[name] = value
    return found


def _users(whole: _Section, say: Callable[[str], None]) -> Mapping[str, str]:
    users, costs = whole.take("basic_auth_users", dict, {}), set()
    if len(users) > _MOST_USERS:
        raise whole.wrong("basic_auth_users", f"are {len(users)}: at most {_MOST_USERS} are taken")
    for name, value in users.items():
        if not isinstance(name, str) or ":" in name:
            raise whole.wrong(
                "basic_auth_users", "has a name that cannot be one: names are texts without a colon"
            )
        if _HASHES.search(name):
            raise whole.wrong("basic_auth_users", "has a hash where a name is to be: it takes NAME: HASH")
        match = _BCRYPT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise whole.wrong(
                f"basic_auth_users.{name}", "is no hash by bcrypt: make one with `htpasswd -nBC 10 ''`"
            )
        costs.add(int(match[1]))
        if int(match[1]) not in _COSTS:
            raise whole.wrong(
                f"basic_auth_users.{name}",
                f"is a hash of cost {int(match[1])}: {_COSTS[0]} to {_COSTS[-1]} are taken, 10 is usual",
            )
    if len(costs) > 1:
        say(
            f"{whole.path}: basic_auth_users: hashes are of different costs ({', '.join(map(str, sorted(costs)))}), so "
            "how long a check takes tells whether a name is known: make all of one cost"
        )
    return dict(users)


def _rate(section: _Section) -> RateLimit | None:
    interval, burst = section.take("interval", str, "0s"), section.take("burst", int, 0)
    section.end()
    match = _DURATION.fullmatch("0s" if interval == "0" else interval)
    if match is None:
        raise section.wrong("interval", f"is {interval!r}: it takes a duration as in 100ms, 1s or 2m")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds == 0:
        return None
    if burst < 1:
        raise section.wrong("burst", f"is {burst}: with an interval it takes a whole number of at least 1")
    return RateLimit(seconds, burst)


def _beside(path: str, name: str) -> str:
    return os.path.join(os.path.dirname(path), name)
