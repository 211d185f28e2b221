"""What postgres, zookeeper and cassandra need beyond the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from berth.core.errors import InputError, TemplateError
from berth.core.objects import GENERATED_ANNOTATION, KEEP_ANNOTATION

pytestmark = pytest.mark.unit

Render = Callable[..., Any]


def test_postgres_password_is_generated_and_kept_with_the_data(render: Render) -> None:
    """The manifest holds no password; the Secret stays as long as the claims."""
    secret = render("postgres").one("Secret")
    assert secret["metadata"]["name"] == "postgres-auth"
    assert secret["metadata"]["annotations"][KEEP_ANNOTATION] == "data"
    assert set(secret["metadata"]["annotations"][GENERATED_ANNOTATION].split(",")) == {
        "password",
        "replication-password",
    }
    assert not secret.get("data")
    assert "stringData" not in secret


def test_postgres_takes_a_secret_of_yours(render: Render) -> None:
    """With existingSecret no Secret is rendered, and the keys are those that the user names."""
    out = render("postgres", None, "auth.existingSecret=vault", "auth.passwordKey=pw")
    assert out.all("Secret") == []
    auth = next(volume["secret"] for volume in out.pod["volumes"] if volume["name"] == "auth")
    assert auth["secretName"] == "vault"
    assert auth["items"][0] == {"key": "pw", "path": "password"}
    assert auth["defaultMode"] == 0o440


def test_postgres_services(render: Render) -> None:
    """Writes go to the primary's pod by name, reads to any ready pod; the headless one lists pods before they are."""
    out = render("postgres")
    assert out.names("Service") == {"postgres", "postgres-rw", "postgres-ro"}
    pod = "statefulset.kubernetes.io/pod-name"
    assert out.one("Service", "postgres-rw")["spec"]["selector"][pod] == "postgres-0"
    assert pod not in out.one("Service", "postgres-ro")["spec"]["selector"]
    assert out.one("Service", "postgres")["spec"]["publishNotReadyAddresses"] is True
    promoted = render("postgres", None, "primaryOrdinal=1")
    assert promoted.one("Service", "postgres-rw")["spec"]["selector"][pod] == "postgres-1"


def test_postgres_refuses_what_cannot_replicate(render: Render) -> None:
    """Too few senders, a primary that does not exist, settings that belong to the profile."""
    with pytest.raises(TemplateError, match="10 replicas need 20"):
        render("postgres", None, "replicas=10", "replication.maxWalSenders=19")
    with pytest.raises(TemplateError, match="only 3 replicas"):
        render("postgres", None, "primaryOrdinal=3")
    with pytest.raises(TemplateError, match=r"settings\.port"):
        render("postgres", None, "settings.port=5433")


def test_postgres_settings(render: Render) -> None:
    """Memory follows the limit, settings win over it, and quotes in a value end nothing."""
    conf = render("postgres").one("ConfigMap", "postgres-config")["data"]["postgresql.conf"]
    assert "shared_buffers = '512MB'" in conf
    assert "max_slot_wal_keep_size = '4GB'" in conf
    assert "wal_log_hints = on" in conf
    own = render(
        "postgres", None, "settings.shared_buffers=1GB", "settings.application_name=it's", "settings.fsync=true"
    )
    conf = own.one("ConfigMap", "postgres-config")["data"]["postgresql.conf"]
    assert "shared_buffers = '1GB'" in conf
    assert "512MB" not in conf
    assert "application_name = 'it''s'" in conf
    assert "fsync = 'on'" in conf


def test_postgres_data_directory_by_version(render: Render) -> None:
    """Never the root of the mount up to 17; the image's own directory from 18 on."""
    assert render("postgres", None, "image.tag=16").env()["PGDATA"] == "/var/lib/postgresql/data/pgdata"
    eighteen = render("postgres", None, "image.tag=18.1-alpine")
    assert eighteen.env()["PGDATA"] == "/var/lib/postgresql/18/docker"
    conf = eighteen.one("ConfigMap", "postgres-config")["data"]["postgresql.conf"]
    assert "wal_log_hints" not in conf
    with pytest.raises(InputError, match="tag"):
        render("postgres", None, "image.tag=latest")


def test_postgres_scaling_changes_no_pod(render: Render) -> None:
    """More standbys must not restart the primary."""
    assert render("postgres").set["spec"]["template"] == render("postgres", None, "replicas=5").set["spec"]["template"]


def test_postgres_first_boot_runs_scripts_of_the_user_between_its_own(render: Render) -> None:
    """The role comes first; the script that marks the end comes last."""
    scripts = render("postgres", None, r"initScripts.10-schema\.sql=CREATE TABLE t (i int)")
    names = sorted(scripts.one("ConfigMap", "postgres-first-boot")["data"])
    assert names == ["00-replication.sh", "10-schema.sql", "zzz-done.sh"]


@pytest.mark.parametrize("replicas", [2, 4, 6, 8])
def test_zookeeper_refuses_even_ensembles(render: Render, replicas: int) -> None:
    """With the reason; and lets them pass for the moment in which an ensemble grows one by one."""
    with pytest.raises(TemplateError, match="stands no more losses than one of"):
        render("zookeeper", None, f"replicas={replicas}")
    out = render("zookeeper", None, f"replicas={replicas}", "allowEven=true")
    assert len(out.env()["ZOO_SERVERS"].split()) == replicas


@pytest.mark.parametrize(("replicas", "members"), [(0, 1), (1, 1), (3, 3), (5, 5)])
def test_zookeeper_members(render: Render, replicas: int, members: int) -> None:
    """Every member by its full name, ids from 1."""
    out = render("zookeeper", None, f"replicas={replicas}")
    assert out.set["spec"]["replicas"] == replicas
    servers = out.env()["ZOO_SERVERS"].split()
    assert len(servers) == members
    assert servers[0] == "server.1=zookeeper-0.zookeeper.harbour.svc.cluster.local:2888:3888;2181"
    assert servers[-1].startswith(f"server.{members}=zookeeper-{members - 1}.")


def test_zookeeper_readiness_follows_the_policy(render: Render) -> None:
    """In the quorum where all start together; less where the first starts alone, or it would wait for ever."""
    parallel, ordered = render("zookeeper"), render("zookeeper", None, "podManagementPolicy=OrderedReady")
    assert parallel.set["spec"]["podManagementPolicy"] == "Parallel"
    assert ordered.set["spec"]["podManagementPolicy"] == "OrderedReady"
    for out, alone in ((parallel, False), (ordered, True)):
        assert out.container["readinessProbe"]["exec"]["command"] == ["bash", "/scripts/ready.sh"]
        assert ("getent" in out.one("ConfigMap")["data"]["ready.sh"]) is alone
    marks = [out.set["metadata"]["annotations"]["berth.dev/readiness"] for out in (parallel, ordered)]
    assert marks == ["quorum", "local"]


def test_zookeeper_is_closed(render: Render) -> None:
    """No AdminServer, few four-letter words, never standalone."""
    env = render("zookeeper").env()
    assert env["ZOO_ADMINSERVER_ENABLED"] == "false"
    assert env["ZOO_4LW_COMMANDS_WHITELIST"] == "srvr,ruok,mntr"
    assert env["ZOO_STANDALONE_ENABLED"] == "false"
    assert env["ZOO_AUTOPURGE_PURGEINTERVAL"] == "24"


@pytest.mark.parametrize(
    ("profile", "sets"),
    [("zookeeper", ["heap=900m"]), ("zookeeper", ["heap=1g"]), ("cassandra", ["heap.max=3G"])],
)
def test_heaps_must_fit(render: Render, profile: str, sets: list[str]) -> None:
    """A heap that leaves nothing to the rest of the process is refused before the kernel kills it."""
    with pytest.raises(TemplateError, match="the kernel would kill it"):
        render(profile, None, *sets)


def test_cassandra_ring(render: Render) -> None:
    """One after the other, an own snitch for the datacenter, both heap sizes, nodes found before they are ready."""
    out = render("cassandra")
    assert out.set["spec"]["podManagementPolicy"] == "OrderedReady"
    env = out.env()
    assert env["CASSANDRA_ENDPOINT_SNITCH"] == "GossipingPropertyFileSnitch"
    assert {"CASSANDRA_DC", "CASSANDRA_RACK", "MAX_HEAP_SIZE", "HEAP_NEWSIZE"} <= env.keys()
    assert out.container["readinessProbe"]["tcpSocket"] == {"port": "cql"}
    assert out.container["livenessProbe"]["tcpSocket"] == {"port": "internode"}
    assert out.one("Service", "cassandra")["spec"]["publishNotReadyAddresses"] is True
    assert out.container["lifecycle"]["preStop"]["exec"]["command"] == ["nodetool", "drain"]


def test_cassandra_scaling_changes_no_pod(render: Render) -> None:
    """Seeds are ordinals 0 and 1, whatever the size of the ring."""
    assert (
        render("cassandra").set["spec"]["template"] == render("cassandra", None, "replicas=5").set["spec"]["template"]
    )
