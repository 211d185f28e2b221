"""What changes the whole cluster, or ends it: on a control plane of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from berth import controlplane
from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.errors import DeniedError, ExitCode, PreflightError, TargetError
from berth.core.objects import ObjectRef
from tests.contract.support import bring_up, done, release

pytestmark = pytest.mark.controlplane

NAME = "own"


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The kubeconfig of a plane that nobody else uses."""
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path_factory.mktemp("state")))
    yield controlplane.start(NAME).kubeconfig
    controlplane.delete(NAME)


@pytest.fixture
def connect() -> Iterator[Callable[[Path], Kube]]:
    """Clients that are closed when the test is over."""
    with ExitStack() as stack:

        def made(path: Path) -> Kube:
            client = resolve(None, str(path), {}).connect()
            stack.callback(client.close)
            return client

        yield made


def test_no_default_class_a_bad_token_and_a_cluster_that_is_gone(
    own: Path, tmp_path: Path, connect: Callable[[Path], Kube]
) -> None:
    kube = connect(own)
    default = ObjectRef("storage.k8s.io", "StorageClass", "", "local-path")
    mark = {"storageclass.kubernetes.io/is-default-class": "false"}
    kube.patch(default, {"metadata": {"annotations": mark}})
    with pytest.raises(PreflightError) as caught:
        bring_up(kube, release("nginx", "default"))
    said = str(caught.value)
    assert "no StorageClass is the default" in said and "local-path" in said and "--set storage.className" in said
    assert done(bring_up(kube, release("nginx", "default", "storage.className=fast-ssd"))).succeeded

    config = yaml.safe_load(own.read_text())
    config["users"][0]["user"] = {"token": "no-longer-valid"}
    stale = tmp_path / "stale"
    stale.write_text(yaml.safe_dump(config))
    with pytest.raises(DeniedError) as denied:
        bring_up(connect(stale), release("nginx", "default"))
    assert "401" in str(denied.value) or "expired" in str(denied.value)

    controlplane.stop(NAME)
    with pytest.raises(TargetError) as gone:
        bring_up(connect(own), release("nginx", "default"))
    assert gone.value.exit_code is ExitCode.NO_TARGET
    assert "127.0.0.1" in str(gone.value) and "refused" in str(gone.value)
