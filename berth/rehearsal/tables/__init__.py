"""Tables: what kubectl prints is decided by the API server, column by column and cell by cell."""

from __future__ import annotations

from berth.rehearsal.tables.table import INCLUDES, table

__all__ = ["INCLUDES", "table"]
