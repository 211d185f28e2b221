"""The API server of a rehearsal: everything between a socket and the registry.

Law of this room: it knows HTTP and the API's conventions (paths, media types, selectors, watches, options), and nothing
of what an object means. It writes nothing but through the registry, and answers with the API server's own words: what
goes wrong inside is a Status 500 and a line in the log, never a traceback to a client. It listens on loopback alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from berth.rehearsal.server.certificate import Certificate
    from berth.rehearsal.server.http import Server
    from berth.rehearsal.world import World

__all__ = ["serve"]


def serve(
    world: World,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str,
    certificate: Certificate | None = None,
) -> Server:
    """Answer requests, in threads of its own, until the server is closed; ``port`` 0 takes a free one.

    Every request must carry ``token`` as a bearer token. Without a certificate the server speaks plain HTTP, which
    client-go sends no token over: that is for tests (see `berth.rehearsal.server.certificate.ensure`).

    Raises:
        LocalError: the host is not of this machine, or the port is taken.
    """
    from berth.rehearsal.server.http import Server

    return Server(world, host=host, port=port, token=token, certificate=certificate)
