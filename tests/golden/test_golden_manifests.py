"""What each built-in profile renders, in each environment, against the committed files in ``manifests/``.

A change of a template shows in these files, so that it is read in review. To accept it:
``pytest tests/golden --update-golden``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from berth.actions.prepare import Request, prepare
from berth.library import open_library

pytestmark = pytest.mark.golden

PROFILES = ("nginx", "httpd", "postgres", "zookeeper", "cassandra")
ENVIRONMENTS = ("default", "dev", "staging", "prod")
FOLDER = Path(__file__).parent / "manifests"


class Dumper(yaml.SafeDumper):
    """Block style throughout, and texts of several lines as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, _text)
Dumper.ignore_aliases = lambda self, data: True  # type: ignore[method-assign]


def dumped(bodies: list[dict[str, Any]]) -> str:
    """The objects as YAML, in apply order, keys sorted."""
    return str(yaml.dump_all(bodies, Dumper=Dumper, explicit_start=True, width=140))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("profile", PROFILES)
def test_manifests(profile: str, environment: str, update_golden: bool) -> None:
    """Byte for byte what is committed."""
    request = Request(profile, namespace="harbour", environment=None if environment == "default" else environment)
    (release,) = prepare(open_library(), [request])
    found = dumped([manifest.body for manifest in release.manifests])
    file = FOLDER / f"{profile}-{environment}.yaml"
    if update_golden:
        file.parent.mkdir(exist_ok=True)
        file.write_text(found, encoding="utf-8")
    assert file.exists(), f"{file.name} is missing; run pytest tests/golden --update-golden"
    assert found == file.read_text(encoding="utf-8")


def test_no_file_is_left_over() -> None:
    """Each golden file belongs to a profile and environment that exist."""
    wanted = {f"{profile}-{environment}.yaml" for profile in PROFILES for environment in ENVIRONMENTS}
    assert {file.name for file in FOLDER.iterdir()} == wanted
