"""Manifests without what must not be seen: the data of Secrets, and fields made of values marked ``x-secret``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from berth.core.objects import Json, Manifest, field_path
from berth.core.strictyaml import Path

#: Stands for what is not shown. It is not base64, so that no API server takes it for the data of a Secret.
HIDDEN = "(hidden)"


def masked(manifest: Manifest, secret_paths: frozenset[str] = frozenset()) -> Json:
    """The object with secret text replaced; the manifest itself is not changed."""
    body = dict(manifest.body)
    if body["kind"] == "Secret" and isinstance(body.get("data"), dict):
        body["data"] = dict.fromkeys(body["data"], HIDDEN)
    if not secret_paths:
        return body

    def secret(path: str) -> bool:
        origin = manifest.origins.get(path)
        return origin is not None and any(is_covered(secret_paths, value) for value in origin.values)

    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: walk(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, (*path, index)) for index, item in enumerate(value)]
        return HIDDEN if secret(field_path(path)) else value

    result: Json = walk(body, ())
    return result


def is_covered(secret_paths: frozenset[str], value: str) -> bool:
    """Whether a text that is made of the value at a path may hold a secret: it is one, or in one, or holds one."""
    return any(
        value == secret or value.startswith(f"{secret}.") or secret.startswith(f"{value}.") for secret in secret_paths
    )


def hidden_texts(shown: Any, body: Any) -> Iterator[str]:
    """The texts of an object at the places where its masked form, or that of an earlier one, hides them."""
    if isinstance(shown, dict) and isinstance(body, dict):
        for key in shown.keys() & body.keys():
            yield from hidden_texts(shown[key], body[key])
    elif isinstance(shown, list) and isinstance(body, list):
        for one, other in zip(shown, body, strict=False):
            yield from hidden_texts(one, other)
    elif shown == HIDDEN and not isinstance(body, dict | list) and len(str(body)) >= 4:
        yield str(body)


def hides(manifest: Manifest, body: Json) -> bool:
    """Whether the masked body differs from what the manifest holds."""
    return body != manifest.body


def copies(manifest: Manifest) -> str:
    """Which keys of a Secret are copied, and from where, in words."""
    return "; ".join(f"{own} from Secret/{name}, key {key}" for own, (name, key) in sorted(manifest.copied.items()))
