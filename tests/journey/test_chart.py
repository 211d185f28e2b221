"""`invoke chart` in a repository of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journey.conftest import Invoke
from tests.journey.test_bad_input import PROFILE, SERVICE, write

pytestmark = pytest.mark.journey


def test_own_and_built_in_profiles(invoke: Invoke, project: Path) -> None:
    """Written, fresh, stale after a change of the profile, and refused where others' files are."""
    write(project)
    assert invoke("chart", "--all").out == "charts/mine: 7 files, every value can be set\n"
    assert invoke("chart", "--profile", "nginx", "--output-dir", "out").code == 0
    assert (project / "out/nginx/templates/statefulset.yaml").is_file()
    assert invoke("chart", "--all", "--check").code == 0
    changed = (project / "profiles/mine.yaml").read_text().replace("port: 80", "port: 8080")
    (project / "profiles/mine.yaml").write_text(changed)
    found = invoke("chart", "--all", "--check")
    assert found.code == 5 and "charts/mine/values.yaml is stale" in found.out and "invoke chart" in found.err
    (project / "charts/mine/notes.txt").write_text("mine\n")
    refused = invoke("chart", "--all")
    assert refused.code == 2 and "did not write: notes.txt" in refused.err
    assert "80\n" in (project / "charts/mine/values.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which profile?"),
        (["--all", "--profile", "nginx"], "exclude each other"),
        (["--profile", "ngimx"], "did you mean 'nginx'?"),
        (["--profile", "nginx", "--env", "live"], "no environment 'live'"),
    ],
)
def test_bad_options(invoke: Invoke, arguments: list[str], said: str) -> None:
    """Exit code 2, and what to try."""
    done = invoke("chart", *arguments)
    assert done.code == 2 and said in done.err


def test_a_template_with_an_error(invoke: Invoke, project: Path) -> None:
    """The usual words, and no chart."""
    write(project, SERVICE.replace("values.port", "values.pot"), PROFILE)
    done = invoke("chart", "--profile", "mine")
    assert done.code == 2 and "templates/mine/service.yaml:4" in done.err and "did you mean 'port'?" in done.err
    assert not (project / "charts").exists()
