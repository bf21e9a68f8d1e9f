"""Whether rows can travel in COPY's binary format, or have to travel as text.

Binary is for types whose binary form is the same on every server: most built-in types, their arrays, domains
over them, and enums (sent as labels).
Left out are types whose binary form holds what only one server knows (reg*, composites, arrays of user
types, ranges over them), types without one, extensions' types, xml (its declaration changes), and types that
refuse their own binary form of an empty value (tsquery, int2vector, oidvector).
See "Binary Format" under COPY in PostgreSQL's manual.
"""

from __future__ import annotations

from collections.abc import Sequence

from trempy_provider.postgres.session import Session, static_sql

PORTABLE_TYPES = frozenset(
    {
        "bool", "bytea", "char", "name", "int8", "int2", "int4", "text", "oid", "tid", "xid", "xid8", "cid",
        "json", "jsonb", "jsonpath", "point", "lseg", "path", "box", "polygon",
        "line", "circle", "float4", "float8", "money", "macaddr", "macaddr8", "inet", "cidr", "bpchar",
        "varchar", "date", "time", "timetz", "timestamp", "timestamptz", "bit", "varbit", "numeric", "uuid",
        "pg_lsn", "tsvector", "txid_snapshot", "pg_snapshot", "interval", "int4range",
        "int8range", "numrange", "daterange", "tsrange", "tstzrange", "int4multirange", "int8multirange",
        "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange",
    }
)  # fmt: skip
_INFINITE_INTERVALS_VERSION = 170000  # older servers read the binary form as a finite interval


def rows_travel_binary(
    source: Session, target: Session, *, source_types: Sequence[int], target_types: Sequence[int]
) -> bool:
    """Tell whether every column has the same type, in portable binary form, on both sides.

    Types are OIDs, each server's own, without domains; both lists are in the same order.
    """
    names = _portable_names(source, target)
    on_source = _portable_types(source, source_types, names)
    on_target = _portable_types(target, target_types, names)
    return None not in on_source and on_source == on_target


def _portable_names(source: Session, target: Session) -> list[str]:
    if target.server_version < _INFINITE_INTERVALS_VERSION <= source.server_version:
        return sorted(PORTABLE_TYPES - {"interval"})
    return sorted(PORTABLE_TYPES)


def _portable_types(session: Session, types: Sequence[int], names: list[str]) -> list[str | None]:
    oids = sorted(set(types))
    rows = session.fetch_all(static_sql("portable_types"), {"oids": oids, "names": names})
    portable: dict[int, str] = dict(rows)
    return [portable.get(oid) for oid in types]
