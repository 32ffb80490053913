"""Certificates made for a test, by openssl: an authority, a server, clients."""

from __future__ import annotations

import subprocess
from pathlib import Path

from zonerss.plain import dataclass


@dataclass(frozen=True)
class Certificate:
    cert: Path
    key: Path


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def self_signed(directory: Path, name: str, sans: str = "IP:127.0.0.1,DNS:localhost") -> Certificate:
    """A certificate that is its own authority."""
    found = Certificate(directory / f"{name}.crt", directory / f"{name}.key")
    _openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", found.key, "-out", found.cert, "-days", "7", "-subj", f"/CN={name}"),
        *("-addext", f"subjectAltName={sans}"),
    )
    return found


def signed(directory: Path, name: str, by: Certificate, sans: str) -> Certificate:
    """A client's certificate that an authority has signed."""
    found = Certificate(directory / f"{name}.crt", directory / f"{name}.key")
    request, extensions = directory / f"{name}.csr", directory / f"{name}.ext"
    extensions.write_text(f"subjectAltName={sans}\nextendedKeyUsage=clientAuth\n")
    _openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", found.key, "-out", request, "-subj", f"/CN={name}"),
    )
    _openssl(
        *("x509", "-req", "-in", request, "-CA", by.cert, "-CAkey", by.key, "-CAcreateserial"),
        *("-out", found.cert, "-days", "7", "-extfile", extensions),
    )
    return found
