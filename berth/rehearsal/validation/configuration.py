"""Secrets, ConfigMaps and ServiceAccounts. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode

from berth.core.objects import Json
from berth.rehearsal.kinds import CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.errors import Errors, all_invalid, forbidden, immutable, invalid, required, too_long

#: Bytes that a Secret or a ConfigMap may hold.
MOST_DATA = 1024 * 1024
_LOCKED = "field is immutable when `immutable` is set"
_ACCOUNT = "kubernetes.io/service-account.name"
#: Keys that Secrets of a type must have.
_KEYS = {"kubernetes.io/ssh-auth": ("ssh-privatekey",), "kubernetes.io/tls": ("tls.crt", "tls.key")}
_DOCKER = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}


def create_secret(new: Json) -> Errors:
    """A new Secret."""
    wrong = metadata.created(SECRETS, new["metadata"], formats.subdomain)
    data: dict[str, str] = new.get("data") or {}
    for key in data:
        wrong += all_invalid(f"data[{key}]", key, formats.config_key(key))
    if sum(_length(text) for text in data.values()) > MOST_DATA:
        wrong.append(too_long("data", MOST_DATA))
    return wrong + _typed(new, data)


def _length(text: str) -> int:
    return len(text) * 3 // 4 - text[-2:].count("=")


def _typed(new: Json, data: dict[str, str]) -> Errors:
    kind = new.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        named = (new["metadata"].get("annotations") or {}).get(_ACCOUNT)
        return [] if named else [required(f"metadata.annotations[{_ACCOUNT}]")]
    if kind in _DOCKER:
        return _docker(_DOCKER[kind], data)
    if kind == "kubernetes.io/basic-auth":
        keys = ("username", "password")
        return [] if any(key in data for key in keys) else [required(f"data[{key}]") for key in keys]
    if kind == "kubernetes.io/ssh-auth":
        return [] if data.get("ssh-privatekey") else [required("data[ssh-privatekey]")]
    return [required(f"data[{key}]") for key in _KEYS.get(kind, ()) if key not in data]


def _docker(key: str, data: dict[str, str]) -> Errors:
    if key not in data:
        return [required(f"data[{key}]")]
    try:
        found = json.loads(b64decode(data[key]))
    except (ValueError, binascii.Error) as error:
        return [invalid(f"data[{key}]", "<secret contents redacted>", _go_words(b64decode(data[key]), error))]
    if isinstance(found, dict):
        return []
    what = {list: "array", str: "string", bool: "bool"}.get(type(found), "number")
    words = f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
    return [] if found is None else [invalid(f"data[{key}]", "<secret contents redacted>", words)]


def _go_words(raw: bytes, error: ValueError) -> str:
    """What Go says about text that is no JSON, for the plain cases."""
    if not raw.strip() or (isinstance(error, json.JSONDecodeError) and error.pos >= len(raw.decode(errors="replace"))):
        return "unexpected end of JSON input"
    position = error.pos if isinstance(error, json.JSONDecodeError) else 0
    sign = raw.decode(errors="replace")[position]
    return f"invalid character '{sign}' looking for beginning of value"


def update_secret(new: Json, old: Json) -> Errors:
    """A Secret that is there already."""
    wrong = metadata.changed(new, old)
    wrong += immutable("type", new.get("type", ""), old.get("type", ""))
    return wrong + _locked(new, old, ("data",)) + create_secret(new)


def _locked(new: Json, old: Json, keys: tuple[str, ...]) -> Errors:
    if not old.get("immutable"):
        return []
    wrong: Errors = [] if new.get("immutable") else [forbidden("immutable", _LOCKED)]
    return wrong + [forbidden(key, _LOCKED) for key in keys if (new.get(key) or {}) != (old.get(key) or {})]


def create_config_map(new: Json) -> Errors:
    """A new ConfigMap."""
    wrong = metadata.created(CONFIG_MAPS, new["metadata"], formats.subdomain)
    data: dict[str, str] = new.get("data") or {}
    binary: dict[str, str] = new.get("binaryData") or {}
    for key in data:
        wrong += all_invalid(f"data[{key}]", key, formats.config_key(key))
        if key in binary:
            wrong.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    for key in binary:
        wrong += all_invalid(f"binaryData[{key}]", key, formats.config_key(key))
    size = sum(len(text.encode()) for text in data.values()) + sum(_length(text) for text in binary.values())
    return [*wrong, too_long("[]", MOST_DATA)] if size > MOST_DATA else wrong


def update_config_map(new: Json, old: Json) -> Errors:
    """A ConfigMap that is there already."""
    return metadata.changed(new, old) + _locked(new, old, ("data", "binaryData")) + create_config_map(new)


def create_account(new: Json) -> Errors:
    """A new ServiceAccount."""
    return metadata.created(SERVICE_ACCOUNTS, new["metadata"], formats.subdomain)


def update_account(new: Json, old: Json) -> Errors:
    """A ServiceAccount that is there already."""
    return metadata.changed(new, old) + create_account(new)
