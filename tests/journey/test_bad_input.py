"""Bad input, as a person meets it: a message that says what, where and what to try, exit code 2, and no traceback.

There is no cluster here at all: what is wrong with the input is said before a cluster is looked for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journey.conftest import Invoke

pytestmark = pytest.mark.journey

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: {{ named("mine") }}}
spec: {ports: [{port: {{ values.port }}}]}
"""
PROFILE = """\
name: mine
description: a profile of our own
version: "1.0.0"
schema:
  type: object
  properties:
    port: {type: integer, minimum: 1, maximum: 65535, description: where it listens}
values: {port: 80}
"""


def write(project: Path, template: str = SERVICE, profile: str = PROFILE) -> None:
    """A profile of the user's own, with one template."""
    (project / "profiles").mkdir()
    (project / "templates/mine").mkdir(parents=True)
    (project / "profiles/mine.yaml").write_text(profile)
    (project / "templates/mine/service.yaml").write_text(template)


@pytest.mark.parametrize("task", ["up", "plan", "render"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "postgress"], ["there is no profile 'postgress'", "did you mean 'postgres'?"]),
        (["--profile", "../../etc/passwd"], ["../../etc/passwd"]),
        ([], ["profile"]),
        (["--profile", "nginx", "--set", "replicas=three"], ["replicas", "expected an integer", "--set #1"]),
        (["--profile", "nginx", "--set", "replicas=-1"], ["replicas", "--set #1"]),
        (["--profile", "nginx", "--set", "replicas=100000"], ["replicas", "--set #1"]),
        (["--profile", "nginx", "--set", "storage.sise=1Gi"], ["storage.sise", "did you mean 'storage.size'?"]),
        (["--profile", "nginx", "--set", "storage.size=big"], ["storage.size", "--set #1"]),
        (["--profile", "nginx", "--set", "replicas"], ["replicas"]),
        (["--profile", "nginx", "--values", "nope.yaml"], ["nope.yaml"]),
        (["--profile", "nginx", "--env", "produktion"], ["produktion", "prod"]),
        (["--profile", "nginx", "--name", "Not_A_Name"], ["Not_A_Name"]),
        (["--profile", "nginx", "--name", "n" * 60], ["n" * 60]),
        (["--profile", "nginx", "--profile", "httpd", "--name", "x"], ["--name"]),
    ],
)
def test_wrong_options(invoke: Invoke, task: str, arguments: list[str], said: list[str]) -> None:
    result = invoke(task, *arguments)
    assert result.code == 2, result.err
    assert not result.out
    for text in said:
        assert text in result.err


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (SERVICE.replace("values.port", "values.prot"), ["templates/mine/service.yaml:4", "prot", "port"]),
        (SERVICE.replace("{{ values.port }}", "{{ values.port"), ["templates/mine/service.yaml:4"]),
        (SERVICE + "{% if %}\n", ["templates/mine/service.yaml:5"]),
        (SERVICE.replace("spec: {ports", "spec: {ports: 1, ports"), ["templates/mine/service.yaml:4", "ports"]),
        (SERVICE.replace("spec: {", "spec: {{"), ["templates/mine/service.yaml:4"]),
        (SERVICE + "bad: [\n", ["templates/mine/service.yaml"]),
        ("# nothing\n", ["profiles/mine.yaml", "renders no object"]),
        (SERVICE + "---\n" + SERVICE, ["Service/mine", "service.yaml:1", "service.yaml:6"]),
        ("just text\n", ["templates/mine/service.yaml"]),
        (SERVICE.replace("kind: Service\n", ""), ["templates/mine/service.yaml", "kind"]),
        ('{% include "../../../etc/passwd" %}\n', ["templates/mine/service.yaml:1"]),
        ('{{ include_text("/etc/passwd") }}\n', ["templates/mine/service.yaml:1"]),
        ("{{ ''.__class__.__mro__ }}\n", ["templates/mine/service.yaml:1"]),
        ("{{ 'x' * 10 ** 9 }}\n", ["templates/mine/service.yaml:1"]),
        ('a: {{ fail("not today") }}\n', ["templates/mine/service.yaml:1", "not today"]),
    ],
)
def test_wrong_templates(invoke: Invoke, project: Path, template: str, said: list[str]) -> None:
    write(project, template)
    result = invoke("up", "--profile", "mine")
    assert result.code == 2, result.err
    for text in said:
        assert text in result.err


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (PROFILE.replace("values: {port: 80}", "values: {port: eighty}"), ["profiles/mine.yaml:8", "port"]),
        (PROFILE.replace("values: {port: 80}", "values: {port: 80, prot: 81}"), ["profiles/mine.yaml:8", "prot"]),
        (PROFILE + "values: {port: 81}\n", ["profiles/mine.yaml:9", "values"]),
        (PROFILE + "descripton: x\n", ["profiles/mine.yaml:9", "description"]),
        (PROFILE.replace("name: mine", "name: yours"), ["profiles/mine.yaml:1"]),
        (PROFILE.replace("{port: 80}", "{port: 080}"), ["profiles/mine.yaml:8"]),
        (PROFILE.replace("{port: 80}", "{port: no}"), ["profiles/mine.yaml:8"]),
        (PROFILE.replace("{port: 80}", "&a {port: *a}"), ["profiles/mine.yaml:8"]),
        (PROFILE.replace("{port: 80}", "{port: 80"), ["profiles/mine.yaml"]),
        (PROFILE + "\tx: 1\n", ["profiles/mine.yaml:9"]),
        (PROFILE + "extends: mine\n", ["mine", "profiles/mine.yaml:9"]),
        (PROFILE + "requires: [mine]\n", ["mine"]),
        (PROFILE + "requires: [nowhere]\n", ["nowhere"]),
        (PROFILE + "templates: [../../etc/*]\n", ["profiles/mine.yaml:9"]),
    ],
)
def test_wrong_profiles(invoke: Invoke, project: Path, profile: str, said: list[str]) -> None:
    write(project, profile=profile)
    result = invoke("up", "--profile", "mine")
    assert result.code == 2, result.err
    for text in said:
        assert text in result.err


def test_every_problem_at_once(invoke: Invoke) -> None:
    result = invoke("render", "--profile", "nginx", "--set", "replicas=x", "--set", "nope=1", "--set", "storage.size=?")
    assert result.code == 2
    assert all(text in result.err for text in ("replicas", "nope", "storage.size"))


def test_a_cycle_between_objects_names_its_edges(invoke: Invoke, project: Path) -> None:
    body = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {one}\n"
        "  annotations: {{berth.dev/depends-on: ConfigMap/{two}}}\n"
    )
    write(project, body.format(one="a", two="b") + "---\n" + body.format(one="b", two="a"))
    result = invoke("render", "--profile", "mine")
    assert result.code == 2 and "ConfigMap/a" in result.err and "->" in result.err


def test_a_kubeconfig_that_is_not_there(invoke: Invoke) -> None:
    result = invoke("up", "--profile", "nginx", "--kubeconfig", "nope")
    assert result.code == 3 and "nope" in result.err


def test_an_unreachable_cluster_is_never_replaced(invoke: Invoke, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: far\n"
        "clusters: [{name: far, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: me, user: {token: x}}]\ncontexts: [{name: far, context: {cluster: far, user: me}}]\n"
    )
    result = invoke("up", "--profile", "nginx", "--kubeconfig", str(config))
    assert result.code == 3 and "127.0.0.1:1" in result.err and "far" in result.err


def test_a_full_disk_leaves_nothing_half_done(invoke: Invoke, project: Path) -> None:
    """/dev/full takes no byte; a directory that cannot be made is told the same way."""
    (project / "out").write_text("a file is in the way")
    result = invoke("render", "--profile", "nginx", "--output-dir", "out")
    assert result.code in (1, 2) and "out" in result.err
    assert (project / "out").read_text() == "a file is in the way"
