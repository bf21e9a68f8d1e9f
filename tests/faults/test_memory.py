"""The memory of capture and apply does not grow with the size of a transaction (G4)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import DatabasePair
from tests.support.halves import Half
from tests.support.site import Site, open_site

SMALL, LARGE = 60_000, 300_000
ROW_BYTES = 250
# The large transaction is 75 MB in the stream, 60 MB more than the small one, and twice that in objects.
ALLOWED_GROWTH_KIB = 48 * 1024
CEILINGS_KIB = {"capture": 150_000_000 // 1024, "apply": 350_000_000 // 1024}


@pytest.fixture
def fresh_site(databases: DatabasePair, rabbitmq_uri: str, task_name: str, tmp_path: Path) -> Iterator[Site]:
    """A task with batches of the usual size."""
    databases.allow_replica_role()
    with open_site(databases, rabbitmq_uri=rabbitmq_uri, task_name=task_name, folder=tmp_path) as site:
        yield site


def test_memory_does_not_grow_with_a_transaction(fresh_site: Site):
    commit_rows(fresh_site, SMALL)
    before = peaks_of(fresh_site)

    commit_rows(fresh_site, LARGE)

    after = peaks_of(fresh_site)
    for name in before:
        assert after[name] < CEILINGS_KIB[name], after
        assert after[name] - before[name] < ALLOWED_GROWTH_KIB, (before, after)
    fresh_site.assert_converged()


def commit_rows(site: Site, count: int) -> None:
    """Insert rows in one transaction, with a key and without, and wait for them on the target."""
    site.databases.source_admin.execute(
        "begin;"
        "insert into public.keyed select g + (select coalesce(max(id), 0) from public.keyed), repeat('x', %(size)s)"
        " from generate_series(1, %(count)s / 2) g;"
        "insert into public.keyless select g, repeat('y', %(size)s) from generate_series(1, %(count)s / 2) g;"
        "commit",
        {"count": count, "size": ROW_BYTES},
    )
    site.wait_until_level()


def peaks_of(site: Site) -> dict[str, int]:
    return {half.name: peak_kib(half) for half in site.halves}


def peak_kib(half: Half) -> int:
    """Return the most memory that the process has had in RAM at once."""
    lines = Path(f"/proc/{half.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
