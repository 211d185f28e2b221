"""What the tests of the built-in profiles share: rendering one, and finding objects in what came out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from berth.actions.prepare import Request, prepare
from berth.core.objects import Json
from berth.library import Library, open_library


class Rendered:
    """The objects of one release."""

    def __init__(self, bodies: list[Json]) -> None:
        """Keep the bodies in apply order."""
        self.bodies = bodies

    def all(self, kind: str) -> list[Json]:
        """Every object of a kind."""
        return [body for body in self.bodies if body["kind"] == kind]

    def names(self, kind: str) -> set[str]:
        """The names of the objects of a kind."""
        return {str(body["metadata"]["name"]) for body in self.all(kind)}

    def one(self, kind: str, name: str | None = None) -> Json:
        """The only object of a kind, or the one of that name."""
        found = [body for body in self.all(kind) if name in (None, body["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} objects of kind {kind} and name {name}"
        return found[0]

    @property
    def set(self) -> Json:
        """The StatefulSet."""
        return self.one("StatefulSet")

    @property
    def pod(self) -> Json:
        """The spec of the StatefulSet's pods."""
        spec: Json = self.set["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Json:
        """The main container."""
        main: Json = self.pod["containers"][0]
        return main

    @property
    def containers(self) -> list[Json]:
        """Every container, init containers first."""
        return [*self.pod.get("initContainers", ()), *self.pod["containers"]]

    def env(self) -> dict[str, Any]:
        """The plain environment variables of the main container."""
        return {variable["name"]: variable.get("value") for variable in self.container["env"]}

    def claims(self) -> dict[str, Json]:
        """The claim templates by name."""
        return {claim["metadata"]["name"]: claim for claim in self.set["spec"]["volumeClaimTemplates"]}


Render = Callable[..., Rendered]


@pytest.fixture(scope="session")
def library() -> Library:
    """The built-in profiles."""
    return open_library()


@pytest.fixture(scope="session")
def render(library: Library) -> Render:
    """Render a profile: ``render("nginx", "prod", "replicas=3", name="shop")``."""

    def run(profile: str, environment: str | None = None, *sets: str, name: str | None = None) -> Rendered:
        request = Request(profile, name=name, namespace="harbour", environment=environment, sets=sets)
        (release,) = prepare(library, [request])
        return Rendered([manifest.body for manifest in release.manifests])

    return run
