"""What an export says of releases: no secrets, an order, and what each engine must not delete."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import yaml
from jinja2 import DictLoader

from berth.core.errors import InputError
from berth.core.export.argocd import Argo, argocd
from berth.core.export.flux import Flux, flux
from berth.core.export.model import Exported, Part, export, holds_data, names_of
from berth.core.export.plain import kustomize, plain
from berth.core.objects import CHECKSUM_ANNOTATION, PART_OF_LABEL, Json, dig
from berth.core.render import Release, render
from berth.core.values import merge
from tests.unit.engine.support import ANYTHING, profile_of

pytestmark = pytest.mark.unit

SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: {{ named("auth") }}, annotations: {berth.dev/keep-with: data}}
stringData:
  password: {{ generate(20) }}
  token: {{ values.token }}
---
"""
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ named('conf') }}}\ndata: {a: {{ values.a }}}\n---\n"
SET = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: {{ named("db") }}}
spec:
  replicas: 3
  template:
    spec:
      containers:
        - name: db
          envFrom: [{secretRef: {name: {{ named("auth") }}}}, {configMapRef: {name: {{ named("conf") }}}}]
---
"""
CLASS = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast, labels: {from: {{ release.name }}}}
provisioner: {{ values.a }}
---
"""
SCHEMA: Json = {**ANYTHING, "properties": {"token": {"type": "string", "x-secret": True}, "a": {"type": "string"}}}


def release(template: str, name: str = "db", namespace: str = "shop", **values: Any) -> Release:
    """A release of templates in memory."""
    profile = profile_of({"token": "hunter2hunter2", "a": "x", **values}, SCHEMA)
    merged = merge(profile)
    manifests = render(profile, merged, name, namespace, None, DictLoader({"web/a.yaml": template}))
    return Release(name, namespace, profile, None, merged, manifests)


def one(template: str, **values: Any) -> Exported:
    (found,) = export([Part("", release(template, **values))])
    return found


def body(exported: Exported, kind: str) -> Json:
    (found,) = (item.body for item in exported.items if item.body["kind"] == kind)
    return found


def read(files: dict[str, str]) -> dict[str, Any]:
    return {name: yaml.safe_load(text) for name, text in files.items() if name.endswith(".yaml")}


ARGO = Argo("https://git.example.com/shop.git", path="deploy")
FORMATS: dict[str, Callable[[Sequence[Exported]], dict[str, str]]] = {
    "dir": plain,
    "kustomize": kustomize,
    "argocd": lambda found: argocd(found, ARGO),
    "set": lambda found: argocd(found, Argo("x", application_set="shops")),
    "flux": lambda found: flux(found, Flux(path="deploy", repo_url="https://git.example.com/shop.git")),
}


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_has_a_secret_and_each_says_which_are_missing(form: str) -> None:
    files = FORMATS[form]([one(SECRET + CONFIG + SET)])
    text = json.dumps(files)
    assert "hunter2" not in text and "aHVudGVyMm" not in text
    assert not any(one["kind"] == "Secret" for one in read(files).values())
    page = files["default/shop/db/secrets.md"]
    assert "## db-auth" in page and "Keep it as long as the claims" in page
    assert "| password | 20 random characters, made once |" in page
    assert "| token | a text of yours, which no export knows |" in page
    assert "kubectl create secret generic db-auth --namespace shop" in page
    assert PART_OF_LABEL not in text


@pytest.mark.parametrize("form", FORMATS)
def test_without_secrets_no_page_is_written(form: str) -> None:
    assert not any(name.endswith(".md") for name in FORMATS[form]([one(CONFIG)]))


def test_a_secret_without_values_is_an_object_like_others() -> None:
    token = "apiVersion: v1\nkind: Secret\nmetadata: {name: t}\ntype: kubernetes.io/service-account-token\n"
    found = one(token)
    assert [item.file for item in found.items] == ["00-secret-t.yaml"] and not found.withheld


@pytest.mark.parametrize("text", [SECRET, SECRET.replace("  password: {{ generate(20) }}\n", "")])
def test_a_copied_key_is_read_from_where_it_is(text: str) -> None:
    source = {"existingSecret": {"name": "vault", "key": "tls.crt"}}
    found = one(text, token=source)
    assert not found.items
    page = plain([found])["default/shop/db/secrets.md"]
    assert "| token | what the key tls.crt of Secret vault holds |" in page
    assert "get secret vault --namespace shop --output jsonpath='{.data.tls\\.crt}' | base64 --decode" in page


CRON = """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: {{ named("db") }}}
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: db
              envFrom: [{secretRef: {name: {{ named("auth") }}}}, {configMapRef: {name: {{ named("conf") }}}}]
---
"""


@pytest.mark.parametrize(("kind", "text", "path"), [("StatefulSet", SET, ""), ("CronJob", CRON, "jobTemplate.spec.")])
def test_a_checksum_tells_nothing_of_a_value_that_is_left_out(kind: str, text: str, path: str) -> None:
    def checksum(**values: Any) -> str:
        found = dig(body(one(SECRET + CONFIG + text, **values), kind), "spec", *f"{path}template.metadata".split("."))
        return str(found["annotations"][CHECKSUM_ANNOTATION])

    assert checksum() == checksum(token="another one")
    assert checksum() != checksum(a="y"), "what is not secret rolls the pods still"


def test_a_checksum_without_secret_values_is_that_of_up() -> None:
    made = release(CONFIG + SET)
    (found,) = export([Part("", made)])
    template = next(m.body for m in made.manifests if m.ref.kind == "StatefulSet")["spec"]["template"]
    assert body(found, "StatefulSet")["spec"]["template"] == template


def test_every_secret_value_outside_of_a_secret_is_refused() -> None:
    leak = CONFIG.replace("values.a", "'key=' ~ values.token") + SET.replace(
        "replicas: 3", "serviceName: {{ values.token }}"
    )
    with pytest.raises(InputError) as caught:
        one(leak)
    first, second = caught.value.problems
    assert first.what == "data.a of ConfigMap/db-conf in shop holds a secret value, which an export would write down"
    assert first.where == "templates/web/a.yaml:4" and "values.token" in first.why
    assert second.what.startswith("spec.serviceName of StatefulSet/db-db")
    assert "hunter2" not in str(caught.value)


def test_waves_are_the_phases_of_up() -> None:
    found = one(SET + CONFIG + SECRET)
    assert [(item.file, item.wave) for item in found.items] == [
        ("00-configmap-db-conf.yaml", 0),
        ("01-statefulset-db-db.yaml", 1),
    ]
    waves = {
        name.rpartition("/")[2]: dig(each, "metadata", "annotations", "argocd.argoproj.io/sync-wave")
        for name, each in read(argocd([found], ARGO)).items()
    }
    assert waves == {"00-configmap-db-conf.yaml": "0", "01-statefulset-db-db.yaml": "1", "shop-db.yaml": "0"}


def test_a_claim_comes_with_the_pods_that_it_waits_for() -> None:
    """A volume that is made for the first pod keeps its claim pending: an engine that waits for it never goes on."""
    claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: pool}\nspec: {storageClassName: fast}\n---\n"
    using = SET.replace(
        "      containers:", "      volumes: [{name: p, persistentVolumeClaim: {claimName: pool}}]\n      containers:"
    )
    found = one(CONFIG + CLASS + claim + using)
    assert [item.file for item in found.items] == [
        "00-storageclass-fast.yaml",
        "00-configmap-db-conf.yaml",
        "02-persistentvolumeclaim-pool.yaml",
        "02-statefulset-db-db.yaml",
    ]


def test_a_number_that_an_autoscaler_sets_is_not_written_down() -> None:
    scaler = (
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\n"
        "spec: {scaleTargetRef: {kind: StatefulSet, name: db-db}}\n---\n"
    )
    assert "replicas" not in body(one(SET + scaler), "StatefulSet")["spec"]
    for other in (scaler.replace("db-db", "other"), scaler.replace("StatefulSet", "Deployment")):
        assert body(one(SET + other), "StatefulSet")["spec"]["replicas"] == 3


def test_files_of_alike_names_are_told_apart() -> None:
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {0}}}\n---\n"
    text = role.format("'a:b'") + role.format("a_b") + role.format("A_B") + CONFIG.replace("named('conf')", "'c' * 240")
    names = [item.file for item in one(text).items]
    assert len({name.lower() for name in names}) == 4 and all(len(name) <= 200 for name in names)


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("PersistentVolumeClaim", {}, True),
        ("PersistentVolume", {}, True),
        ("StorageClass", {}, True),
        ("Namespace", {}, True),
        ("Secret", {"metadata": {"annotations": {"berth.dev/keep-with": "data"}}}, True),
        ("Secret", {}, False),
        ("ConfigMap", {}, False),
        ("StatefulSet", {}, False),
        ("StatefulSet", {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"}}}, False),
        ("StatefulSet", {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}}, True),
    ],
)
def test_what_holds_data(kind: str, more: Json, expected: bool) -> None:
    assert holds_data({"kind": kind, "metadata": {}, **more}) is expected


def test_what_holds_data_is_not_pruned() -> None:
    found = one(CONFIG + CLASS)
    in_argo, in_flux = (
        {name.rpartition("/")[2]: each["metadata"].get("annotations", {}) for name, each in read(files).items()}
        for files in (argocd([found], ARGO), flux([found], Flux()))
    )
    option, prune = "argocd.argoproj.io/sync-options", "kustomize.toolkit.fluxcd.io/prune"
    assert in_argo["00-storageclass-fast.yaml"][option] == "Prune=false,Delete=false"
    assert option not in in_argo["00-configmap-db-conf.yaml"]
    assert in_flux["00-storageclass-fast.yaml"] == {prune: "disabled"}
    assert in_flux["namespace.shop.yaml"] == {prune: "disabled"}
    assert in_flux["00-configmap-db-conf.yaml"] == {}


def test_needs_order_releases() -> None:
    parts = [
        Part("eu", release(CONFIG, "base")),
        Part("eu", release(CONFIG, "mid"), (("shop", "base"), ("shop", "elsewhere"))),
        Part("eu", release(CONFIG, "top"), (("shop", "mid"), ("shop", "base"))),
        Part("us", release(CONFIG, "top"), (("shop", "base"),)),
    ]
    found = export(parts)
    assert [(each.directory, each.wave) for each in found] == [
        ("eu/shop/base", 0),
        ("eu/shop/mid", 1),
        ("eu/shop/top", 2),
        ("us/shop/top", 0),
    ]
    files = read(flux(found, Flux()))
    assert "dependsOn" not in files["eu/_flux/shop-base.yaml"]["spec"]
    assert files["eu/_flux/shop-top.yaml"]["spec"]["dependsOn"] == [{"name": "shop-mid"}, {"name": "shop-base"}]
    assert "dependsOn" not in files["us/_flux/shop-top.yaml"]["spec"], "what is not exported is not waited for"
    apps = read(argocd(found, ARGO))
    assert dig(apps["eu/_argocd/eu-shop-top.yaml"], "metadata", "annotations", "argocd.argoproj.io/sync-wave") == "2"
    assert apps["eu/_argocd/eu-shop-top.yaml"]["spec"]["destination"] == {"name": "eu", "namespace": "shop"}


def test_an_application_set_has_every_release_of_its_target() -> None:
    parts = [
        Part("eu", release(CONFIG, "a")),
        Part("eu", release(CONFIG, "b"), (("shop", "a"),)),
        Part("", release(CONFIG)),
    ]
    files = read(argocd(export(parts), Argo("x", path="deploy", application_set="shops")))
    assert [name for name in files if "_argocd" in name] == [
        "eu/_argocd/applicationset.yaml",
        "default/_argocd/applicationset.yaml",
    ]
    eu, own = (files[f"{place}/_argocd/applicationset.yaml"] for place in ("eu", "default"))
    assert (eu["metadata"]["name"], own["metadata"]["name"]) == ("shops-eu", "shops")
    assert eu["spec"]["generators"][0]["list"]["elements"] == [
        {"name": "eu-shop-a", "namespace": "shop", "path": "deploy/eu/shop/a", "wave": "0"},
        {"name": "eu-shop-b", "namespace": "shop", "path": "deploy/eu/shop/b", "wave": "1"},
    ]
    assert len(eu["spec"]["strategy"]["rollingSync"]["steps"]) == 2 and "strategy" not in own["spec"]
    assert own["spec"]["syncPolicy"] == {"preserveResourcesOnDeletion": True}, "else all it made goes with it"
    assert own["spec"]["template"]["spec"]["destination"]["server"] == "https://kubernetes.default.svc"


def test_what_several_releases_share_is_the_first_one_s() -> None:
    found = export([Part("", release(CLASS + CONFIG, "a")), Part("", release(CLASS + CONFIG, "b"))])
    assert [[item.body["kind"] for item in each.items] for each in found] == [
        ["StorageClass", "ConfigMap"],
        ["ConfigMap"],
    ]
    assert (found[1].needs, found[1].wave) == (("default/shop/a",), 1)
    with pytest.raises(InputError, match="the releases a and b say different things of StorageClass/fast"):
        export([Part("", release(CLASS, "a")), Part("", release(CLASS, "b", a="y"))])
    assert len(export([Part("eu", release(CLASS, "a")), Part("us", release(CLASS, "b", a="y"))])) == 2


def test_a_target_cannot_be_mistaken_for_the_run_s_own() -> None:
    with pytest.raises(InputError, match="2 releases would be written to default/shop/db"):
        export([Part("", release(CONFIG)), Part("default", release(CONFIG))])


def test_names_in_engines() -> None:
    found = export([Part("eu", release(CONFIG, "c", "a-b")), Part("us", release(CONFIG, "c", "a" * 63))])
    assert names_of(found[:1], with_target=True) == {"eu/a-b/c": "eu-a-b-c"}
    assert names_of(found[:1], with_target=False) == {"eu/a-b/c": "a-b-c"}
    (long,) = names_of(found[1:], with_target=True).values()
    assert len(long) == 63 and long.startswith("us-aaa")
    alike = export([Part("", release(CONFIG, "c", "a-b")), Part("", release(CONFIG, "b-c", "a"))])
    with pytest.raises(InputError, match="default/a-b/c and default/a/b-c would both be called a-b-c"):
        names_of(alike, with_target=True)


def test_a_kustomization_lists_what_is_there() -> None:
    files = kustomize(export([Part("", release(SECRET + CONFIG + SET)), Part("eu", release(CONFIG, "a", "other"))]))
    parsed = read(files)
    assert parsed["default/kustomization.yaml"]["resources"] == ["shop/db"]
    assert parsed["eu/kustomization.yaml"]["resources"] == ["other/a"]
    assert {str(each["sortOptions"]) for name, each in parsed.items() if "kustomization" in name} == {
        "{'order': 'fifo'}"
    }
    assert parsed["default/shop/db/kustomization.yaml"]["resources"] == [
        "00-configmap-db-conf.yaml",
        "01-statefulset-db-db.yaml",
    ]
    assert "# The Secrets of this release are not here: secrets.md\n" in files["default/shop/db/kustomization.yaml"]


def test_a_release_of_nothing_but_secrets_has_no_kustomization() -> None:
    """kustomize refuses one that is empty."""
    found = export([Part("", release(SECRET, "only")), Part("", release(CONFIG, "more"))])
    files = kustomize(found)
    assert [name for name in files if "/only/" in name] == ["default/shop/only/secrets.md"]
    assert read(files)["default/kustomization.yaml"]["resources"] == ["shop/more"]
    assert list(kustomize(found[:1])) == ["default/shop/only/secrets.md"]


def test_flux_waits_for_sets_and_for_all_where_there_are_none() -> None:
    files = read(flux(export([Part("", release(SET)), Part("", release(CONFIG, "c"))]), Flux()))
    with_set, without = (files[f"default/_flux/shop-{name}.yaml"]["spec"] for name in ("db", "c"))
    assert with_set["healthChecks"] == [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db-db", "namespace": "shop"}
    ]
    assert "wait" not in with_set, "with it Flux would not look at healthChecks"
    assert with_set["deletionPolicy"] == without["deletionPolicy"] == "Orphan", "what was made outlives it"
    assert without["wait"] is True and "healthChecks" not in without
    assert {each["kind"] for each in files.values() if "_flux" in str(each)} <= {"Kustomization"}


@pytest.mark.parametrize(
    ("revision", "ref"), [("main", {"branch": "main"}), ("refs/tags/v1", {"name": "refs/tags/v1"})]
)
def test_flux_s_source_is_written_where_its_url_is_known(revision: str, ref: Json) -> None:
    found = [one(CONFIG)]
    assert "default/_flux/gitrepository.yaml" not in flux(found, Flux())
    made = read(flux(found, Flux(repo_url="https://x/y", revision=revision)))["default/_flux/gitrepository.yaml"]
    assert made["spec"] == {"interval": "5m", "url": "https://x/y", "ref": ref}


def test_the_namespace_of_everyone_is_not_made() -> None:
    (found,) = export([Part("", release(CONFIG, namespace="default"))])
    assert not any("namespace." in name for name in flux([found], Flux()))
    own = "apiVersion: v1\nkind: Namespace\nmetadata: {name: {{ release.namespace }}}\n"
    assert not any("namespace." in name for name in flux([one(own)], Flux()))
