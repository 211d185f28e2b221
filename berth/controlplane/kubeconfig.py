"""Kubeconfig files: one for people, and one for each component."""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from berth.controlplane.paths import Layout
from berth.local.files import write_private

CONTEXT = "berth-local"


def write_admin(layout: Layout, server: str) -> None:
    """Write the administrator's kubeconfig, whole in one file, with the context `berth-local`, mode 0600.

    A plane whose name is not `default` gets `berth-local-NAME`, so that the files of two planes can be merged.
    """
    context = CONTEXT if layout.name == "default" else f"{CONTEXT}-{layout.name}"
    user = {
        "client-certificate-data": _encoded(layout.pki / "admin.crt"),
        "client-key-data": _encoded(layout.pki / "admin.key"),
    }
    cluster = {"server": server, "certificate-authority-data": _encoded(layout.pki / "ca.crt")}
    write_private(layout.kubeconfig, _document(context, cluster, user))


def write_component(layout: Layout, component: str, server: str) -> None:
    """Write the kubeconfig of a component; it names the key files instead of holding them."""
    user = {
        "client-certificate": str(layout.pki / f"{component}.crt"),
        "client-key": str(layout.pki / f"{component}.key"),
    }
    cluster = {"server": server, "certificate-authority": str(layout.pki / "ca.crt")}
    write_private(layout.config(component), _document(component, cluster, user))


def _document(context: str, cluster: dict[str, str], user: dict[str, str]) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": cluster}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
