"""What a person sees of nginx and httpd: who serves, under which names, and what comes back when one asks."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from berth.core.objects import Json, ObjectRef
from tests.node.support import Space, until

Look = Callable[[str], str]

#: Bytes of a download that outlasts all buffers between server and client, and how it ends.
LARGE = 64_000_000
END = "the end"

_STATUS = "grep -hE '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/[0-9]*/status | sort -u"

_READ = """
mkdir -p {box}
while [ ! -e {box}/stop ]; do
  if page=$(timeout 15 wget -qO- {url} 2>&1); then echo "$page" >> {box}/pages
  else echo "$(date +%T) $page" >> {box}/errors; fi
  sleep 0.05
done
touch {box}/done
"""

_DOWNLOAD = """
mkdir -p {box}
timeout 60 wget -qO- http://{host}/large | (
  dd bs=1000 count=1 of=/dev/null
  touch {box}/begun
  sleep {pause}
  tail -c 7 | tr -d '\\0' > {box}/tail
  mv {box}/tail {box}/end
)
"""


@dataclass(frozen=True, slots=True)
class Site:
    """The web servers of a profile: the names that its page states."""

    workload: str
    container: str
    headless: str
    service: str
    user: int
    store: str
    claim: str

    def pod(self, ordinal: int) -> str:
        """A pod's name, which is its host name, and what the first page says."""
        return f"{self.workload}-{ordinal}"

    def host(self, ordinal: int) -> str:
        """The name under which others of its namespace reach one pod."""
        return f"{self.pod(ordinal)}.{self.headless}"

    def publish(self, space: Space, ordinal: int, text: str, file: str = "index.html") -> None:
        """Write a page into one pod's store."""
        space.shell(self.pod(ordinal), f"printf %s {shlex.quote(text)} > {self.store}/{file}")

    def uids(self, space: Space) -> set[str]:
        """Who the pods are, to see later whether they were replaced."""
        listed = space.kube.list("", "Pod", space.name).items
        return {p["metadata"]["uid"] for p in listed if p["metadata"]["name"].startswith(f"{self.workload}-")}


NGINX = Site("web", "nginx", "nginx", "nginx-client", 101, "/usr/share/nginx/html", "www")
HTTPD = Site("apache-http", "httpd", "httpd-service", "httpd-client", 33, "/usr/local/apache2/htdocs", "htdocs")


def answers(look: Look, host: str, page: str) -> None:
    """Wait until a host answers with a page; DNS may keep a pod's former address for half a minute."""

    def ask() -> bool | None:
        return True if look(f"timeout 15 wget -qO- http://{host}/ || true").strip() == page else None

    until(ask, 90)


def check_restricted(space: Space, site: Site, ordinal: int) -> None:
    """What a pod may do, asked inside of its running container and not in its manifest."""
    pod = site.pod(ordinal)
    status = {line.split()[0]: line.split()[1:] for line in space.shell(pod, _STATUS, code=None).splitlines()}
    assert status == {
        "Uid:": [str(site.user)] * 4,
        "CapEff:": ["0" * 16],
        "NoNewPrivs:": ["1"],
        "Seccomp:": ["2"],
    }
    for path in ("/here", "/etc/here", "/usr/here"):
        assert "Read-only file system" in space.shell(pod, f"touch {path} 2>&1", code=None)
    space.shell(pod, f"touch {site.store}/here && rm {site.store}/here")
    assert not space.shell(pod, "ls /var/run/secrets /run/secrets 2>/dev/null", code=None)
    services = [name for name in space.shell(pod, "env").splitlines() if "_SERVICE_HOST=" in name]
    assert [name.split("=")[0] for name in services] == ["KUBERNETES_SERVICE_HOST"]


def check_enforced(space: Space) -> None:
    """The namespace refuses a pod that asks for more; so the release's pods are there because they do not."""
    namespace = space.kube.get(ObjectRef("", "Namespace", "", space.name))
    assert namespace is not None
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    refused = space.kubectl("run", "root", "--image=busybox:1.36", "--dry-run=server", code=1)
    assert 'violates PodSecurity "restricted' in refused.text


def check_names(space: Space, site: Site, replicas: int) -> None:
    """Host names inside; outside, what another pod's resolver and a DNS client get for each name."""
    look, domain = space.client(), f"{site.headless}.{space.name}.svc.cluster.local"
    addresses: dict[str, set[str]] = {domain: set(), site.headless: set()}
    for ordinal in range(replicas):
        pod, full = site.pod(ordinal), f"{site.pod(ordinal)}.{domain}"
        assert space.shell(pod, "hostname; hostname -f").split() == [pod, full]
        address = space.pod(pod)["status"]["podIP"]
        addresses |= {site.host(ordinal): {address}, full: {address}}
        addresses[domain].add(address)
        addresses[site.headless].add(address)
    service = space.get("", "Service", site.service)
    assert service is not None
    addresses[site.service] = {service["spec"]["clusterIP"]}

    asker = site.pod(replicas - 1)
    for name, wanted in addresses.items():
        _resolves(partial(space.shell, asker, f"getent ahostsv4 {name}", code=None), wanted)
        if name.endswith("cluster.local"):
            _resolves(partial(look, f"nslookup {name} | grep '^Address' | tail -n +2 || true"), wanted)

    records = look(f"nslookup -type=srv _web._tcp.{domain}").splitlines()
    found = {tuple(line.split()[-2:]) for line in records if "service =" in line}
    assert found == {("80", f"{site.pod(ordinal)}.{domain}") for ordinal in range(replicas)}


def _resolves(ask: Callable[[], str], wanted: set[str]) -> None:
    def look() -> bool | None:
        words = [word for line in ask().splitlines() for word in line.replace("Address:", "").split()]
        return True if {word for word in words if word.count(".") == 3 and word[0].isdigit()} == wanted else None

    until(look, 90)


class Reading:
    """A client that reads a URL again and again, each time on a new connection, as long as the block lasts."""

    def __init__(self, space: Space, name: str, url: str) -> None:
        """Prepare it; ``name`` tells it from others in the same client pod."""
        self._space, self._look, self._box = space, space.client(), f"/tmp/read-{name}"
        self._script = _READ.format(box=self._box, url=shlex.quote(url))
        self.pages: Counter[str] = Counter()
        self.errors: list[str] = []

    def __enter__(self) -> Reading:
        """Begin; it has read at least once when this returns."""
        self._look(f"rm -rf {self._box}")
        self._space.background("client", self._script)
        until(lambda: self._look(f"ls {self._box} || true") or None, 60)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop, and count."""
        self._look(f"touch {self._box}/stop")
        until(lambda: self._look(f"ls {self._box}/done 2>/dev/null || true") or None, 60)
        self.pages = Counter(self._look(f"cat {self._box}/pages 2>/dev/null || true").splitlines())
        self.errors = self._look(f"cat {self._box}/errors 2>/dev/null || true").splitlines()


def stop_under_download(space: Space, site: Site, ordinal: int, pause: int = 9) -> tuple[Json, str]:
    """Delete a pod while a client that pauses has a download under way: how the server ended, and what came last.

    The pause outlasts the preStop hook, so that most of the bytes are sent after the signal to stop.
    """
    look, box = space.client(), f"/tmp/download-{ordinal}"
    space.shell(site.pod(ordinal), f"(head -c {LARGE} /dev/zero; printf '{END}') > {site.store}/large")
    site.publish(space, ordinal, "before the stop")
    answers(look, site.host(ordinal), "before the stop")
    look(f"rm -rf {box}")
    space.background("client", _DOWNLOAD.format(box=box, host=site.host(ordinal), pause=pause))
    until(lambda: look(f"ls {box}/begun 2>/dev/null || true") or None, 60)
    ended = space.stopped(site.pod(ordinal), site.container, lambda: space.delete_pod(site.pod(ordinal)))
    until(lambda: look(f"ls {box}/end 2>/dev/null || true") or None, 120)
    space.shell(site.pod(ordinal), f"rm {site.store}/large")
    return ended, look(f"cat {box}/end")
