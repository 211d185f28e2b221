"""Kubeconfig files: reading, merging as kubectl does, and the static kinds of credentials.

Users of kind ``exec`` and ``auth-provider`` are handed to the official loader, which is imported only then.
The rules of merging: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import binascii
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from berth.cluster.endpoint import Anonymous, Credentials, Endpoint
from berth.core.errors import TargetError
from berth.core.objects import Json

#: Libyaml reads eight times faster.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: How long a token read from a file is used before the file is read again; client-go takes a minute, too.
TOKEN_AGE = 60.0
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Entry:
    """One named cluster, user or context, and the file it came from, to which its relative paths refer."""

    body: Json = field(repr=False)
    file: Path


@dataclass(frozen=True, slots=True)
class KubeConfig:
    """Several files merged: the first one that names a cluster, user, context or current context wins."""

    files: tuple[Path, ...]
    current: str
    contexts: Mapping[str, Entry]
    clusters: Mapping[str, Entry]
    users: Mapping[str, Entry]

    def cluster_of(self, context: str) -> Entry:
        """The cluster that a context names; TargetError when the context names none that exists."""
        return self._part(context, "cluster", self.clusters)

    def user_of(self, context: str) -> Entry | None:
        """The user that a context names, None when it names none."""
        return self._part(context, "user", self.users) if self.contexts[context].body.get("user") else None

    def _part(self, context: str, kind: str, entries: Mapping[str, Entry]) -> Entry:
        entry = self.contexts[context]
        name = str(entry.body.get(kind) or "")
        if name not in entries:
            what = (
                f"context {context!r} names the {kind} {name!r}, which is not defined"
                if name
                else f"context {context!r} names no {kind}"
            )
            raise TargetError(what, where=str(entry.file), hint="kubectl config view shows what is defined")
        return entries[name]


def load(files: Sequence[Path]) -> KubeConfig:
    """Read and merge; files that do not exist are left out.

    Raises:
        TargetError: a file cannot be read, or is no kubeconfig.
    """
    parts: dict[str, dict[str, Entry]] = {"contexts": {}, "clusters": {}, "users": {}}
    current = ""
    found = []
    for file in files:
        body = _read(file)
        if body is None:
            continue
        found.append(file)
        current = current or str(body.get("current-context") or "")
        for kind, entries in parts.items():
            for item in body.get(kind) or ():
                if not isinstance(item, dict) or not isinstance(item.get("name"), str):
                    raise TargetError(f"an entry of {kind} has no name", where=str(file))
                inner = item.get(kind[:-1]) or {}
                if not isinstance(inner, dict):
                    raise TargetError(f"the entry {item['name']!r} of {kind} is no mapping", where=str(file))
                entries.setdefault(item["name"], Entry(inner, file))
    return KubeConfig(tuple(found), current, parts["contexts"], parts["clusters"], parts["users"])


def _read(file: Path) -> Json | None:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError("the kubeconfig cannot be read", where=str(file), why=str(error)) from error
    try:
        body = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        # The error's own text quotes the file, which may hold a token.
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark is not None else str(file)
        raise TargetError(
            "the kubeconfig is no YAML", where=where, why=str(getattr(error, "problem", "") or "")
        ) from None
    if body is None:
        return {}
    if not isinstance(body, dict) or any(
        not isinstance(body.get(kind) or [], list) for kind in ("contexts", "clusters", "users")
    ):
        raise TargetError(
            "the file is no kubeconfig", where=str(file), why="contexts, clusters and users must be lists in a mapping"
        )
    return body


class StaticHeader:
    """One Authorization header for the whole run."""

    def __init__(self, value: str) -> None:
        """Take the header's value."""
        self._headers = {"Authorization": value}

    def headers(self) -> Mapping[str, str]:
        """The one header."""
        return self._headers

    def renew(self) -> bool:
        """Nothing to renew."""
        return False


class TokenFile:
    """A bearer token in a file that something else keeps fresh, such as a projected service account token."""

    def __init__(self, file: Path) -> None:
        """Remember the file; it is read with the first request."""
        self._file = file
        self._token = ""
        self._read_at = 0.0

    def headers(self) -> Mapping[str, str]:
        """The token as of at most a minute ago."""
        if not self._token or time.monotonic() - self._read_at > TOKEN_AGE:
            self._load()
        return {"Authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        """Read the file again; whether it holds another token now."""
        before = self._token
        self._load()
        return self._token != before

    def _load(self) -> None:
        try:
            self._token = self._file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TargetError("the token file cannot be read", where=str(self._file), why=str(error)) from error
        self._read_at = time.monotonic()


def endpoint(config: KubeConfig, context: str, environ: Mapping[str, str]) -> Endpoint:
    """How to talk to the cluster of a context.

    Raises:
        TargetError: something the context names is missing, unreadable, or contradicts itself.
    """
    cluster, user = config.cluster_of(context), config.user_of(context)
    server = str(cluster.body.get("server") or "")
    if not _is_server(server):
        raise TargetError(
            f"the cluster of context {context!r} has no usable server URL",
            where=str(cluster.file),
            why=f"it says {server!r}",
        )
    proxy = str(cluster.body.get("proxy-url") or "") or _environment_proxy(server, environ)
    if proxy and urlsplit(proxy).scheme != "http":
        raise TargetError(
            "the proxy cannot be used",
            where=str(cluster.file),
            why="only http:// proxies are supported (the traffic inside the tunnel is TLS all the same)",
            hint="give an http:// proxy as proxy-url in the kubeconfig or as HTTPS_PROXY",
        )
    insecure = bool(cluster.body.get("insecure-skip-tls-verify"))
    name = str(cluster.body.get("tls-server-name") or "")
    authority = _pem(cluster, "certificate-authority")
    certificate = key = ""
    credentials: Credentials = Anonymous()
    if user is not None and ("exec" in user.body or "auth-provider" in user.body):
        from berth.cluster import plugins

        login = plugins.log_in(config, context)
        certificate, key, credentials = login.certificate, login.key, login.credentials
    elif user is not None:
        certificate, key = _pem(user, "client-certificate") or "", _pem(user, "client-key") or ""
        if bool(certificate) != bool(key):
            missing = "client-key" if certificate else "client-certificate"
            raise TargetError(f"the user of context {context!r} has no {missing}", where=str(user.file))
        credentials = _credentials(user)
    identity = _identity(user) if user is not None else ()
    return Endpoint(server, authority, insecure, name, certificate, key, proxy, credentials, identity)


def _is_server(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # A port that is no number.
        return False


def _identity(user: Entry) -> tuple[tuple[str, str], ...]:
    """The headers of a user that acts as somebody else; without them it would have rights that nobody meant.

    Source: https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
    """
    if not user.body.get("as"):
        return ()
    pairs = [("Impersonate-User", str(user.body["as"]))]
    if uid := user.body.get("as-uid"):
        pairs.append(("Impersonate-Uid", str(uid)))
    pairs += [("Impersonate-Group", str(group)) for group in user.body.get("as-groups") or ()]
    for key, values in (user.body.get("as-user-extra") or {}).items():
        pairs += [(f"Impersonate-Extra-{quote(str(key), safe='')}", str(value)) for value in values]
    return tuple(pairs)


def _environment_proxy(server: str, environ: Mapping[str, str]) -> str:
    if not any(environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")):
        return ""
    from berth.cluster.proxy import environment_proxy

    return environment_proxy(server, environ)


def _credentials(user: Entry) -> Credentials:
    """The Authorization header; a token beats a token file, as in client-go, and both beat a password."""
    if token := user.body.get("token"):
        return StaticHeader(f"Bearer {token}")
    if file := user.body.get("tokenFile"):
        return TokenFile(user.file.parent / str(file))
    if name := user.body.get("username"):
        pair = f"{name}:{user.body.get('password') or ''}"
        return StaticHeader("Basic " + b64encode(pair.encode()).decode())
    return Anonymous()


def _pem(entry: Entry, key: str) -> str | None:
    """A certificate or key that stands in the entry as data or as a path; data wins, as in client-go."""
    try:
        if data := entry.body.get(f"{key}-data"):
            return b64decode("".join(str(data).split()), validate=True).decode("ascii")
        if path := entry.body.get(key):
            return (entry.file.parent / str(path)).read_text(encoding="ascii")
    except binascii.Error:
        raise TargetError(f"{key}-data is no base64", where=str(entry.file)) from None
    except UnicodeDecodeError:
        raise TargetError(f"{key} is no PEM text", where=str(entry.file)) from None
    except OSError as error:
        raise TargetError(f"the file that {key} names cannot be read", where=str(entry.file), why=str(error)) from error
    return None


def in_cluster(environ: Mapping[str, str], directory: Path = SERVICE_ACCOUNT) -> Endpoint:
    """How a pod talks to its own cluster.

    Source: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = directory / "token"
    if not host or not token.exists():
        raise TargetError(
            "in-cluster was asked for, but this process does not run in a pod",
            why=f"KUBERNETES_SERVICE_HOST is unset or {token} is missing",
        )
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    try:
        authority = (directory / "ca.crt").read_text(encoding="ascii")
    except OSError as error:
        raise TargetError("the service account's ca.crt cannot be read", why=str(error)) from error
    return Endpoint(server, authority, credentials=TokenFile(token))
