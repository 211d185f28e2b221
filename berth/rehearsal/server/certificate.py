"""The server's certificate: made once per rehearsal, signed by itself, for the addresses of loopback.

A certificate there must be: client-go reads credentials from a kubeconfig only for servers with https
(``IsConfigTransportTLS``), so that over plain HTTP kubectl would come without its token. It is made as the control
plane's are, with the `openssl` program (OpenSSL 1.1.1 or newer, or LibreSSL), in one run of about 20 ms.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from berth.core.errors import LocalError

DAYS = 3650
TIMEOUT = 60.0
#: Seconds that the clock of a file system may be ahead of the system's.
_TOLERANCE = 1.0

#: It is the authority of its own: what clients trust is this one certificate. The extensions are those that clients
#: which hold to RFC 5280 to the letter (Python 3.13 and later do) ask of an authority and of a server.
_CONFIG = """\
[req]
distinguished_name = subject
prompt = no
x509_extensions = extensions
[subject]
CN = berth-rehearsal
[extensions]
basicConstraints = critical,CA:true,pathlen:0
keyUsage = critical,digitalSignature,keyCertSign
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1,IP:::1,DNS:localhost,DNS:kubernetes.default.svc
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The PEM files of a server: ``certificate`` is also what its clients trust, ``key`` is its user's alone."""

    certificate: Path
    key: Path


def ensure(directory: Path) -> Certificate:
    """The certificate in a directory, made where it is missing or out of force. The directory must be its user's alone.

    Raises:
        LocalError: the `openssl` program is missing, or fails.
    """
    made = Certificate(directory / "server.crt", directory / "server.key")
    if _is_in_force(made.certificate) and made.key.exists():
        return made
    program = shutil.which("openssl")
    if program is None:
        raise LocalError(
            "the program `openssl` is missing",
            why="the certificate of the rehearsal's server is made with it",
            hint="install the package openssl with your system's package manager",
        )
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        config, key, certificate = (Path(scratch) / name for name in ("config", "key", "crt"))
        config.write_text(_CONFIG, encoding="ascii")
        # Opened by us first: older versions of openssl would create it readable by the group.
        key.touch(mode=0o600)
        _run(
            program,
            *("req", "-new", "-x509", "-sha256", "-nodes", "-days", str(DAYS), "-config", str(config)),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve"),
            *("-keyout", str(key), "-out", str(certificate)),
        )
        # The certificate last: it is what says that the pair is complete.
        key.replace(made.key)
        certificate.replace(made.certificate)
    return made


def _is_in_force(certificate: Path) -> bool:
    """Whether a certificate is there that holds now: one that was made before the clock was set back does not yet."""
    try:
        age = time.time() - certificate.stat().st_mtime
    except OSError:
        return False
    return -_TOLERANCE <= age < (DAYS - 1) * 86400


def _run(program: str, *arguments: str) -> None:
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env={**os.environ, "OPENSSL_CONF": os.devnull},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalError("openssl did not run", why=str(error)) from error
    if done.returncode:
        raise LocalError("openssl failed", why=done.stderr.decode("utf-8", "replace").strip()[-500:])
