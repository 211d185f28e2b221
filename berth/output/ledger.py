"""The ledger as a table: what there is of data, and what will happen to it."""

from __future__ import annotations

from berth.core.events import Ledger


def ledger_lines(ledger: Ledger) -> list[str]:
    """One line per claim, then one per volume that claims deleted earlier left behind."""
    shown: list[str] = []
    if ledger.claims:
        rows = [("CLAIM", "SIZE", "CLASS", "VOLUME", "POLICY", "DATA")]
        rows += [
            (
                line.claim + (" (scaled away)" if line.condemned else ""),
                line.size,
                line.storage_class or "-",
                line.volume or "-",
                line.reclaim_policy,
                f"{line.fate.value}: {line.why}",
            )
            for line in ledger.claims
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        shown.append(f"data of {ledger.release}:")
        shown += ["  " + "  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[5]]) for row in rows]
    for volume in ledger.volumes:
        fate = "deleted" if ledger.delete_volumes else "kept: --volumes delete removes it"
        shown.append(f"  volume {volume.volume} ({volume.size}, left by claim {volume.claim}): {fate}")
    return shown
