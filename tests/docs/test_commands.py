"""Every command of every page is run, and prints what the page shows.

``pytest tests/docs/test_commands.py --record-docs`` writes what the commands print into the pages where it differs;
review it as you would review code.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from berth import controlplane
from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from tests.contract.support import kubernetes_only, rehearsal_only
from tests.docs.conftest import Cluster, Open, Reader
from tests.docs.console import DEADLINE, difference, run_page
from tests.docs.pages import Page, pages
from tests.docs.recording import record
from tests.namespaces import restricted

#: Seconds that one command may take where containers run, on a machine that runs others beside it.
PATIENCE = 600.0


def _with(plane: str) -> list[Page]:
    return [page for page in pages() if page.settings["plane"] == plane and page.steps]


def _check(page: Page, reader: Reader, rewrite: bool, deadline: float = DEADLINE) -> None:
    outputs = run_page(page, reader.shell, reader.directory, reader.renames, reader.typed, deadline)
    if rewrite:
        record(page, outputs)
        return
    differences = [
        f"{page}:{command.line}: $ {command.text}\n{found}"
        for command in page.commands
        if command.line in outputs and (found := difference(command.output, outputs[command.line]))
    ]
    assert not differences, "\n\n".join(differences)


@pytest.mark.journey
@pytest.mark.parametrize("page", _with("none"), ids=str)
def test_without_a_cluster(page: Page, open_reader: Open, record_docs: bool) -> None:
    """Pages whose commands need no cluster."""
    _check(page, open_reader(page), record_docs)


@pytest.mark.rehearsal
@pytest.mark.parametrize("page", _with("rehearsal"), ids=str)
def test_on_a_rehearsal(page: Page, open_reader: Open, record_docs: bool) -> None:
    """Pages for a machine without a cluster, where berth starts a rehearsal by itself."""
    reader = open_reader(page)
    try:
        _check(page, reader, record_docs)
    finally:
        # Where a page ended too early: nothing of it goes on afterwards.
        reader.shell.run("invoke cluster.delete --yes")


@kubernetes_only
@pytest.mark.parametrize("page", _with("shared"), ids=str)
def test_on_the_shared_plane(
    page: Page, open_reader: Open, plane: Path, space: str, kube: Kube, record_docs: bool
) -> None:
    """Pages that stay within a namespace, which is `default` in the page and one of its own here."""
    kubeconfig = ".local/state/berth/controlplane/default/kubeconfig"
    _check(page, open_reader(page, Cluster(plane, space, "berth-local", kubeconfig)), record_docs)


@rehearsal_only
@pytest.mark.parametrize("page", [page for page in _with("shared") if "also" in page.settings], ids=str)
def test_the_same_on_a_rehearsal(page: Page, open_reader: Open, plane: Path, space: str, kube: Kube) -> None:
    """Pages that say of themselves that they hold on a simulated cluster as well."""
    kubeconfig = ".local/state/berth/controlplane/default/kubeconfig"
    _check(page, open_reader(page, Cluster(plane, space, "berth-local", kubeconfig)), False)


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.parametrize("page", _with("node"), ids=str)
def test_on_a_node(page: Page, open_reader: Open, node_kubeconfig: Path, node_kube: Kube, record_docs: bool) -> None:
    """Pages on real containers, in a namespace of their own under Pod Security restricted, `default` in the page."""
    target = resolve(None, str(node_kubeconfig), {})
    names = {node["metadata"]["name"]: "berth-node" for node in node_kube.list("", "Node").items}
    names[target.server] = "https://127.0.0.1:16443"
    with restricted(node_kube, "docs") as space:
        cluster = Cluster(node_kubeconfig, space, "team", ".kube/config", names)
        _check(page, open_reader(page, cluster), record_docs, PATIENCE)


@pytest.mark.controlplane
@pytest.mark.slow
def test_the_path_of_a_newcomer(
    open_reader: Open, record_docs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tutorial, page after page, on a control plane that the pages start themselves."""
    try:
        for page in _with("own"):
            _check(page, open_reader(page), record_docs)
    finally:
        monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "home/.local/state/berth"))
        controlplane.delete()
