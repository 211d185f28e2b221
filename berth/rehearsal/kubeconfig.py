"""The kubeconfig of a rehearsal."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from berth.local.files import write_private
from berth.rehearsal import context
from berth.rehearsal.paths import Layout


def write(layout: Layout, server: str, token: str, authority: str) -> None:
    """Write the administrator's kubeconfig, whole in one file, with the rehearsal's own context, mode 0600.

    ``authority`` is the certificate, in PEM, that signs the server's; empty where it speaks plain HTTP.
    """
    name = context(layout.name)
    cluster: dict[str, Any] = {"server": server}
    if authority:
        cluster["certificate-authority-data"] = b64encode(authority.encode("ascii")).decode("ascii")
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    # JSON is YAML, and needs no library that would make every start slower.
    write_private(layout.kubeconfig, json.dumps(document, indent=2) + "\n")
