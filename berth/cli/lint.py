"""lint."""

from berth.cli.common import berth_task


@berth_task()
def lint(ctx, flags):
    """Not yet."""
    return None
