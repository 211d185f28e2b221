from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from berth.cluster import kubeconfig
from berth.cluster.target import LOCAL_PLANE, REHEARSAL, NoTarget, local_name, resolve
from berth.core.errors import BerthError, DeniedError, ExitCode, TargetError
from tests.unit.cluster.conftest import PKI
from tests.unit.cluster.fakeserver import FakeServer, Wire, answer

pytestmark = pytest.mark.unit


def write(path: Path, *contexts: str, current: str = "", server: str = "https://{}.example:6443", **user: Any) -> Path:
    """A kubeconfig with one cluster and user for each context; the format YAML, here as JSON, which is YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = {
        "current-context": current,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in contexts],
        "clusters": [{"name": name, "cluster": {"server": server.format(name)}} for name in contexts],
        "users": [{"name": name, "user": user} for name in contexts],
    }
    path.write_text(json.dumps(body))
    return path


def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_the_current_context_and_where_it_came_from(tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", "dev", "prod", current="dev")
    target = resolve(None, None, home(tmp_path))
    assert target.description == "context dev (https://dev.example:6443) from ~/.kube/config"
    assert (target.context, target.server) == ("dev", "https://dev.example:6443")


def test_a_named_context_beats_the_current_one(tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", "dev", "prod", current="dev")
    assert resolve("prod", None, home(tmp_path)).context == "prod"


def test_a_kubeconfig_flag_beats_the_variable(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "a", current="a"), write(tmp_path / "two", "b", current="b")
    assert resolve(None, str(two), {**home(tmp_path), "KUBECONFIG": str(one)}).context == "b"


def test_several_files_merge_as_in_kubectl_the_first_wins(tmp_path: Path) -> None:
    one = write(tmp_path / "one", "a", server="https://first.example")
    two = write(tmp_path / "two", "a", "b", current="b", server="https://second.example")
    files = {**home(tmp_path), "KUBECONFIG": f"{one}:{tmp_path / 'missing'}:{two}:"}
    assert resolve(None, None, files).context == "b"
    assert resolve("a", None, files).server == "https://first.example"


def test_the_contexts_own_namespace_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "a", current="a")
    body = json.loads(path.read_text())
    body["contexts"][0]["context"]["namespace"] = "shop"
    path.write_text(json.dumps(body))
    assert resolve(None, str(path), home(tmp_path)).namespace == "shop"


@pytest.mark.parametrize(
    ("context", "current", "message"),
    [
        ("pord", "dev", "did you mean 'prod'?"),
        ("zzz", "dev", "the contexts are dev, prod"),
        (None, "", "no current context"),
        (None, "gone", "the current context 'gone' does not exist"),
    ],
)
def test_a_context_that_is_not_there(tmp_path: Path, context: str | None, current: str, message: str) -> None:
    write(tmp_path / ".kube" / "config", "dev", "prod", current=current)
    with pytest.raises(TargetError) as caught:
        resolve(context, None, home(tmp_path))
    assert message in str(caught.value)
    assert "~/.kube/config" in str(caught.value)
    assert not isinstance(caught.value, NoTarget)


def test_no_kubeconfig_at_all_is_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(NoTarget, match="--context berth-rehearsal") as caught:
        resolve(None, None, home(tmp_path), lambda context: tmp_path / "plane")
    assert caught.value.exit_code == ExitCode.NO_TARGET


@pytest.mark.parametrize("context", [None, "dev"])
def test_a_kubeconfig_that_was_named_must_exist(tmp_path: Path, context: str | None) -> None:
    for flag, environ in ((str(tmp_path / "no"), {}), (None, {"KUBECONFIG": str(tmp_path / "no")})):
        with pytest.raises(TargetError, match="does not exist") as caught:
            resolve(context, flag, {**home(tmp_path), **environ})
        assert not isinstance(caught.value, NoTarget)


def test_a_context_was_asked_for_and_there_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no context 'dev'") as caught:
        resolve("dev", None, home(tmp_path))
    assert not isinstance(caught.value, NoTarget)


@pytest.mark.parametrize(
    ("context", "hint"),
    [
        ("berth-local", "invoke cluster.start --engine kubernetes"),
        ("berth-local-two", "invoke cluster.start --engine kubernetes --name two"),
        ("berth-rehearsal", "invoke cluster.start"),
        ("berth-rehearsal-two", "invoke cluster.start --name two"),
    ],
)
def test_clusters_of_this_machine_have_reserved_names(tmp_path: Path, context: str, hint: str) -> None:
    asked: list[str] = []

    def local(name: str) -> Path:
        asked.append(name)
        return write(tmp_path / "plane" / "kubeconfig", "whatever", current="whatever")

    for given in (None, str(write(tmp_path / "config", "dev", current="dev"))):
        target = resolve(context, given, home(tmp_path), local)
        assert (target.context, target.server) == (context, "https://whatever.example:6443")
        assert target.file == tmp_path / "plane" / "kubeconfig"
    assert asked == [context, context]
    with pytest.raises(TargetError) as caught:
        resolve(context, None, home(tmp_path))
    assert caught.value.problems[0].hint == hint


def test_a_kubeconfig_of_this_machine_that_is_damaged_is_named(tmp_path: Path) -> None:
    plane = write(tmp_path / "plane")
    with pytest.raises(
        TargetError, match=r"invoke cluster\.delete --name two, then cluster\.start --name two"
    ) as caught:
        resolve("berth-rehearsal-two", None, home(tmp_path), lambda context: plane)
    assert str(plane) in str(caught.value)


def test_local_names() -> None:
    assert local_name("berth-local", LOCAL_PLANE) == "default"
    assert local_name("berth-local-x-y", LOCAL_PLANE) == "x-y"
    assert local_name("berth-locally", LOCAL_PLANE) is None
    assert local_name("berth-rehearsal", LOCAL_PLANE) is None
    assert local_name(None, REHEARSAL) is None


def test_a_context_of_the_users_own_named_like_a_local_cluster_wins(tmp_path: Path) -> None:
    write(tmp_path / ".kube" / "config", "berth-local", current="berth-local")
    assert resolve("berth-local", None, home(tmp_path), lambda context: None).source == "~/.kube/config"


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "contexts: {a: b}", "contexts: [{context: {}}]", "contexts: [{name: a, context: [1]}]", "a: \x00"],
)
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(TargetError) as caught:
        resolve(None, str(tmp_path / "config"), home(tmp_path))
    assert "config" in str(caught.value)


def test_a_broken_file_never_shows_its_content(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("users:\n- user: {token: s3cr3t\n")
    with pytest.raises(TargetError) as caught:
        resolve(None, str(tmp_path / "config"), home(tmp_path))
    assert "s3cr3t" not in str(caught.value)


def connect_error(path: Path, tmp_path: Path) -> TargetError:
    with pytest.raises(TargetError) as caught:
        resolve(None, str(path), home(tmp_path)).connect()
    return caught.value


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ({"client-certificate": "no.pem", "client-key": "no.key"}, "client-certificate names cannot be read"),
        ({"client-certificate-data": "!"}, "client-certificate-data is no base64"),
        ({"client-certificate-data": "AAAA"}, "has no client-key"),
        ({"client-certificate-data": "AAAA", "client-key-data": "AAAA"}, "certificates do not load"),
        ({"client-certificate-data": "/////w==", "client-key-data": "AAAA"}, "is no PEM text"),
    ],
)
def test_credentials_that_cannot_be_used(tmp_path: Path, user: dict[str, str], message: str) -> None:
    assert message in str(connect_error(write(tmp_path / "config", "a", current="a", **user), tmp_path))


@pytest.mark.parametrize(
    "server", ["", "api.example:6443", "https://", "https://api.example:port", "ftp://api.example"]
)
def test_a_server_that_is_no_url(tmp_path: Path, server: str) -> None:
    path = write(tmp_path / "config", "a", current="a", server=server)
    assert "no usable server URL" in str(connect_error(path, tmp_path))


def test_a_context_without_its_cluster(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "a", current="a")
    path.write_text(json.dumps({**json.loads(path.read_text()), "clusters": []}))
    with pytest.raises(TargetError, match="names the cluster 'a', which is not defined"):
        resolve(None, str(path), home(tmp_path))


def headers_of(path: Path, tmp_path: Path, server: FakeServer) -> dict[str, str]:
    server.default = answer({})
    kube = resolve(None, str(path), home(tmp_path)).connect()
    kube.version()
    kube.close()
    return dict(server.requests[-1].headers)


def test_tokens_passwords_and_token_files_become_headers(tmp_path: Path, server: FakeServer) -> None:
    (tmp_path / "token").write_text("from-file\n")
    basic = "Basic " + b64encode(b"me:pw").decode()
    for user, header in (
        ({"token": "abc"}, "Bearer abc"),
        ({"tokenFile": "token"}, "Bearer from-file"),
        ({"username": "me", "password": "pw"}, basic),
        ({"token": "abc", "tokenFile": "token", "username": "me"}, "Bearer abc"),
    ):
        path = write(tmp_path / "config", "a", current="a", server=server.url, **user)
        assert headers_of(path, tmp_path, server)["authorization"] == header


def test_relative_paths_are_relative_to_their_file(tmp_path: Path, tls_server: FakeServer) -> None:
    sub = tmp_path / "sub"
    path = write(
        sub / "config", "a", current="a", server=tls_server.url, **{"client-certificate": "c", "client-key": "k"}
    )
    for name, source in (("ca", "ca.pem"), ("c", "client.pem"), ("k", "client.key")):
        (sub / name).write_text((PKI / source).read_text())
    body = json.loads(path.read_text())
    body["clusters"][0]["cluster"]["certificate-authority"] = "ca"
    path.write_text(json.dumps(body))
    tls_server.default = answer({})
    kube = resolve(None, str(path), home(tmp_path)).connect()
    assert kube.version() == {}
    kube.close()


def test_a_token_file_is_read_again_after_a_401(tmp_path: Path, server: FakeServer) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    path = write(tmp_path / "config", "a", current="a", server=server.url, tokenFile=str(token))
    kube = resolve(None, str(path), home(tmp_path)).connect()
    server.play(answer({}), lambda wire: (token.write_text("new"), answer({}, 401)(wire)) and None, answer({"ok": 1}))
    kube.version()
    assert kube.version() == {"ok": 1}
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer old"] * 2 + ["Bearer new"]
    kube.close()


PLUGIN = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
count.write_text(str(int(count.read_text() or 0) + 1) if count.exists() else "1")
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                  "status": {"token": "token-" + count.read_text()}}))
"""


def exec_user(tmp_path: Path, script: str) -> dict[str, Any]:
    (tmp_path / "plugin.py").write_text(script)
    arguments = [str(tmp_path / "plugin.py"), str(tmp_path / "count")]
    plugin = {"command": sys.executable, "args": arguments, "interactiveMode": "Never"}
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", **plugin}}


def test_a_plugin_gives_the_token_and_a_new_one_after_a_401(tmp_path: Path, server: FakeServer) -> None:
    user = exec_user(tmp_path, PLUGIN)
    path = write(tmp_path / "config", "a", current="a", server=server.url, **user)
    kube = resolve(None, str(path), home(tmp_path)).connect()
    server.play(answer({}), answer({}, 401), answer({}))
    kube.version()
    kube.version()
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    kube.close()


def test_a_plugin_that_fails_says_so(tmp_path: Path, server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    user = exec_user(tmp_path, "import sys; sys.exit('you must log in first')")
    path = write(tmp_path / "config", "a", current="a", server=server.url, **user)
    with pytest.raises(DeniedError, match="plugin of context 'a' gave no credentials"):
        resolve(None, str(path), home(tmp_path)).connect()
    assert server.requests == []


def test_static_users_never_import_the_official_client(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "a", current="a", token="x")
    code = (
        "import sys; from berth.cluster.target import resolve; "
        f"resolve(None, {str(path)!r}, {{}}).connect(); "
        "print(sorted({'kubernetes', 'urllib3', 'requests', 'logging'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_proxies_come_from_the_kubeconfig_or_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path / "config", "a", current="a")
    config = kubeconfig.load([path])
    environ = {"HTTPS_PROXY": "proxy.example:3128"}
    assert kubeconfig.endpoint(config, "a", environ).proxy == "http://proxy.example:3128"
    assert kubeconfig.endpoint(config, "a", {**environ, "NO_PROXY": ".example"}).proxy == ""
    config.clusters["a"].body["proxy-url"] = "http://own.example:1"
    assert kubeconfig.endpoint(config, "a", environ).proxy == "http://own.example:1"
    config.clusters["a"].body["proxy-url"] = "socks5://own.example:1"
    with pytest.raises(TargetError, match="only http://"):
        kubeconfig.endpoint(config, "a", environ)


def test_in_cluster_only_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {**home(tmp_path), "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text((PKI / "ca.pem").read_text())
    assert kubeconfig.in_cluster(environ, tmp_path).server == "https://[fd00::1]:443"
    with pytest.raises(NoTarget):
        resolve(None, None, environ)
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", tmp_path)
    with pytest.raises(BerthError, match="does not run in a pod"):
        resolve("in-cluster", None, home(tmp_path))


def test_a_user_that_acts_as_another_does_so(tmp_path: Path, server: FakeServer) -> None:
    user = {"token": "abc", "as": "ann", "as-groups": ["dev", "ops"], "as-user-extra": {"why": ["test"]}}
    path = write(tmp_path / "config", "a", current="a", server=server.url, **user)
    seen: list[str] = []

    def look(wire: Wire) -> None:
        seen.extend(wire.server.lines)
        answer({})(wire)

    server.play(look)
    kube = resolve(None, str(path), home(tmp_path)).connect()
    kube.version()
    kube.close()
    assert [line for line in seen if line.startswith("Impersonate")] == [
        "Impersonate-User: ann",
        "Impersonate-Group: dev",
        "Impersonate-Group: ops",
        "Impersonate-Extra-why: test",
    ]
