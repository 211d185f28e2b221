"""`invoke import`, and what it says to do next."""

from __future__ import annotations

from pathlib import Path

from berth.cluster.kube import Kube
from tests.contract.support import rehearsal_only
from tests.journey.conftest import Invoke


@rehearsal_only
def test_what_is_printed_can_be_done(invoke_on: Invoke, kube: Kube, space: str, project: Path) -> None:
    """The command of the last line takes the set over; the claims' label gives the release its name."""
    labels = {"app.kubernetes.io/instance": "shop"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": "web", "namespace": space}
    kube.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec})
    where = ("--namespace", space)
    checked = invoke_on("import", "--statefulset", "web", "--profile", "pages", "--check", *where)
    assert checked.code == 0 and "nothing was written" in checked.out
    assert sorted(path.name for path in project.iterdir()) == ["tasks.py"]
    done = invoke_on("import", "--statefulset", "web", "--profile", "pages", *where)
    assert done.code == 0, done.err
    assert "wrote profiles/pages.yaml" in done.out and "`up` restarts no pod" in done.out
    again = invoke_on("import", "--statefulset", "web", "--profile", "pages", *where)
    assert again.code == 2 and "there are files already" in again.err
    command = done.out.splitlines()[-1].removeprefix("next: invoke ").split()
    assert command == ["up", "--profile", "pages", "--name", "shop", "--namespace", space]
    up = invoke_on(*command)
    assert up.code == 0, up.err
    missing = invoke_on("import", "--statefulset", "wev", *where)
    assert missing.code == 2 and "did you mean 'web'?" in missing.err
