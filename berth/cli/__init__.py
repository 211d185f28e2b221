"""The Invoke tasks. This room parses options, calls one action, and turns errors into words and exit codes.

Importing it must stay cheap: `invoke --list` pays for it, so every task imports what it needs when it runs.
"""

import atexit
import gc

from invoke.collection import Collection

from berth.cli import lifecycle
from berth.cli.chart import chart
from berth.cli.cluster import cluster
from berth.cli.common import DEFAULTS
from berth.cli.dns import dns
from berth.cli.drain import drain_check
from berth.cli.drift import drift
from berth.cli.export import export
from berth.cli.history import history
from berth.cli.import_set import import_set
from berth.cli.lint import lint
from berth.cli.operate import operate
from berth.cli.profiles import profiles
from berth.cli.reach import logs, port_forward, shell
from berth.cli.rehearse import rehearse
from berth.cli.render import render
from berth.cli.rollout import restart, rollback, rollouts
from berth.cli.scale import scale
from berth.cli.site import site
from berth.cli.status import diagnose, status
from berth.cli.verify import verify

namespace = Collection(
    render,
    export,
    chart,
    lint,
    lifecycle.plan,
    lifecycle.up,
    lifecycle.teardown,
    site,
    profiles,
    cluster,
    dns,
    rehearse,
    scale,
    rollouts,
    restart,
    rollback,
    history,
    import_set,
    status,
    diagnose,
    drift,
    drain_check,
    operate,
    logs,
    shell,
    port_forward,
    verify,
)
namespace.configure(DEFAULTS)

# A short command makes some ten thousands of objects and keeps nearly all: looking through them for cycles, while they
# are made and once more when the process ends, costs a fifth of its time and finds nothing.
gc.set_threshold(100_000, 20, 20)
atexit.register(gc.freeze)
