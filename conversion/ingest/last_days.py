"""The last day of each week with usage, of grain day or event: it shows when the export was taken."""

from __future__ import annotations

from pathlib import Path

from conversion.config.data_contract import Contract
from conversion.ingest.tables import shown_file
from conversion.ingest.usage_rows import create_rows, open_engine


def last_days(folder: Path, contract: Contract) -> dict[str, str]:
    """Return the last day with a row by the week's Monday, both as ISO dates, in their order.

    Parameters
    ----------
    folder
        Of an export whose usage table was read without faults.
    contract
        Of grain ``day`` or ``event``; days are those of its time zone. Rows that it excludes do not count.
    """
    with open_engine() as engine:
        create_rows(engine, Path(shown_file(folder, contract.usage.table)), contract)
        rows = engine.execute(
            "SELECT strftime(date_trunc('week', moment), '%Y-%m-%d'), strftime(max(moment), '%Y-%m-%d')"
            " FROM usage_rows WHERE NOT excluded AND moment IS NOT NULL GROUP BY 1 ORDER BY 1"
        ).fetchall()
    return dict(rows)
