"""`invoke export` as a person and a CI job meet it; there is no cluster here."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.journey.conftest import Invoke

pytestmark = pytest.mark.journey

WEB = ("export", "--profile", "nginx", "--namespace", "shop", "--output-dir", "deploy")
SITE = """\
name: shops
targets:
  eu: {context: eu-west}
  us: {context: us-east}
groups:
  all: {targets: [eu, us]}
releases:
  - {profile: zookeeper, namespace: shop, environment: dev, target: all}
  - {profile: postgres, name: orders, namespace: shop, needs: [zookeeper], target: all}
  - {profile: nginx, namespace: web}
"""


def files(directory: Path) -> dict[str, str]:
    """Every file below, with its text."""
    return {path.relative_to(directory).as_posix(): path.read_text() for path in directory.rglob("*") if path.is_file()}


def test_an_export_is_checked_until_something_changes(invoke: Invoke, project: Path) -> None:
    done = invoke(*WEB, "--env", "dev")
    assert (done.code, done.out) == (0, "") and done.err == "5 files in deploy\n"
    before = files(project / "deploy")
    same = invoke(*WEB, "--env", "dev", "--check")
    assert (same.code, same.out, same.err) == (0, "", "deploy is current: 5 files\n")

    (project / "deploy/default/shop/nginx/00-service-nginx.yaml").unlink()
    stale = invoke(*WEB, "--env", "dev", "--set", "replicas=4", "--check")
    assert stale.code == 5
    assert stale.out.splitlines() == [
        "missing    default/shop/nginx/00-service-nginx.yaml",
        "changed    default/shop/nginx/01-statefulset-web.yaml",
        "  -  replicas: 2",
        "  +  replicas: 4",
    ]
    assert stale.err == "deploy is stale: the same command without --check writes it\n"
    assert invoke(*WEB, "--env", "dev").code == 0
    assert files(project / "deploy") == before


def test_the_site_is_exported_target_by_target(invoke: Invoke, project: Path) -> None:
    (project / "site.yaml").write_text(SITE)
    export = (
        "export",
        "--format",
        "argocd",
        "--repo-url",
        "https://git.example.com/shop.git",
        "--output-dir",
        "deploy",
    )
    done = invoke(*export)
    assert done.code == 0, done.err
    assert [line for line in done.err.splitlines() if line.startswith("left out")] == [
        f"left out: Secret/orders-postgres-auth in shop (password, replication-password); "
        f"deploy/{target}/shop/orders/secrets.md says how to make it"
        for target in ("eu", "us")
    ]
    made = files(project / "deploy")
    assert {name.split("/")[0] for name in made} == {"eu", "us", "default", ".berth-export"}
    orders = yaml.safe_load(made["eu/_argocd/eu-shop-orders.yaml"])
    assert orders["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "1", "it needs zookeeper"
    assert orders["spec"]["source"]["path"] == "deploy/eu/shop/orders"
    again = invoke(*export, "--site", "site.yaml", "--check")
    assert (again.code, again.out) == (0, "")
    (project / "site.yaml").write_text(SITE.replace("  - {profile: nginx, namespace: web}\n", ""))
    left = invoke(*export, "--check")
    assert left.code == 5 and set(left.out.split()[::3]) == {"left"} and "default/_argocd/web-nginx.yaml" in left.out
    assert invoke(*export).code == 0
    assert not (project / "deploy/default").exists() and (project / "deploy/eu").is_dir()


def test_a_part_of_the_site_has_a_directory_of_its_own(invoke: Invoke, project: Path) -> None:
    (project / "site.yaml").write_text(SITE)
    done = invoke("export", "--output-dir", "eu", "--target", "eu", "--limit", "orders")
    assert done.code == 0, done.err
    names = set(files(project / "eu"))
    assert "eu/shop/orders/secrets.md" in names
    assert {name.split("/")[2] for name in names - {".berth-export"}} == {"orders"}


def test_secrets_of_the_machine_are_not_needed(invoke: Invoke, project: Path) -> None:
    """A job that checks an export has none of them: nothing is read that would not be written down."""
    (project / "profiles").mkdir()
    (project / "templates/vault").mkdir(parents=True)
    schema = "{type: object, properties: {key: {type: string, minLength: 8, x-secret: true, description: a key}}}"
    (project / "profiles/vault.yaml").write_text(
        f'name: vault\ndescription: a test\nversion: "1.0.0"\nschema: {schema}\nvalues: {{key: {{fromEnv: NOT_SET}}}}\n'
    )
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {key: '{{ values.key }}'}\n"
    (project / "templates/vault/secret.yaml").write_text(secret)
    done = invoke("export", "--profile", "vault", "--output-dir", "deploy")
    assert done.code == 0, done.err
    assert "left out: Secret/s in default (key)" in done.err
    (project / "site.yaml").write_text("name: safe\nreleases: [{profile: vault, values: {key: {fromFile: no.txt}}}]\n")
    done = invoke("export", "--output-dir", "deploy", "--check")
    assert (done.code, done.out) == (0, ""), done.err
    leak = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {key: '{{ values.key }}'}\n"
    (project / "templates/vault/config.yaml").write_text(leak)
    refused = invoke("export", "--profile", "vault", "--output-dir", "deploy")
    assert refused.code == 2
    assert "data.key of ConfigMap/c in default holds a secret value" in refused.err
    assert "templates/vault/config.yaml:4" in refused.err


def test_files_of_others_stay(invoke: Invoke, project: Path) -> None:
    (project / "deploy/default").mkdir(parents=True)
    (project / "deploy/default/mine.yaml").write_text("precious")
    for more in ((), ("--check",)):
        done = invoke(*WEB, *more)
        assert done.code == 2
        assert "deploy holds files that berth export --format dir did not write: default/mine.yaml" in done.err
    assert files(project / "deploy") == {"default/mine.yaml": "precious"}


def test_one_directory_has_one_format(invoke: Invoke, project: Path) -> None:
    assert invoke(*WEB).code == 0
    before = files(project / "deploy")
    done = invoke(*WEB, "--format", "kustomize")
    assert done.code == 2 and "was written by berth export --format dir, not by" in done.err
    rendered = invoke("render", "--profile", "nginx", "--output-dir", "deploy")
    assert rendered.code == 2 and "berth render did not write" in rendered.err
    assert files(project / "deploy") == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "nginx", "--check"], ["--output-dir is missing"]),
        ([*WEB[1:], "--format", "helm"], ["--format helm is not known", "dir, kustomize, argocd, flux"]),
        (["--format", "argocd"], ["--output-dir is missing", "--repo-url is missing"]),
        ([*WEB[1:], "--source-name", "x", "--project", "y"], ["--source-name is not for --format dir", "--project is"]),
        ([*WEB[1:], "--format", "argocd", "--repo-url", "https://me:hunter2@x/y"], ["--repo-url has a password in it"]),
        ([*WEB[1:], "--format", "argocd", "--repo-url", "https://[x"], ["--repo-url"]),
        ([*WEB[1:], "--format", "flux", "--repo-url", "git@x:y.git"], ["is not one that Flux takes", "ssh://"]),
        ([*WEB[1:], "--format", "flux", "--source-name", "My_Repo"], ["--source-name 'My_Repo' is no name for it"]),
        ([*WEB[1:], "--format", "flux", "--source-kind", "Helm"], ["--source-kind Helm is not known", "OCIRepository"]),
        ([*WEB[1:], "--format", "flux", "--source-kind", "Bucket", "--repo-url", "https://x/y"], ["not for a Bucket"]),
        ([*WEB[1:], "--format", "flux", "--path", "../x"], ["--path ../x leads out of the repository"]),
        (
            ["--profile", "nginx", "--format", "flux", "--output-dir", "/tmp/x"],
            ["where in the repository does /tmp/x lie?", "--path"],
        ),
        (["--output-dir", "deploy"], ["which profile?", "site.yaml"]),
        (["--output-dir", "deploy", "--site", "nope.yaml"], ["nope.yaml"]),
        ([*WEB[1:], "--site", "site.yaml"], ["--site and --profile exclude one another"]),
        (["--output-dir", "deploy", "--site", "site.yaml", "--env", "dev"], ["--site and --env exclude one another"]),
        ([*WEB[1:], "--env", "produktion"], ["produktion"]),
        (["--profile", "nginx", "--output-dir", "tasks.py"], ["tasks.py is a file, not a directory"]),
        (["--profile", "nginx", "--output-dir", "tasks.py", "--check"], ["tasks.py is a file, not a directory"]),
    ],
)
def test_bad_input(invoke: Invoke, project: Path, arguments: list[str], said: list[str]) -> None:
    (project / "site.yaml").write_text(SITE) if "site.yaml" in arguments else None
    before = files(project)
    done = invoke("export", *arguments)
    assert done.code == 2, done.err
    for text in said:
        assert text in done.err
    assert "hunter2" not in done.err and not done.out
    assert files(project) == before


def test_a_directory_that_cannot_be_made(invoke: Invoke) -> None:
    done = invoke("export", "--profile", "nginx", "--output-dir", "/proc/none/deploy")
    assert done.code == 1 and "cannot write to /proc/none/deploy" in done.err
