"""Imported sets: what is taken over, the text of their files, and what is said of secrets and other tools."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import pytest
from jinja2 import DictLoader

from berth.core.diff import Change
from berth.core.errors import BerthError, InputError, Position, PreflightError
from berth.core.importing.advice import change_line, mend_lines, own_marks, owners, secrets
from berth.core.importing.convert import Chosen, choose, literal, release_name, require_free
from berth.core.importing.text import files, values_of
from berth.core.lint.model import Finding, Severity
from berth.core.objects import ADOPTS_ANNOTATION, INSTANCE_LABEL, PART_OF_LABEL, Json, ObjectRef, applyset_id, dig
from berth.core.profile import Source, load
from berth.core.render import render
from berth.core.values import merge
from tests.unit.core.samples import UID, over, statefulset

pytestmark = pytest.mark.unit

OWNER = {"apiVersion": "example.com/v1", "kind": "Db", "name": "main", "uid": "7", "controller": True}


def running(changes: Json | None = None) -> Json:
    """A set as the API server has it, made by kubectl."""
    made = statefulset(
        over(
            {
                "metadata": {
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    "resourceVersion": "5",
                    "managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update"}],
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "team": "blue"},
                },
                "spec": {
                    "template": {
                        "metadata": {"creationTimestamp": None},
                        "spec": {
                            "dnsPolicy": "ClusterFirst",
                            "restartPolicy": "Always",
                            "schedulerName": "default-scheduler",
                            "securityContext": {},
                        },
                    }
                },
            },
            changes,
        )
    )
    for container in made["spec"]["template"]["spec"]["containers"]:
        container.setdefault("resources", {})
    return made


def service(name: str, changes: Json | None = None) -> Json:
    return over(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}"},
            "spec": {
                "clusterIP": "10.0.0.7",
                "clusterIPs": ["10.0.0.7"],
                "internalTrafficPolicy": "Cluster",
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
                "selector": {"app": "web"},
                "sessionAffinity": "None",
                "type": "ClusterIP",
            },
            "status": {"loadBalancer": {}},
        },
        changes,
    )


def budget(selector: Any) -> Json:
    meta = {"name": "web", "namespace": "shop", "uid": "uid-pdb"}
    spec = {"maxUnavailable": 1, "selector": selector}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}


def pod(name: str, labels: dict[str, str], owner: str = "") -> Json:
    meta: Json = {"name": name, "uid": f"uid-{name}", "labels": labels}
    if owner:
        meta["ownerReferences"] = [{"kind": "StatefulSet", "name": "web", "uid": owner, "controller": True}]
    return {"metadata": meta}


def only(body: Json) -> Chosen:
    return Chosen(body, (), ())


def rendered(chosen: Chosen, sets: tuple[str, ...] = (), name: str = "web") -> dict[str, Json]:
    """What the files give, by kind and name; berth's own marks are left out."""
    texts = files(chosen, name)
    templates = {path.removeprefix("templates/"): text for path, text in texts.items() if "templates/" in path}
    profile = load(name, lambda wanted: Source(wanted, texts[f"profiles/{wanted}.yaml"], f"{wanted}.yaml"))
    manifests = render(profile, merge(profile, sets=sets), name, "shop", None, DictLoader(templates))
    found = {}
    for manifest in manifests:
        body = deepcopy(manifest.body)
        assert body["metadata"].pop("namespace") == "shop"
        assert body["metadata"]["labels"].pop(PART_OF_LABEL) == applyset_id(name, "shop")
        if not body["metadata"]["labels"]:
            del body["metadata"]["labels"]
        found[f"{body['kind']}/{body['metadata']['name']}"] = body
    return found


def test_a_template_says_what_a_person_would() -> None:
    body = literal(running())
    assert body["metadata"] == {"name": "web", "annotations": {"team": "blue", ADOPTS_ANNOTATION: UID}}
    assert body["spec"]["template"] == {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "nginx", "image": "nginx:1.29", "resources": {}}]},
    }
    assert literal(service("web"))["spec"] == {"ports": [{"port": 80}], "selector": {"app": "web"}}
    headless = literal(service("web", {"spec": {"clusterIP": "None", "clusterIPs": ["None"]}}))
    assert headless["spec"]["clusterIP"] == "None"


def test_what_has_one_owner_as_a_whole_stays_whole() -> None:
    """Less of it would be a conflict: server-side apply compares before defaults are filled in."""
    reference = {"name": "POD", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}
    template = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "volumeMode": "Filesystem",
        },
        "status": {"phase": "Pending"},
    }
    live = running({"spec": {"volumeClaimTemplates": [template]}})
    live["spec"]["template"]["spec"]["containers"][0]["env"] = [reference]
    body = rendered(only(live))["StatefulSet/web"]
    assert body["spec"]["volumeClaimTemplates"] == [template]
    assert body["spec"]["template"]["spec"]["containers"][0]["env"] == [reference]


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "nginx:1.29",
        "localhost:5000/team/nginx",
        "localhost:5000/team/nginx:1.29",
        f"nginx@sha256:{'0' * 64}",
        f"registry.k8s.io/nginx:1.29@sha256:{'0' * 64}",
        "Strange Image:{{ x }}",
    ],
)
def test_every_form_of_an_image_comes_back(image: str) -> None:
    live = running()
    live["spec"]["template"]["spec"]["containers"][0]["image"] = image
    assert rendered(only(live))["StatefulSet/web"]["spec"]["template"]["spec"]["containers"][0]["image"] == image


def test_values_reach_their_fields() -> None:
    """Names of containers and claims that are methods of mappings are names all the same."""
    resources = {"requests": {"storage": "1Gi"}}
    claims = [
        {"metadata": {"name": name}, "spec": {"resources": resources, "storageClassName": "fast"}}
        for name in ("items", "wal")
    ]
    live = running({"spec": {"volumeClaimTemplates": claims}})
    containers = live["spec"]["template"]["spec"]["containers"]
    containers[0]["resources"] = {"limits": {"memory": "1Gi"}}
    containers.append({"name": "keys", "image": "exporter:1", "resources": {"claims": [{"name": "gpu"}]}})
    live["spec"]["template"]["spec"]["initContainers"] = [{"name": "get", "image": "busybox"}]
    chosen = only(live)
    assert values_of(chosen) == {
        "replicas": 3,
        "image": {"repository": "nginx", "tag": "1.29", "digest": None},
        "resources": {"limits": {"memory": "1Gi"}},
        "containers": {
            "keys": {"image": {"repository": "exporter", "tag": "1", "digest": None}},
            "get": {"image": {"repository": "busybox", "tag": None, "digest": None}, "resources": {}},
        },
        "storage": {
            "items": {"size": "1Gi", "className": "fast"},
            "wal": {"size": "1Gi", "className": "fast"},
        },
    }
    sets = (
        "replicas=5",
        "image.tag=1.30",
        "resources.limits.memory=2Gi",
        "resources.requests.cpu=500m",
        "containers.keys.image.tag=2",
        "storage.items.size=2Gi",
        "storage.wal.className=null",
    )
    spec = rendered(chosen, sets)["StatefulSet/web"]["spec"]
    assert spec["replicas"] == 5
    main, side = spec["template"]["spec"]["containers"]
    assert (main["image"], side["image"]) == ("nginx:1.30", "exporter:2")
    assert main["resources"] == {"limits": {"memory": "2Gi"}, "requests": {"cpu": "500m"}}
    assert side["resources"] == {"claims": [{"name": "gpu"}]}
    first, second = spec["volumeClaimTemplates"]
    assert dig(first, "spec", "resources", "requests", "storage") == "2Gi"
    assert "storageClassName" not in second["spec"]


@pytest.mark.parametrize(
    "wrong", ["replicas=-1", "image.tag=a b", "storage.size=big", "resources.limits.cpu=much", "x=1"]
)
def test_values_are_checked(wrong: str) -> None:
    with pytest.raises(InputError):
        rendered(only(running()), (wrong,))


_WORDS = [
    *"{}%#\"'\\:-|>&*!?@`~, \t\nxé0",
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{{{",
    "{%%",
    "null",
    "no",
    "1e3",
    "slot0x",
]


@pytest.mark.parametrize("seed", range(20))
def test_any_text_comes_back_as_it_was(seed: int) -> None:
    """Also what Jinja or YAML would read something into, in values and keys, in lines and blocks."""
    chance = random.Random(seed)
    texts = ["".join(chance.choices(_WORDS, k=chance.randrange(1, 12))) for _ in range(30)]
    live = running()
    live["spec"]["template"]["metadata"]["annotations"] = {f"k{i}": text for i, text in enumerate(texts)}
    live["spec"]["template"]["spec"]["containers"][0]["args"] = texts
    live["spec"]["template"]["spec"]["nodeSelector"] = {"{{ key }}": "{% raw %}", "{#": "#}"}
    body = rendered(only(live))["StatefulSet/web"]
    assert body["spec"] == literal(live)["spec"]


def test_the_same_arguments_give_the_same_text() -> None:
    assert files(only(running()), "web") == files(only(running()), "web")


def test_what_belongs_to_the_set() -> None:
    labels = {"app": "web"}
    pods = [pod("web-0", labels, UID), pod("db-0", {"app": "db", "tier": "data"})]
    services = [
        service("web", {"spec": {"clusterIP": "None"}}),
        service("client"),
        service("other", {"spec": {"selector": {"app": "db"}}}),
        service("none", {"spec": {"selector": None}}),
        service("theirs", {"metadata": {"ownerReferences": [OWNER]}}),
        service("released", {"metadata": {"labels": {PART_OF_LABEL: "applyset-x"}}}),
    ]
    live = running()
    live["spec"]["template"]["spec"]["volumes"] = [{"name": "c", "configMap": {"name": "conf"}}]
    live["spec"]["template"]["spec"]["serviceAccountName"] = "runner"
    found = choose(live, [live], services, [budget({"matchLabels": labels}), budget({})], pods)
    assert [(one["kind"], one["metadata"]["name"]) for one in found.others] == [
        ("Service", "web"),
        ("Service", "client"),
        ("PodDisruptionBudget", "web"),
    ]
    assert {one.name: one.why for one in found.left if "restart" not in one.why} == {
        "Service/theirs": "it was made by Db/main",
        "Service/released": "it belongs to another release, or another tool's set of objects",
        "PodDisruptionBudget/web": "it selects pods of others, too, such as db-0",
        "ServiceAccount/runner": "pods run as it, and others may",
    }
    assert literal(live)["metadata"]["annotations"]["berth.dev/external"] == "ConfigMap/conf"


def test_a_service_that_others_use_stays() -> None:
    other = over(running(), {"metadata": {"name": "cache"}})
    found = choose(running(), [running(), other], [service("web")], [], [])
    assert (found.others, [one.why for one in found.left]) == ((), ["StatefulSet/cache names it, too"])
    found = choose(running(), [], [service("web")], [], [pod("stray", {"app": "web", "x": "y"})])
    assert [one.why for one in found.left] == ["it selects pods of others, too, such as stray"]
    assert [one.why for one in choose(running(), [], [], [], []).left] == ["the set names it, and it does not exist"]


@pytest.mark.parametrize(
    ("changes", "release", "error", "words"),
    [
        ({}, "shop", InputError, "of release shop already"),
        ({"metadata": {"labels": {PART_OF_LABEL: "applyset-x"}}}, None, InputError, "another set of objects"),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, None, PreflightError, "being deleted"),
        ({"metadata": {"ownerReferences": [OWNER]}}, None, PreflightError, "made by Db/main"),
    ],
)
def test_what_others_steer_is_refused(changes: Json, release: str | None, error: type[BerthError], words: str) -> None:
    with pytest.raises(error, match=words):
        require_free(running(changes), release)
    require_free(running(), None)


def test_the_release_is_called_what_the_claims_are_labelled_with() -> None:
    assert release_name(running(), "web") == "web"
    labelled = running({"spec": {"selector": {"matchLabels": {INSTANCE_LABEL: "shop"}}}})
    assert release_name(labelled, "web") == "shop"
    template = {"metadata": {"name": "data", "labels": {INSTANCE_LABEL: "own"}}, "spec": {}}
    assert release_name(running({"spec": {"volumeClaimTemplates": [template]}}), "web") == "own"


def test_secrets_are_named_and_never_shown() -> None:
    live = running()
    live["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "DB_PASSWORD", "value": "hunter2"},
        {"name": "API_KEY", "value": "hunter2"},
        {"name": "URL", "value": "postgres://me:hunter2@db/x"},
        {"name": "PASSWORD_FILE", "value": "/run/secret"},
        {"name": "EMPTY_PASSWORD", "value": ""},
        {"name": "OTHER_PASSWORD", "value": "$(DB_PASSWORD)"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
        {"name": "PLACE", "value": "http://db:8080/@home"},
    ]
    found = list(secrets(live))
    assert found == [f"container nginx, variable {name}" for name in ("DB_PASSWORD", "API_KEY", "URL")]
    assert "hunter2" not in files(only(live), "web")["profiles/web.yaml"]


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        (
            {"annotations": {"meta.helm.sh/release-name": "a", "meta.helm.sh/release-namespace": "b"}},
            "kubectl delete secret --namespace b --selector owner=helm,name=a",
        ),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "app:apps/StatefulSet:shop/web"}}, "application app, "),
        ({"labels": {"argocd.argoproj.io/instance": "app"}}, "application app, "),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Kustomization apps, "),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "web"}}, "HelmRelease web, "),
        (
            {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "invoke render | kubectl apply --server-side",
        ),
    ],
)
def test_other_tools_are_named_once_and_their_marks_left_out(meta: Json, words: str) -> None:
    live = service("web", {"metadata": meta})
    (line,) = owners([live, live], "invoke render")
    assert words in line
    assert literal(live)["metadata"] == {"name": "web", "annotations": {ADOPTS_ANNOTATION: "uid-web"}}


def test_marks_of_berth_are_told_from_other_changes() -> None:
    marks = [
        Change(f"metadata.labels['{PART_OF_LABEL}']", "(absent)", "applyset-x"),
        Change("metadata.labels", "(absent)", {PART_OF_LABEL: "applyset-x"}),
        Change(f"metadata.annotations['{ADOPTS_ANNOTATION}']", "(absent)", UID),
    ]
    others = [
        Change("metadata.labels.app", "(absent)", "x"),
        Change("metadata.annotations", "(absent)", {"berth.dev/adopts": UID, "x": "y"}),
        Change("spec.template.metadata.annotations['berth.dev/config-checksum']", "(absent)", "x"),
    ]
    assert own_marks([*marks, *others]) == (marks, others)


def test_a_variable_that_differs_is_not_shown() -> None:
    ref = ObjectRef("apps", "StatefulSet", "shop", "web")
    path = "spec.template.spec.containers[name=web].env[name=A].value"
    assert change_line(ref, Change(path, "hunter2", "hunter3")) == f"StatefulSet/web {path}: (hidden) -> (hidden)"
    assert change_line(ref, Change("spec.replicas", 1, 2)) == "StatefulSet/web spec.replicas: 1 -> 2"


def finding(rule: str, message: str) -> Finding:
    ref = ObjectRef("apps", "StatefulSet", "shop", "web")
    return Finding(rule, Severity.ERROR, ref, "", message, "do that", Position("x"))


def test_findings_are_waived_with_a_reason_and_what_can_be_mended_is_said_once() -> None:
    found = [
        finding("security/seccomp", "a has none"),
        finding("security/seccomp", "b has none"),
        finding("labels/instance", "no label"),
    ]
    text = files(only(running()), "web", found)["profiles/web.yaml"]
    assert text.count("rule: security/seccomp") == 1
    assert text.count("reason: as it ran before the import") == 1
    assert mend_lines(found) == ["error security/seccomp: StatefulSet/web: a has none, and 1 more; do that"]
