"""The real helm, and objects of a chart in a form in which they can be compared with those of a profile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from berth.core.objects import PART_OF_LABEL, Json, Manifest

#: A Helm that was built without its version flags would take the cluster to be 1.20.
KUBERNETES = "1.34.0"


def helm(program: Path, *args: str, home: Path, succeed: bool = True, kubeconfig: Path | None = None) -> str:
    """What helm prints; standard error where it is to fail. Its caches are the test's own."""
    environment = {**os.environ, **{f"HELM_{kind}_HOME": str(home / kind) for kind in ("CACHE", "CONFIG", "DATA")}}
    if kubeconfig:
        environment["KUBECONFIG"] = str(kubeconfig)
    run = subprocess.run([program, *args], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (run.returncode == 0) == succeed, f"helm {' '.join(args)}\n{run.stdout[-3000:]}{run.stderr[-3000:]}"
    return run.stdout if succeed else run.stderr


def objects(text: str) -> dict[str, Json]:
    """The objects that helm prints, by kind and name, in the form of `comparable`."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    bodies = [body for body in yaml.load_all(text, loader) if body is not None]
    return comparable(bodies)


def rendered(manifests: tuple[Manifest, ...]) -> dict[str, Json]:
    """The objects of a release in the form of `comparable`."""
    bodies = []
    for manifest in manifests:
        body = json.loads(json.dumps(manifest.body))
        for key in manifest.generated:
            body.setdefault("data", {})[key] = "generated"
        bodies.append(body)
    return comparable(bodies)


def comparable(bodies: list[Json]) -> dict[str, Json]:
    """Objects without what is berth's own or Helm's own, and with generated text made alike."""
    made: dict[str, Json] = {}
    for body in bodies:
        metadata = body["metadata"]
        annotations = metadata.setdefault("annotations", {})
        annotations.pop("helm.sh/resource-policy", None)
        metadata.setdefault("labels", {}).pop(PART_OF_LABEL, None)
        if body["kind"] == "Secret":
            for key in annotations.get("berth.dev/generated-keys", "").split(","):
                if key:
                    body["data"][key] = "generated"
        key = f"{body['kind']}/{metadata['name']}"
        assert key not in made, f"{key} is there twice"
        made[key] = without_null(body)
    return made


def without_null(value: Any) -> Any:
    """Data without entries that are null, which the API takes for absent."""
    if isinstance(value, dict):
        return {key: without_null(item) for key, item in value.items() if item is not None}
    return [without_null(item) for item in value if item is not None] if isinstance(value, list) else value
