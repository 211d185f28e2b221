"""Where an API server is, who we are to it, and the TLS between."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Credentials(Protocol):
    """What goes into the Authorization header, and how to renew it."""

    def headers(self) -> Mapping[str, str]:
        """The headers for the next request; a token read from a file is read again when it may have changed."""

    def renew(self) -> bool:
        """Get fresh ones after a 401; False when there is nothing to renew."""


class Anonymous:
    """No header: the client certificate says who we are, or nobody does."""

    def headers(self) -> Mapping[str, str]:
        """None."""
        return {}

    def renew(self) -> bool:
        """Nothing to renew."""
        return False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API server is and how to talk to it; certificates and keys are PEM, never files.

    ``authority`` None means the machine's own trust store. ``identity`` are the headers of impersonation, a name
    repeated where it has several values.
    """

    server: str
    authority: str | None = None
    insecure: bool = False
    tls_server_name: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)
    credentials: Credentials = field(default_factory=Anonymous, repr=False)
    identity: tuple[tuple[str, str], ...] = ()

    def tls(self) -> ssl.SSLContext:
        """A context that verifies by ``authority``, unless told not to, and shows the client certificate.

        It is not made by ``ssl.create_default_context``: since Python 3.13 that one demands extensions that the
        authorities of many clusters do not have.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self.authority is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=self.authority)
        if self.certificate:
            _load_pair(context, self.certificate.rstrip("\n") + "\n" + self.key)
        return context


def _load_pair(context: ssl.SSLContext, pem: str) -> None:
    """Give OpenSSL a certificate and key; it takes them only from a file, so that file lives in memory where it can.

    The empty password keeps OpenSSL from asking for one on the terminal.
    """
    if hasattr(os, "memfd_create") and os.path.exists("/proc/self/fd"):
        descriptor = os.memfd_create("berth-client-certificate")
        with os.fdopen(descriptor, "w") as memory:
            memory.write(pem)
            memory.flush()
            context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
        return
    from tempfile import NamedTemporaryFile

    # Mode 0600 from its first moment, and gone after the load.
    with NamedTemporaryFile("w", prefix="berth-", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name, password="")
