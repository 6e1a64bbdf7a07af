"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


def make_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for the loopback address, whose common name is `name`, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this machine, which makes the test's certificate")
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    return certificate, key


def trusting(certificate: Path) -> ssl.SSLContext:
    """A client's context that accepts this certificate and no other."""
    return ssl.create_default_context(cafile=str(certificate))
