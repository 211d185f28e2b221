"""The three simulations of the tutorial print, over a simulated cluster, exactly what the tutorial expects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page

pytestmark = pytest.mark.rehearsal

#: "Expected output" of the tutorial, letter by letter.
EXPECTED = {
    "pod_identity": """\
  postgres-0: postgres-0.postgres.default.svc.cluster.local
  postgres-1: postgres-1.postgres.default.svc.cluster.local
  postgres-2: postgres-2.postgres.default.svc.cluster.local

Scaling from 3 to 5...
  postgres-0: hostname=postgres-0
  postgres-1: hostname=postgres-1
  postgres-2: hostname=postgres-2
  postgres-3: hostname=postgres-3
  postgres-4: hostname=postgres-4

Rolling update from postgres:16 to postgres:17...
Updating postgres-2 to postgres:17...
  postgres-2 updated
Updating postgres-1 to postgres:17...
  postgres-1 updated
Updating postgres-0 to postgres:17...
  postgres-0 updated
""",
    "claim_manager": """\
Created PVC data-postgres-0 (100Gi) for postgres-0
Created PVC data-postgres-1 (100Gi) for postgres-1
Created PVC data-postgres-2 (100Gi) for postgres-2

PVC for postgres-0 exists: True
Deleted PVC data-postgres-0
PVC for postgres-0 after delete: False
""",
    "cluster_manager": """\
Cluster scaled to 3 nodes:
  node-0 bootstrapped (seed)
  node-1 joining via node-0
  node-2 joining via node-0

Nodes:
  node-0 (seed=True, ready=True)
  node-1 (seed=False, ready=True)
  node-2 (seed=False, ready=True)
""",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_it_prints_what_the_tutorial_expects(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment.pop("KUBECONFIG", None)
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "examples" / f"{name}.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == EXPECTED[name]
    assert list(tmp_path.iterdir()) == [], "nothing is left"


def test_they_are_short_and_shown() -> None:
    text = (ROOT / "docs/tutorial/06-simulations.md").read_text(encoding="utf-8")
    shown = {command.text: "\n".join(command.output) + "\n" for command in Page(ROOT / "x.md", text).commands}
    assert shown == {f"python docs/examples/{name}.py": output for name, output in EXPECTED.items()}
    for path in (ROOT / "docs" / "examples").glob("*.py"):
        assert path.stem in EXPECTED and len(path.read_text(encoding="utf-8").splitlines()) < 70
