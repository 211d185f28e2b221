"""Keys and certificates of a control plane.

They are made with the `openssl` program (OpenSSL 1.1.1 or newer, or LibreSSL), not with the `cryptography` package:
berth would need that package for nothing else, and a plain `pip install berth` on a machine that has Go shall be enough
to start a control plane. No machine-wide openssl.cnf is read, so that local policy cannot change what we make.

Everything is ECDSA on P-256, made once per control plane and valid for ten years: the CA key never leaves the state
directory, and deleting the control plane is how its keys are revoked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from berth.core.errors import LocalError

DAYS = 3650
TIMEOUT = 60.0

_CONFIG = """\
[req]
distinguished_name = subject
prompt = no
[subject]
{subject}
[extensions]
{extensions}
"""

_CA = """\
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""

_LEAF = """\
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = {usage}
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a certificate speaks for: ``user`` is the common name, ``group`` the organisation; ``hosts`` for servers."""

    file: str
    user: str
    group: str = ""
    hosts: tuple[str, ...] = ()


SERVER_HOSTS = (
    "IP:127.0.0.1",
    "IP:10.96.0.1",
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
)

#: Every certificate of the cluster's CA. The group of `admin` is the one that RBAC lets do everything.
IDENTITIES = (
    Identity("apiserver", "kube-apiserver", hosts=SERVER_HOSTS),
    Identity("admin", "berth-admin", "system:masters"),
    Identity("kube-controller-manager", "system:kube-controller-manager"),
    Identity("kube-scheduler", "system:kube-scheduler"),
    Identity("kwok", "berth:kwok"),
    Identity("provisioner", "berth:provisioner"),
    Identity("kubelet", "berth:kubelet", hosts=("IP:127.0.0.1", "DNS:localhost")),
)

#: etcd has a CA of its own, as with kubeadm: a client of the API server must not be able to go past it.
ETCD_IDENTITIES = (
    Identity("etcd", "etcd", hosts=("IP:127.0.0.1", "DNS:localhost")),
    Identity("apiserver-etcd", "kube-apiserver"),
)


def ensure(directory: Path) -> None:
    """Make whatever is missing: two CAs, their certificates, and the key that signs service account tokens.

    What is there is kept, so that a stopped plane starts with the keys that its kubeconfig names. Raises LocalError.
    """
    program = shutil.which("openssl")
    if program is None:
        raise LocalError(
            "the program `openssl` is missing",
            why="the control plane's certificates are made with it",
            hint="install the package openssl with your system's package manager",
        )
    maker = _Maker(program, directory)
    maker.authority("ca", "berth-local")
    for identity in IDENTITIES:
        maker.leaf(identity, "ca")
    maker.authority("etcd-ca", "berth-local-etcd")
    for identity in ETCD_IDENTITIES:
        maker.leaf(identity, "etcd-ca")
    maker.signing_key("service-account")


@dataclass(frozen=True, slots=True)
class _Maker:
    program: str
    directory: Path

    def authority(self, name: str, user: str) -> None:
        key, certificate = self._pair(name)
        if certificate.exists():
            return
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            config = self._config(Path(scratch), Identity(name, user), _CA)
            fresh = self._key(Path(scratch))
            made = Path(scratch) / "crt"
            self._run(
                *("req", "-new", "-x509", "-sha256", "-days", str(DAYS), "-config", str(config)),
                *("-extensions", "extensions", "-key", str(fresh), "-out", str(made)),
            )
            # The certificate last: it is what says that the pair is complete.
            fresh.replace(key)
            made.replace(certificate)

    def leaf(self, identity: Identity, authority: str) -> None:
        key, certificate = self._pair(identity.file)
        if certificate.exists():
            return
        ca_key, ca_certificate = self._pair(authority)
        usage = "serverAuth,clientAuth" if identity.hosts else "clientAuth"
        extensions = _LEAF.format(usage=usage)
        if identity.hosts:
            extensions += f"subjectAltName = {','.join(identity.hosts)}\n"
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            config = self._config(Path(scratch), identity, extensions)
            fresh = self._key(Path(scratch))
            request, made = Path(scratch) / "csr", Path(scratch) / "crt"
            self._run("req", "-new", "-sha256", "-config", str(config), "-key", str(fresh), "-out", str(request))
            self._run(
                *("x509", "-req", "-sha256", "-days", str(DAYS), "-in", str(request), "-out", str(made)),
                *("-CA", str(ca_certificate), "-CAkey", str(ca_key)),
                *("-set_serial", str(int.from_bytes(os.urandom(15), "big"))),
                *("-extfile", str(config), "-extensions", "extensions"),
            )
            fresh.replace(key)
            made.replace(certificate)

    def signing_key(self, name: str) -> None:
        private, public = self.directory / f"{name}.key", self.directory / f"{name}.pub"
        if public.exists():
            return
        with tempfile.TemporaryDirectory(dir=self.directory) as scratch:
            fresh, made = self._key(Path(scratch)), Path(scratch) / "pub"
            self._run("ec", "-in", str(fresh), "-pubout", "-out", str(made))
            fresh.replace(private)
            made.replace(public)

    def _pair(self, name: str) -> tuple[Path, Path]:
        return self.directory / f"{name}.key", self.directory / f"{name}.crt"

    def _key(self, scratch: Path) -> Path:
        key = scratch / "key"
        # Opened by us first: older versions of openssl would create it readable by the group.
        os.close(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
        key.chmod(0o600)
        return key

    def _config(self, scratch: Path, identity: Identity, extensions: str) -> Path:
        subject = f"CN = {identity.user}"
        if identity.group:
            subject = f"O = {identity.group}\n{subject}"
        config = scratch / "cnf"
        config.write_text(_CONFIG.format(subject=subject, extensions=extensions), encoding="utf-8")
        return config

    def _run(self, *arguments: str) -> None:
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "OPENSSL_CONF": os.devnull}
        try:
            done = subprocess.run(
                [self.program, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LocalError(f"{self.program} {arguments[0]} did not run", why=str(error)) from error
        if done.returncode:
            raise LocalError(
                f"{self.program} {arguments[0]} failed with exit code {done.returncode}",
                where=str(self.directory),
                why="; ".join(done.stdout.strip().splitlines()[-3:]),
            )
