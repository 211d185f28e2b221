"""Charts in a directory: written whole, compared, and never over the files of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.actions.chart import charts_of, chosen, stale, write
from berth.core.chart.convert import Chart
from berth.core.errors import InputError, LocalError, ProfileError
from berth.library import open_library

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]
MADE = Chart(
    "web",
    {"Chart.yaml": "# Written by berth chart\nname: web\n", "templates/a.yaml": "{{- /* Written by berth chart */}}\n"},
    (),
)


def test_a_chart_is_written_and_found_fresh(tmp_path: Path) -> None:
    """Nothing else is left in the directory."""
    write([MADE], tmp_path / "charts")
    assert stale([MADE], tmp_path / "charts") == []
    assert [path.name for path in (tmp_path / "charts").iterdir()] == ["web"]


def test_what_differs_is_named(tmp_path: Path) -> None:
    """Changed, missing and left over files."""
    write([MADE], tmp_path)
    (tmp_path / "web/templates/a.yaml").unlink()
    (tmp_path / "web/templates/old.yaml").write_text("# Written by berth chart\n")
    (tmp_path / "web/Chart.yaml").write_text("# Written by berth chart, and edited\n")
    assert stale([MADE], tmp_path) == [
        f"{tmp_path}/web/Chart.yaml is stale",
        f"{tmp_path}/web/templates/a.yaml is missing",
        f"{tmp_path}/web/templates/old.yaml is left over",
    ]
    write([MADE], tmp_path)
    assert stale([MADE], tmp_path) == []


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Nothing is written, for any chart."""
    (tmp_path / "web/templates").mkdir(parents=True)
    (tmp_path / "web/templates/mine.yaml").write_text("kind: Service\n")
    other = Chart("app", MADE.files, ())
    with pytest.raises(InputError, match=r"did not write: templates/mine\.yaml"):
        write([other, MADE], tmp_path)
    with pytest.raises(InputError, match=r"did not write"):
        stale([MADE], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["web"]
    assert (tmp_path / "web/templates/mine.yaml").read_text() == "kind: Service\n"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Even where what it leads to is ours."""
    write([MADE], tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two/web").symlink_to(tmp_path / "one/web")
    with pytest.raises(InputError, match="link"):
        write([MADE], tmp_path / "two")


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    """A file is in its place."""
    (tmp_path / "web").write_text("")
    with pytest.raises(InputError, match="is a file, not a directory"):
        write([MADE], tmp_path)
    with pytest.raises(LocalError, match="cannot write"):
        write([MADE], tmp_path / "web/charts")


def test_which_profiles() -> None:
    """Those named, or all that can be installed."""
    library = open_library(ROOT)
    assert chosen(library, ["nginx", "nginx"], False) == ["nginx"]
    assert chosen(library, (), True) == ["cassandra", "httpd", "nginx", "postgres", "zookeeper"]
    with pytest.raises(InputError, match="which profile"):
        chosen(library, (), False)
    with pytest.raises(InputError, match="exclude each other"):
        chosen(library, ["nginx"], True)


def test_every_problem_at_once() -> None:
    """An unknown profile and an environment that one does not have."""
    library = open_library(ROOT)
    with pytest.raises(ProfileError) as raised:
        charts_of(library, ["ngin", "nginx"], "production")
    assert [problem.what.split(" ")[0:2] for problem in raised.value.problems] == [["there", "is"], ["the", "profile"]]


def test_an_abstract_profile_has_no_chart() -> None:
    """It is only there to be extended."""
    with pytest.raises(InputError, match="only there to be extended"):
        charts_of(open_library(ROOT), ["stateful"], None)
