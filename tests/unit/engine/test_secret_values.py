"""Secret values by where they come from: merged, checked, kept in records, and what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from berth.core import schema as schemas
from berth.core.errors import InputError, ValuesError
from berth.core.objects import Json
from berth.core.profile import Layer, Profile
from berth.core.secretvalues import Copied, Generated, Unread, with_sources
from berth.core.values import Values, get, merge
from tests.unit.engine.support import profile_from

pytestmark = pytest.mark.unit

SHOP = """name: shop
description: a test
version: "1.0.0"
schema:
  properties:
    auth:
      type: object
      properties:
        password: {type: string, minLength: 8, maxLength: 40, pattern: '^[a-z0-9-]+$', x-secret: true}
        token: {type: [string, "null"], x-secret: true}
        pin: {type: integer, x-secret: true}
        user: {type: string}
    vault: {type: object, x-secret: true, additionalProperties: {type: string}}
    keys: {type: array, items: {type: object, properties: {text: {type: string, x-secret: true}}}}
    annotations: {type: object, additionalProperties: {type: string, x-secret: true}}
    free: {type: object, additionalProperties: true}
    replicas: {type: integer}
    hosts: {type: array, items: {type: string}}
values:
  auth: {password: first-text, user: shop}
  replicas: 2
environments:
  live: {auth: {password: {fromEnv: PASSWORD}}}
"""
SECRET = "secret-of-env"


class Fake(Unread):
    """What a machine has, and what was asked of it."""

    def __init__(self, variables: dict[str, str] | None = None, decrypted: Json | None = None) -> None:
        self.variables = {"PASSWORD": SECRET} if variables is None else variables
        self.plain = decrypted
        self.asked: list[str] = []

    def variable(self, name: str) -> str:
        self.asked.append(name)
        if name not in self.variables:
            raise InputError(f"no {name}")
        return self.variables[name]

    def file(self, path: str) -> str:
        self.asked.append(path)
        return "secret-of-file"

    def decrypted(self, file: str, text: str) -> Json:
        if self.plain is None:
            raise InputError("no key")
        return self.plain


@pytest.fixture(scope="module")
def shop() -> Profile:
    return profile_from({"shop": SHOP}, "shop")


def made(shop: Profile, *sets: str, reading: Any = None, env: str | None = None, **more: Any) -> Values:
    files = [(f"values/{name}.yaml", text) for name, text in more.items()]
    return merge(shop, env, files, sets, reading=reading or Fake())


def problems(shop: Profile, *sets: str, reading: Any = None, **files: Any) -> str:
    with pytest.raises(ValuesError) as caught:
        made(shop, *sets, reading=reading, **files)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_variable_is_read_hidden_and_remembered(shop: Profile) -> None:
    values = made(shop, env="live")
    assert values.data["auth"] == {"password": SECRET, "user": "shop"}
    assert values.secret_paths == {"auth.password"}
    assert values.masked()["auth"] == {"password": {"fromEnv": "PASSWORD"}, "user": "shop"}
    assert str(values.source_of("auth.password")) == (
        "environment live of shop (profiles/shop.yaml:23), from environment variable PASSWORD"
    )
    assert list(values.secret_texts()) == [SECRET]
    assert "auth.password.fromEnv" not in values.sources


@pytest.mark.parametrize(
    "name,text,path,beside",
    [
        ("a", "auth: {password: {fromFile: pw}}", "values/pw", "a file: beside it"),
        ("b", "auth: {password: {fromFile: ../x/./pw}}", "x/pw", "a way up"),
        ("c", "auth: {password: {fromFile: /run/pw}}", "/run/pw", "absolute"),
        ("d", "auth: {password: {fromFile: ~/pw}}", "~/pw", "at home"),
    ],
)
def test_a_file_is_beside_the_one_that_names_it(shop: Profile, name: str, text: str, path: str, beside: str) -> None:
    reading = Fake()
    values = made(shop, reading=reading, **{name: text})
    assert reading.asked == [path], beside
    assert values.masked()["auth"]["password"] == {"fromFile": path}


def test_of_set_and_of_a_record_it_is_below_the_current_directory(shop: Profile) -> None:
    reading = Fake()
    made(shop, "auth.password.fromFile=pw", reading=reading)
    below = [Layer("the record of x", {"auth": {"password": {"fromFile": "values/pw"}}})]
    merge(shop, below=below, reading=reading)
    assert reading.asked == ["pw", "values/pw"]


def test_what_the_cluster_has_is_a_token(shop: Profile) -> None:
    values = made(shop, "auth.token.generate=20", "auth.password.existingSecret={name: db, key: pw}")
    assert values.data["auth"] == {"password": Copied("db", "pw"), "token": Generated(20), "user": "shop"}
    kept = values.masked()
    assert kept["auth"]["password"] == {"existingSecret": {"name": "db", "key": "pw"}}
    assert kept["auth"]["token"] == {"generate": 20}
    assert list(values.secret_texts()) == []
    json.dumps(kept)
    again = merge(shop, below=[Layer("the record", kept)], reading=Fake({}))
    assert again == values or again.data == values.data, "nobody is asked again"


def test_existing_secret_by_its_parts(shop: Profile) -> None:
    values = made(shop, "auth.password.existingSecret.name=db", "auth.password.existingSecret.key=pw")
    assert values.data["auth"]["password"] == Copied("db", "pw")


@pytest.mark.parametrize(
    "sets,expected,asked",
    [
        (("auth.password=other-text",), "other-text", []),
        (("auth.password.fromEnv=A", "auth.password.fromEnv=PASSWORD"), SECRET, ["PASSWORD"]),
        (("auth.password.fromEnv=A", "auth.password.fromFile=f"), "secret-of-file", ["f"]),
        (("auth.password.fromEnv=A", "auth.password.generate=9"), Generated(9), []),
    ],
)
def test_only_the_last_source_is_read(shop: Profile, sets: tuple[str, ...], expected: Any, asked: list[str]) -> None:
    reading = Fake()
    assert made(shop, *sets, reading=reading, env="live").data["auth"]["password"] == expected
    assert reading.asked == asked


def test_a_text_that_replaces_a_source_is_not_kept(shop: Profile) -> None:
    assert made(shop, "auth.password=other-text", env="live").masked()["auth"]["password"] == "(hidden)"


def test_in_lists_in_mappings_and_inside_of_what_is_secret(shop: Profile) -> None:
    values = made(shop, a="{keys: [{text: plain-key}, {text: {fromEnv: PASSWORD}}], vault: {a.b: {fromEnv: PASSWORD}}}")
    assert values.data["keys"][1] == {"text": SECRET} and values.data["vault"] == {"a.b": SECRET}
    assert values.secret_paths == {"auth.password", "keys.0.text", "keys.1.text", "vault"}
    assert values.masked()["keys"] == [{"text": "(hidden)"}, {"text": {"fromEnv": "PASSWORD"}}]
    assert values.masked()["vault"] == "(hidden)"
    dotted = made(shop, r"annotations.a\.b/c.fromEnv=PASSWORD")
    assert dotted.data["annotations"] == {"a.b/c": SECRET}
    assert dotted.masked()["annotations"] == {"a.b/c": {"fromEnv": "PASSWORD"}}


def test_a_line_of_a_secret_is_secret_too(shop: Profile) -> None:
    values = made(shop, "auth.token.fromEnv=T", reading=Fake({"T": "begin\nline-of-a-private-key\nend"}))
    assert "line-of-a-private-key" in values.secret_texts() and "end" not in values.secret_texts()


def test_a_number_is_read_as_one(shop: Profile) -> None:
    assert made(shop, "auth.pin.fromEnv=PIN", reading=Fake({"PIN": "4711"})).data["auth"]["pin"] == 4711
    assert "expected an integer, got a value that is secret" in problems(
        shop, "auth.pin.fromEnv=PIN", reading=Fake({"PIN": SECRET})
    )
    assert made(shop, "auth.token.fromEnv=T", reading=Fake({"T": "null"})).data["auth"]["token"] == "null"


def test_elsewhere_such_a_mapping_is_data(shop: Profile) -> None:
    values = made(shop, a="free: {fromEnv: PASSWORD, x: {generate: 3}}", reading=Fake({}))
    assert values.data["free"] == {"fromEnv": "PASSWORD", "x": {"generate": 3}}
    assert not [path for path in values.secret_paths if path.startswith("free")]


WRONG = [
    (("auth.password.fromEnv=NONE",), "auth.password: no NONE\n  at --set #1"),
    (("auth.password.fromEnv=",), "fromEnv takes text that is not empty\n  at --set #1\n  try: {fromEnv: NAME}"),
    (("auth.password.fromenv=X",), "exactly one source\n  at --set #1\n  try: did you mean 'fromEnv'?"),
    (("auth.password.generate=7",), "generate takes a number of characters from 8 to 256"),
    (("auth.password.generate=64",), "expected text of 8 to 40 characters, and generate makes 64"),
    (("auth.pin.generate=9",), "auth.pin: expected an integer, and generate makes text"),
    (("auth.password.existingSecret.name=db",), "existingSecret takes a name and a key, and nothing else"),
    (("auth.password.existingSecret=db",), "existingSecret takes a name and a key, and nothing else"),
    (("auth.password.existingSecret={name: Db, key: pw}",), "has the name and a key of a Secret"),
    (("auth.password.existingSecret.key.x=1",), "auth.password.existingSecret.key.x: there is no such value"),
    (("auth.user.fromEnv=PASSWORD",), "auth.user.fromEnv: fromEnv stands only for a secret value"),
    (("replicas.generate=9",), "generate stands only for a secret value, and the profile does not mark this one"),
    (("auth.password={fromEnv: PASSWORD}",), "this would be the secret itself"),
]


@pytest.mark.parametrize("sets,said", WRONG)
def test_what_is_wrong_with_a_source_is_said(shop: Profile, sets: tuple[str, ...], said: str) -> None:
    assert said in problems(shop, *sets)


def test_every_problem_at_once_with_its_line(shop: Profile) -> None:
    found = problems(
        shop,
        a="auth:\n  password:\n    fromEnv: NONE\n  user: {fromEnv: PASSWORD}\n  token: {fromEnv: A, fromFile: b}\n",
    )
    assert "auth.password: no NONE\n  at values/a.yaml:3:5" in found
    assert "auth.user: fromEnv stands only for a secret value" in found and "at values/a.yaml:4:3" in found
    assert "auth.token: a secret value is text, or a mapping with exactly one source" in found


def test_what_was_read_is_checked_and_not_quoted(shop: Profile) -> None:
    found = problems(shop, "auth.password.fromEnv=P", reading=Fake({"P": "Secret of mine"}))
    assert "expected text that matches ^[a-z0-9-]+$, got a value that is secret" in found
    assert "Secret of mine" not in found


def test_without_somebody_who_reads_nothing_stands_in(shop: Profile) -> None:
    with pytest.raises(ValuesError, match="not read here"):
        merge(shop, "live")


def test_a_check_needs_no_secret(shop: Profile) -> None:
    values = merge(shop, "live", sets=("auth.pin.fromEnv=X",), reading=Unread())
    assert isinstance(values.data["auth"]["password"], str) and isinstance(values.data["auth"]["pin"], int)


SEALED = """auth:
    user: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]
    password: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]
replicas: ENC[AES256_GCM,data:a,iv:b,tag:c,type:int]
hosts:
    - ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]
    - in.clear
free:
    pin: ENC[AES256_GCM,data:a,iv:b,tag:c,type:int]
sops:
    mac: ENC[AES256_GCM,data:a,iv:b,tag:c,type:str]
    version: 3.13.3
"""
OPENED: Json = {
    "auth": {"user": "sops-user", "password": "sops-password"},
    "replicas": 5,
    "hosts": ["sops-host", "in.clear"],
    "free": {"pin": 998877},
}


def test_all_that_sops_encrypted_is_secret_but_a_plain_number(shop: Profile) -> None:
    values = made(shop, a=SEALED, reading=Fake(decrypted=OPENED))
    assert values.data == {**OPENED}
    assert values.secret_paths == {"auth.user", "auth.password", "hosts.0", "free.pin"}
    masked = values.masked()
    assert masked == {
        "auth": {"user": "(hidden)", "password": "(hidden)"},
        "replicas": 5,
        "hosts": ["(hidden)", "in.clear"],
        "free": {"pin": "(hidden)"},
    }
    assert str(values.source_of("hosts.0")) == "values/a.yaml:6"
    assert set(values.secret_texts()) == {"sops-user", "sops-password", "sops-host", "998877"}


def test_a_later_layer_replaces_what_was_encrypted(shop: Profile) -> None:
    values = made(shop, "hosts=[a.clear]", "auth.user=me", a=SEALED, reading=Fake(decrypted=OPENED))
    assert values.secret_paths == {"auth.password", "free.pin"}


def test_no_error_quotes_what_was_encrypted(shop: Profile) -> None:
    broken = {**OPENED, "auth": {"user": 12345678, "password": "Sops Password"}, "hosts": ["sops-host", 77]}
    found = problems(shop, a=SEALED, reading=Fake(decrypted=broken))
    assert "auth.user: expected text, got a value that is secret\n  at values/a.yaml:2:5" in found
    assert "hosts.1: expected text, got 77" in found, "that one was in clear"
    assert "12345678" not in found and "Sops Password" not in found


def test_a_source_may_be_encrypted_and_then_is_not_kept(shop: Profile) -> None:
    sealed = SEALED.replace("password: ENC", "password:\n        fromEnv: ENC")
    opened = {**OPENED, "auth": {"user": "sops-user", "password": {"fromEnv": "PASSWORD"}}}
    values = made(shop, a=sealed, reading=Fake(decrypted=opened))
    assert values.data["auth"]["password"] == SECRET
    assert values.masked()["auth"]["password"] == "(hidden)"
    assert "auth.password" in values.secret_paths


def test_encrypted_text_never_becomes_a_value(shop: Profile) -> None:
    found = problems(shop, a=SEALED.partition("sops:")[0])
    assert found.startswith("auth.password, auth.user, replicas, hosts.0, free.pin: this is what sops encrypted")
    assert "at values/a.yaml:3:5" in found and "ENC[" not in found
    assert "no key" in problems(shop, a=SEALED)


def test_an_editor_takes_sources_where_values_are_secret(shop: Profile) -> None:
    schema = with_sources(shop.schema)
    for password in ("a-password", {"fromEnv": "X"}, {"existingSecret": {"name": "a", "key": "b"}}):
        assert schemas.check(schema, {"auth": {"password": password}}) == []
    for wrong in ("short", {"fromEnv": ""}, {"fromEnv": "X", "generate": 9}, {"generate": 3}, {}):
        assert schemas.check(schema, {"auth": {"password": wrong}})
    assert schemas.check(schema, {"auth": {"user": {"fromEnv": "X"}}})
    assert get(schema, "properties.auth.properties.user") == get(shop.schema, "properties.auth.properties.user")
