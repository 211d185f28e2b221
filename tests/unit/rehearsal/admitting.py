"""What admission sees of a cluster in these tests, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import admission, defaults, kinds
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import ApiError


def admit(
    view: admission.View,
    kind: Kind,
    operation: str,
    obj: Json,
    old: Json | None,
    namespace: Json | None,
    random: Random,
    *,
    subresource: str = "",
    warnings: list[str] | None = None,
) -> tuple[Json, list[str]]:
    """Both halves of admission, with nothing in between: the object as it is stored, and the warnings."""
    obj = admission.mutate(view, kind, operation, obj, old, namespace, random, subresource=subresource)
    said = admission.check(view, kind, operation, obj, old, namespace, subresource=subresource, warnings=warnings)
    return obj, said


class Cluster:
    """A view with a namespace ``n`` and its default service account."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.put(kinds.NAMESPACES, {"metadata": {"name": "n"}})
        self.put(kinds.SERVICE_ACCOUNTS, {"metadata": {"name": "default"}})

    def put(self, kind: Kind, body: Json) -> Json:
        namespace = {"namespace": "n"} if kind.namespaced else {}
        found = {**body, "metadata": {**namespace, **body["metadata"], "resourceVersion": "1"}}
        found = defaults.apply_defaults(kind, found)
        self.objects[kind.key, found["metadata"].get("namespace", ""), found["metadata"]["name"]] = found
        return found

    def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        return self.objects.get((kind.key, namespace, name))

    def ask(self, kind: Kind, body: Json, old: Json | None = None, seed: int = 1) -> tuple[Json, list[str]]:
        """Admit a creation, or an update of ``old``; the object is as the API server has it, with its defaults."""
        namespace = {"namespace": "n"} if kind.namespaced else {}
        new = defaults.apply_defaults(kind, {**body, "metadata": {**namespace, **body["metadata"]}})
        space = self.get(kinds.NAMESPACES, "", new["metadata"].get("namespace", ""))
        operation = admission.CREATE if old is None else admission.UPDATE
        return admit(self, kind, operation, new, old, space, Random(seed))

    def refused(self, kind: Kind, body: Json, old: Json | None = None) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.ask(kind, body, old)
        return caught.value

    def list(self, kind: Kind, namespace: str | None = None) -> Iterable[Json]:
        for (key, space, _), found in sorted(self.objects.items(), key=lambda pair: pair[0]):
            if key == kind.key and namespace in (None, space):
                yield found


def pod(name: str = "p", **spec: Any) -> Json:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i:1"}], **spec}}


def claim(size: str, name: str = "a", **spec: Any) -> Json:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": name}, "spec": {**wanted, **spec}}


def service(name: str = "s", **spec: Any) -> Json:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}
