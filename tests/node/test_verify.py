"""`verify` in real containers: the guarantees of the tutorials, asked where a person would ask."""

from __future__ import annotations

import json

import pytest

from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("verify")
    opened.up("nginx", "--set", "minReadySeconds=0")
    return opened


def look(space: Space, *arguments: str, code: int = 0) -> dict[str, tuple[str, str]]:
    """Outcome and evidence by guarantee."""
    done = space.berth("verify", "--profile", "nginx", "--output", "json", *arguments, code=code)
    return {one["guarantee"]: (one["outcome"], one["evidence"]) for one in json.loads(done.out)["checks"]}


@promise("`verify` asks containers for their hostnames, and their resolvers for each name", on="CoreDNS, kubelet")
def test_names_are_asked_for_in_containers(space: Space) -> None:
    found = look(space)
    assert found["names"] == (
        "proved",
        "web-0, web-1: pod name, hostname and labels agree; hostname asked in 2 containers",
    )
    assert found["dns"][0] == "proved" and found["dns"][1].endswith("; looked up in 2 containers")
    assert found["creation"][0] == "proved"
    assert found["claims"][0] == "not shown", "nobody has deleted a pod yet"


@promise(
    "`verify --disruptive` reads in a pod's successor what it had written before, and leaves nothing", on="kubelet"
)
def test_a_marker_outlives_its_pod(space: Space) -> None:
    store = "/usr/share/nginx/html"
    before, files = space.pod("web-1")["metadata"]["uid"], space.shell("web-1", f"ls -A {store}")
    outcome, evidence = look(space, "--disruptive")["claims"]
    assert outcome == "proved", evidence
    assert (
        "with the same claim www-web-1 and its volume; the marker that was written to www-web-1 before was read"
        in evidence
    )
    assert "identity" not in evidence
    assert space.pod("web-1")["metadata"]["uid"] != before
    assert space.shell("web-1", f"ls -A {store}") == files and ".berth-verify" not in files
    # Its address is new, and names lead to it.
    assert look(space)["dns"][1].endswith("; looked up in 2 containers")


@promise("`verify` fails where a resolver in a pod says something else than the cluster", on="kubelet")
def test_a_resolver_that_is_wrong(space: Space) -> None:
    wrong = [{"ip": "10.9.9.9", "hostnames": [f"web-0.nginx.{space.name}.svc.cluster.local"]}]
    patch = {"spec": {"template": {"spec": {"hostAliases": wrong}}}}
    space.kubectl("patch", "statefulset", "web", "--type=merge", f"--patch={json.dumps(patch)}")
    space.ready("web")
    outcome, evidence = look(space, "--timeout", "1s", code=1)["dns"]
    assert (outcome, evidence) == ("failed", f"in web-1 web-0.nginx.{space.name}.svc leads to 10.9.9.9")
