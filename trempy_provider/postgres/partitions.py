"""Partitions that come and go below a published root, and the rows that came with them.

A partition that is created is followed from its first row.
One that is attached brings rows, and one that is detached or dropped takes rows, of which the stream of its
root says nothing (see publish_via_partition_root in "CREATE PUBLICATION").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import QualifiedName

_PAGES = 1024


@dataclass(frozen=True, slots=True)
class PartitionLink:
    """A leaf partition, and the transaction and command that put it below its root."""

    oid: int
    name: QualifiedName
    xid: str
    command: int


def read_partition_links(source: Session, root_oids: Iterable[int]) -> dict[int, list[PartitionLink]]:
    """Return the leaf partitions of each root; tables that are not partitioned have none."""
    links: dict[int, list[PartitionLink]] = defaultdict(list)
    for root_oid, oid, schema_name, table_name, xid, command in source.fetch_all(
        static_sql("partition_links"), {"oids": list(root_oids)}
    ):
        links[root_oid].append(PartitionLink(oid, QualifiedName(schema_name, table_name), xid, command))
    return links


def brought_rows(source: Session, link: PartitionLink) -> bool:
    """Tell whether a partition has rows from before it was put below its root.

    They are looked for at the beginning of its file, where the oldest rows are, so that the answer is quick.
    Rows that were there and have all been changed since are not seen.
    """
    return bool(source.fetch_value(brought_rows_sql(link)))


def brought_rows_sql(link: PartitionLink) -> sql.Composed:
    """Compose the search for rows of older transactions, or of earlier commands of the same one."""
    return sql.SQL(
        "select exists (select from only {partition} r where r.ctid < {end}::tid and ("
        "age(r.xmin) > age({xid}::xid) or r.xmin = {xid}::xid and r.cmin::text::bigint < {command}))"
    ).format(
        partition=link.name.identifier,
        end=sql.Literal(f"({_PAGES},0)"),
        xid=sql.Literal(link.xid),
        command=sql.Literal(link.command),
    )
