"""The peer that a team writes itself: a loop over the official Python client. Create or patch, then poll until ready.

Arguments: a file of manifests, the namespace, and a file for what discovery finds.
"""

import sys
import time
from typing import Any

import yaml
from kubernetes import config, dynamic
from kubernetes.client.exceptions import ApiException

POLL = 0.2


def main(file: str, namespace: str, cache: str) -> None:
    connection: Any = config.new_client_from_config  # The client has no types.
    make: Any = dynamic.DynamicClient
    api = make(connection(), cache_file=cache)
    with open(file, encoding="utf-8") as text:
        documents = list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    for body in documents:
        resource = api.resources.get(api_version=body["apiVersion"], kind=body["kind"])
        try:
            resource.create(body=body, namespace=namespace)
        except ApiException as error:
            if error.status != 409:
                raise
            name = body["metadata"]["name"]
            resource.patch(body=body, name=name, namespace=namespace, content_type="application/merge-patch+json")
    wanted = {body["metadata"]["name"] for body in documents if body["kind"] == "StatefulSet"}
    sets = api.resources.get(api_version="apps/v1", kind="StatefulSet")
    while True:
        found = sets.get(namespace=namespace).to_dict()["items"]
        if wanted <= {body["metadata"]["name"] for body in found if ready(body)}:
            return
        time.sleep(POLL)


def ready(body: dict[str, Any]) -> bool:
    status, replicas = body.get("status") or {}, body["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= body["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == replicas
        and status.get("availableReplicas", 0) == replicas
    )


main(*sys.argv[1:])
