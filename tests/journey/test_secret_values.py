"""Secret values as a user meets them: from a file, out of an encrypted file, in a rehearsal; never in what is said."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from berth.cluster.kube import Kube
from tests.contract.support import rehearsal_only
from tests.journey.conftest import Invoke, Result

pytestmark = pytest.mark.journey

SHOP = """\
name: shop
description: An nginx with a password
version: "1.0.0"
extends: nginx
templates: ["nginx/*.yaml", "shop/*.yaml"]
schema:
  properties:
    password: {type: string, x-secret: true}
    note: {type: string}
values: {minReadySeconds: 0, replicas: 2, password: {fromFile: ../secrets/pw}, note: none}
environments:
  variable: {password: {fromEnv: SHOP_PASSWORD}}
  theirs: {password: {existingSecret: {name: theirs, key: pw}}}
"""
OBJECTS = """\
{% for kind in ("Secret", "ConfigMap") %}
---
apiVersion: v1
kind: {{ kind }}
metadata:
  name: {{ named("shop-" ~ kind | lower) }}
  labels:
    app.kubernetes.io/name: shop
    app.kubernetes.io/instance: {{ release.name }}
    app.kubernetes.io/managed-by: berth
{% if kind == "Secret" %}
stringData: {password: {{ values.password }}}
{% else %}
data: {note: {{ values.note }}}
{% endif %}
{% endfor %}
"""
SEALED = """\
note: ENC[AES256_GCM,data:x]
podAnnotations:
    token: ENC[AES256_GCM,data:y]
sops:
    mac: ENC[AES256_GCM,data:z]
"""
#: A stand-in for sops that knows one file.
STAND_IN = """#!{python}
import sys
sys.stdin.read()
print('{{"note": "sops-secret-note", "podAnnotations": {{"token": "sops-secret-token"}}}}')
"""
SECRETS = ("first-secret", "second-secret", "sops-secret")


@pytest.fixture
def shop(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the profile, its password in a file, an encrypted file, and what stands in for sops."""
    files = {
        "profiles/shop.yaml": SHOP,
        "templates/shop/a.yaml": OBJECTS,
        "secrets/pw": "first-secret\n",
        "sealed.yaml": SEALED,
        "bin/sops": STAND_IN.format(python=sys.executable),
    }
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    (project / "bin" / "sops").chmod(0o755)
    monkeypatch.setenv("PATH", f"{project / 'bin'}:{os.environ['PATH']}")
    return project


def say_nothing(*results: Result) -> None:
    """No secret is in what was said."""
    for done in results:
        for secret in SECRETS:
            for text in (secret, b64encode(secret.encode()).decode()[:10]):
                assert text not in done.out + done.err


@rehearsal_only
def test_a_life_with_a_password(shop: Path, kube: Kube, space: str, invoke_on: Invoke) -> None:
    where = ("--namespace", space)
    first = [invoke_on(verb, "--profile", "shop", *where) for verb in ("plan", "up", "up")]
    assert [one.code for one in first] == [0, 0, 0] and "changed=0" in first[2].out
    (shop / "secrets" / "pw").write_text("second-secret\n")
    plan = invoke_on("plan", "--exit-code", "--profile", "shop", *where)
    assert plan.code == 5 and "data.password: (hidden) -> (hidden)" in plan.out
    later = [
        invoke_on("up", "--profile", "shop", "--values", "sealed.yaml", *where),
        invoke_on("plan", "--profile", "shop", "--set", "note=clear", "--output", "json", *where),
        invoke_on("history", "--name", "shop", *where),
        invoke_on("history", "--name", "shop", "--output", "json", *where),
        invoke_on("status", "--name", "shop", *where),
        invoke_on("drift", "--name", "shop", *where),
        invoke_on("render", "--profile", "shop", "--values", "sealed.yaml"),
        invoke_on("profiles.show", "--profile", "shop", "--values", "sealed.yaml"),
    ]
    assert [one.code for one in later] == [0] * len(later)
    say_nothing(*first, plan, *later)
    assert kube.list("", "Pod", space).items[0]["metadata"]["annotations"]["token"] == "sops-secret-token"
    # What came out of an encrypted file is not kept; the password is read from its file again.
    refused = invoke_on("scale", "--name", "shop", "--replicas", "1", *where)
    assert refused.code == 2 and "its record does not keep: note, podAnnotations.token" in refused.err
    end = [
        invoke_on("up", "--profile", "shop", *where),
        invoke_on("scale", "--name", "shop", "--replicas", "1", *where),
        invoke_on("teardown", "--name", "shop", "--data", "delete", "--yes", *where),
    ]
    assert [one.code for one in end] == [0, 0, 0]
    say_nothing(refused, *end)


def test_what_is_missing_is_bad_input(shop: Path, invoke: Invoke) -> None:
    done = invoke("render", "--profile", "shop", "--env", "variable", "--set", "note.fromEnv=X")
    assert done.code == 2 and done.out == ""
    assert "note.fromEnv: fromEnv stands only for a secret value" in done.err
    assert "password: the environment variable SHOP_PASSWORD is not set\n  at profiles/shop.yaml:" in done.err
    (shop / "bin" / "sops").unlink()
    done = invoke("render", "--profile", "shop", "--values", "sealed.yaml")
    assert done.code == 2 and "at sealed.yaml" in done.err and "sops" in done.err
    assert invoke("lint", "--profile", "shop").code == 0, "no secret is needed for that"


def test_a_rehearsal_needs_no_secret_of_the_cluster(shop: Path, invoke: Invoke) -> None:
    done = invoke("rehearse", "--profile", "shop", "--env", "theirs", "--", "up", "then", "up")
    assert done.code == 0 and "changed=0" in done.out
    say_nothing(done)
