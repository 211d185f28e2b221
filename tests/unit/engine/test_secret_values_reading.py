"""Reading what secret values are taken from: variables, files, and what sops encrypted, by a stand-in for sops."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from berth.actions import secrets
from berth.actions.lint import lint
from berth.actions.prepare import Request, hidden_values, prepare
from berth.actions.profiles import editor_schema, show
from berth.actions.secrets import Local
from berth.core.errors import InputError, ValuesError
from berth.library import Library, open_library

pytestmark = pytest.mark.unit

SEALED = "password: ENC[AES256_GCM,data:x]\nplain: in-clear-text\nsops:\n    mac: ENC[AES256_GCM,data:y]\n"
#: Answers like sops 3.13: what it prints in each case was seen of the real one.
STAND_IN = """#!{python}
# A stand-in for sops, for tests: it decrypts nothing.
import os, sys, time
text = sys.stdin.read()
open("asked", "a").write(" ".join(sys.argv[1:]) + "\\n")
mode = os.environ.get("STAND_IN", "")
if mode == "no-key":
    sys.stderr.write('''Failed to get the data key required to decrypt the SOPS file.

Group 0: FAILED
  age10zm: FAILED
    - | failed to load age identities. Did not find keys in
      | locations 'SOPS_AGE_KEY_FILE'.

Recovery failed because no master key was able to decrypt the file. In
order for SOPS to recover the file, at least one key has to be successful,
but none were.
''')
    sys.exit(128)
if mode == "by-hand":
    sys.stderr.write("Could not decrypt value: Input string pw does not match sops' data format in-clear-text\\n")
    sys.exit(25)
if mode == "slow":
    time.sleep(60)
print("[1]" if mode == "list" else "no json" if mode == "junk" else '{{"password": "opened", "sops": {{}}}}')
"""


@pytest.fixture
def sops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program named sops on the PATH; the directory holds ``asked``, its arguments."""
    program = tmp_path / "bin" / "sops"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(call: object, *arguments: str) -> str:
    assert callable(call)
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_variable_has_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", " a secret\n")
    assert Local().variable("PW") == " a secret\n", "nothing is stripped"
    monkeypatch.setenv("PW", "")
    assert "the environment variable PW is empty" in refused(Local().variable, "PW")
    monkeypatch.setenv("PW", "caf\udce9")
    assert "PW is not UTF-8 text" in refused(Local().variable, "PW")
    monkeypatch.delenv("PW")
    assert "the environment variable PW is not set" in refused(Local().variable, "PW")


@pytest.mark.parametrize(
    "written,text",
    [
        (b"pw\n", "pw"),
        (b"pw\r\n", "pw"),
        (b"pw", "pw"),
        (b"\n pw \n\n", "\n pw \n"),
        (b"\xef\xbb\xbfpw\n", "pw"),
        ("pä\n".encode(), "pä"),
    ],
)
def test_one_line_end_is_taken_off_a_file(tmp_path: Path, written: bytes, text: str) -> None:
    (tmp_path / "pw").write_bytes(written)
    assert Local().file(str(tmp_path / "pw")) == text


def test_a_file_that_cannot_be_the_text_of_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in {"empty": b"\n", "binary": b"ab\xff", "large": b"x" * (secrets.MAX_BYTES + 1)}.items():
        (tmp_path / name).write_bytes(content)
    assert "the file empty is empty" in refused(Local().file, "empty")
    assert "the file binary is not UTF-8 text (byte 2)" in refused(Local().file, "binary")
    assert "the file large has more than 1024 KiB" in refused(Local().file, "large")
    assert "the file gone cannot be read: No such file" in refused(Local().file, "gone")
    assert "cannot be read: Is a directory" in refused(Local().file, str(tmp_path))


def test_a_file_is_the_same_for_a_whole_run(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    path.write_text("first")
    run = Local()
    assert run.file(str(path)) == "first"
    path.write_text("second")
    assert (run.file(str(path)), Local().file(str(path))) == ("first", "second")


def test_sops_decrypts_from_memory_to_memory(sops: Path) -> None:
    run = Local()
    assert run.decrypted("values/a.yaml", SEALED) == {"password": "opened"}
    assert run.decrypted("values/a.yaml", SEALED) == {"password": "opened"}
    assert run.decrypted("b.json", SEALED) == {"password": "opened"}
    asked = (sops / "asked").read_text().splitlines()
    assert asked == [f"--decrypt --input-type {kind} --output-type json /dev/stdin" for kind in ("yaml", "json")]
    assert sorted(path.name for path in sops.iterdir()) == ["asked", "bin"]


@pytest.mark.parametrize(
    "mode,said",
    [
        (
            "no-key",
            "because it says: Failed to get the data key required to decrypt the SOPS file. failed to load age "
            "identities. Did not find keys in locations 'SOPS_AGE_KEY_FILE'.",
        ),
        ("by-hand", "Input string (hidden) does not match sops' data format (hidden)"),
        ("list", "to something that is no mapping"),
        ("junk", "to something that is no mapping"),
    ],
)
def test_what_sops_cannot_do_is_said(sops: Path, monkeypatch: pytest.MonkeyPatch, mode: str, said: str) -> None:
    monkeypatch.setenv("STAND_IN", mode)
    found = refused(Local().decrypted, "a.yaml", SEALED)
    assert said in found and "at a.yaml" in found
    assert "in-clear-text" not in found and "opened" not in found


def test_sops_that_does_not_answer(sops: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "slow")
    monkeypatch.setattr(secrets, "PATIENCE", 0.2)
    assert "has not decrypted this file within" in refused(Local().decrypted, "a.yaml", SEALED)


def test_without_sops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = refused(Local().decrypted, "a.yaml", SEALED)
    assert "there is no program `sops` to decrypt it\n  at a.yaml\n  try: install sops" in found


PROFILE = """name: shop
description: a test
version: "1.0.0"
schema:
  properties:
    pw: {type: string, pattern: '^[a-z]+$', x-secret: true}
    extra: {type: object, additionalProperties: {type: string, x-secret: true}}
values: {pw: default, extra: {a: inner-secret}}
environments: {live: {pw: {fromEnv: SHOP_PW}}}
"""
TEMPLATE = """apiVersion: v1
kind: Secret
metadata:
  name: {{ named("s") }}
  labels:
    app.kubernetes.io/name: shop
    app.kubernetes.io/instance: {{ release.name }}
    app.kubernetes.io/managed-by: berth
stringData: {pw: {{ values.pw }}}
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "templates" / "shop").mkdir(parents=True)
    (tmp_path / "profiles" / "shop.yaml").write_text(PROFILE)
    (tmp_path / "templates" / "shop" / "a.yaml").write_text(TEMPLATE)
    monkeypatch.delenv("SHOP_PW", raising=False)
    monkeypatch.chdir(tmp_path)
    return open_library(tmp_path)


def test_lint_and_listings_need_no_secret(library: Library) -> None:
    report = lint(library, ["shop"], with_schemas=False)
    assert not report.findings and report.renderings == 2
    _, entries = show(library, Request("shop", environment="live"))
    said = {entry.path: (entry.value, entry.default, entry.source) for entry in entries}
    source = "environment live of shop (profiles/shop.yaml:9), from environment variable SHOP_PW"
    assert said["pw"] == ("(hidden)", "(hidden)", source)
    assert said["extra"][:2] == ({"a": "(hidden)"}, {"a": "(hidden)"}), "secrets inside of a value are hidden too"
    assert "fromEnv" in str(editor_schema(library.load("shop")))


def test_a_release_needs_it(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValuesError) as caught:
        prepare(library, [Request("shop", environment="live")])
    assert str(caught.value) == (
        "pw: the environment variable SHOP_PW is not set\n  at profiles/shop.yaml:9:28\n"
        "  because it is set by environment live of shop\n  try: export SHOP_PW=..."
    )
    monkeypatch.setenv("SHOP_PW", "opened")
    (release,) = prepare(library, [Request("shop", environment="live")])
    assert release.values.data["pw"] == "opened" and release.values.masked()["pw"] == {"fromEnv": "SHOP_PW"}


def test_hidden_values_have_the_paths_that_values_have() -> None:
    assert hidden_values({"a.b": {"c": "(hidden)"}, "l": ["x", "(hidden)"]}) == [r"a\.b.c", "l.1"]
