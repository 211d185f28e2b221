"""Which proxy the environment asks for, by the rules of HTTPS_PROXY and NO_PROXY that Go programs such as kubectl have.

Source: https://pkg.go.dev/golang.org/x/net/http/httpproxy
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit


def environment_proxy(server: str, environ: Mapping[str, str]) -> str:
    """The proxy that HTTPS_PROXY (or HTTP_PROXY) and NO_PROXY give for a server, "" for none, as kubectl reads them."""
    url = urlsplit(server)
    name = "HTTPS_PROXY" if url.scheme == "https" else "HTTP_PROXY"
    proxy = environ.get(name) or environ.get(name.lower()) or ""
    if not proxy:
        return ""
    host = (url.hostname or "").lower()
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return ""
    if _excepted(host, url.port, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _excepted(host: str, port: int | None, rules: str) -> bool:
    """Whether NO_PROXY lists the host: "*", a domain and what is under it, an address, or a CIDR range."""
    for rule in (part.strip().lower() for part in rules.split(",")):
        if rule == "*":
            return True
        name, _, rule_port = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
        if not name or (rule_port and rule_port != str(port)):
            continue
        if "/" in name:
            try:
                if ip_address(host) in ip_network(name, strict=False):
                    return True
            except ValueError:
                pass
            continue
        bare = name.removeprefix("*").removeprefix(".")
        if (host == bare and not name.startswith((".", "*."))) or host.endswith("." + bare):
            return True
    return False
