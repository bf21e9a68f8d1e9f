"""What the server of the Replication page answers, for a browser's tests: any number of tasks and tables."""

from datetime import datetime, timedelta, timezone
from typing import Any

Json = dict[str, Any]

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
ACTIONS = (
    "full_load",
    "reload_tables",
    "pause",
    "resume",
    "refresh_tables",
    "replay_dead_letters",
    "discard_dead_letters",
    "validate",
    "sync_sequences",
    "tear_down",
)
STATES = ("running", "paused", "stopped", "loading", "failed", "waiting", "unknown")
HOSTILE = '<script>window.harmed=1</script><img src=x onerror="window.harmed=1">"\'&amp;\n\u202egnp.\u202c ☃ %s {{7*7}}'
STEP_SECONDS = {"hour": 60, "day": 900, "week": 7200}


def at(seconds: float) -> str:
    """Return the time so many seconds before now."""
    return (NOW - timedelta(seconds=seconds)).isoformat()


def overview(name: str, **changes: Any) -> Json:
    """Return a task as the list of tasks shows it."""
    return {
        "name": name,
        "description": "Orders and their lines",
        "mode": "full_load_and_cdc",
        "state": "running",
        "state_reason": None,
        "stop_reason": None,
        "lag": {
            "seconds": 3.25,
            "bytes": 1_234_567,
            "stages": {
                "capture": {"seconds": 0.012, "bytes": 4096},
                "broker": {"seconds": 0.2, "bytes": 1_200_000},
                "apply": {"seconds": 3.038, "bytes": None},
            },
        },
        "throughput": {"rows_per_second": 1234.5, "bytes_per_second": 234_000.0},
        "queue_depth": 17,
        "dead_letters": 0,
        "apply_errors": 0,
        "wal": {
            "retained_bytes": 16_777_216,
            "limit_bytes": 1_073_741_824,
            "seconds_until_full": 90_000.0,
            "full_by": "max_slot_wal_keep_size",
        },
        "sparklines": {
            "lag_seconds": [None, None, *(abs(30 - n) / 10 for n in range(58))],
            "rows_per_second": [float(n % 17) for n in range(60)],
        },
        "tables": {"total": 4, "loaded": 3, "loading": 1, "failed": 0},
        "dags": {
            "full_load": f"trempy_{name}_full_load",
            "cdc": f"trempy_{name}_cdc",
            "validate": None,
            "cutover": None,
            "maintenance": f"trempy_{name}_maintenance",
        },
        "problem": None,
        **changes,
    }


def table(name: str, *, schema: str = "shop", **changes: Any) -> Json:
    """Return a table as a task's page shows it."""
    return {
        "schema": schema,
        "table": name,
        "state": "ready",
        "rows": 1000,
        "total_rows": 1000,
        "percent": 100.0,
        "eta_seconds": None,
        "bytes": 81_920,
        "inserts": 10,
        "updates": 20,
        "deletes": 3,
        "errors": 0,
        "target_schema": schema,
        "target_table": name,
        "note": None,
        **changes,
    }


def tables_of(count: int) -> list[Json]:
    """Return so many tables, the second one half loaded."""
    tables = [table(f"table_{number:03}", rows=number * 10) for number in range(count)]
    if count > 1:
        tables[1].update(state="loading", percent=42.42, eta_seconds=75.0, total_rows=24)
    return tables


def history(span: str) -> Json:
    """Return the points of a range, with a gap in their middle of which the end is idle."""
    points = []
    for number in range(60):
        known = number not in range(20, 25)
        points.append(
            {
                "at": at((60 - number) * STEP_SECONDS[span]),
                "lag_seconds": number / 10 if known else None,
                "lag_bytes": number * 1000 if known else None,
                "rows_per_second": 100.0 + number if known else None,
                "inserts": number * 3,
                "updates": number * 2,
                "deletes": number,
                "errors": 1 if number == 50 else 0,
                "batches": 4,
                "queue_depth": number % 5,
                "wal_retained_bytes": 16_777_216,
                "idle": number in range(22, 25),
            }
        )
    return {"range": span, "step_seconds": STEP_SECONDS[span], "points": points}


def batches(count: int) -> list[Json]:
    """Return so many batches, the newest first."""
    return [
        {
            "at": at(number),
            "rows": 1000 + number,
            "transactions": 10,
            "seconds": 0.25,
            "end_lsn": f"0/{0x1A2B00 - number:X}",
        }
        for number in range(count)
    ]


def error(number: int, **changes: Any) -> Json:
    """Return a change that could not be applied."""
    return {
        "id": number,
        "at": at(number),
        "schema": "shop",
        "table": "orders",
        "operation": "insert",
        "policy": "record",
        "error": "23505 duplicate key value violates unique constraint",
        "statement": "insert into shop.orders (id, note) values (%(id)s, %(note)s)",
        "lsn": "0/1A2B",
        **changes,
    }


def dead_letter(number: int, **changes: Any) -> Json:
    """Return a change that was set aside."""
    return {
        "id": f"letter-{number}",
        "at": at(number),
        "schema": "shop",
        "table": "orders",
        "operation": "update",
        "reason": "22001 value too long",
        "lsn": f"0/1A{number:02X}",
        "transaction_id": 700 + number,
        "row": {"id": number, "note": "too long", "name": "***", "price": None},
        **changes,
    }


def validation(**changes: Any) -> Json:
    """Return a validation at its second table."""
    return {
        "started_at": at(90),
        "finished_at": None,
        "state": "running",
        "repairs": True,
        "chosen": [],
        "table_count": 4,
        "finished_count": 1,
        "tables": [
            validated("shop.orders", state="different", missing=2, different=1, repaired=1, failed=2),
            validated("shop.lines", state="running", percent=42.42, unsettled=5, tolerated=7),
        ],
        **changes,
    }


def validated(name: str, **changes: Any) -> Json:
    """Return what a validation says of a table."""
    counts = ("missing", "different", "extra", "tolerated", "unsettled", "failing", "repaired", "failed")
    return {
        "table": name,
        "target": name,
        "state": "equal",
        "percent": 100.0,
        "ranges": 3,
        "rows": 50_000,
        **dict.fromkeys(counts, 0),
        "notes": [],
        **changes,
    }


def difference(number: int, **changes: Any) -> Json:
    """Return a row that a validation has found to differ."""
    return {
        "id": number,
        "at": at(60 - number),
        "table": "shop.orders",
        "kind": "missing",
        "key": {"id": str(number), "mail": "***"},
        "rows": 1,
        "outcome": "found",
        **changes,
    }


DRY_RUN: Json = {
    "passed": True,
    "problems": ["warning: source: shop.orders has no key → give it one"],
    "tables": [
        {
            "source": "shop.orders",
            "target": "shop.orders",
            "error": None,
            "rows": 1000,
            "passing_rows": 990,
            "rejected": {"filters[0]": 10},
            "ddl": ["create table shop.orders (id bigint)"],
            "before": [{"id": "1", "note": HOSTILE}],
            "after": [{"id": "1", "note": None}],
        },
        {"source": HOSTILE, "target": "shop.other", "error": f"there is no {HOSTILE}"},
    ],
}
CHOICES: Json = {
    "databases": ["trempy_source", "trempy_target", "warehouse"],
    "brokers": ["trempy_broker"],
    "models": ["trempy_model"],
    "model": "trempy_model",
    "defaults": {"source": "trempy_source", "target": "trempy_target", "broker": "trempy_broker"},
}
