"""User-defined types of the source that a target table needs.

Enums, domains, composite types and ranges are created when the target lacks them.
The types of an extension come with the extension, which only an administrator should install.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from trempy_provider.errors import TargetSchemaError
from trempy_provider.postgres.namespaces import ensure_schema
from trempy_provider.postgres.session import Session, static_sql
from trempy_provider.postgres.tables import Column, QualifiedName, quote_name, quote_text


@dataclass(frozen=True, slots=True)
class UserType:
    """A type that is not built in."""

    name: QualifiedName
    kind: str  # pg_type.typtype: "b" base, "c" composite, "d" domain, "e" enum, "r" range
    extension: str | None = None
    is_row_type: bool = False  # the composite type of a table
    labels: tuple[str, ...] = ()
    base_type: str | None = None  # of a domain; a range's subtype
    not_null: bool = False
    constraints: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()  # names and types


@dataclass(frozen=True, slots=True)
class TypeGap:
    """What the target lacks of a type: all of it, or some labels of an enum."""

    type: UserType
    missing_labels: tuple[str, ...] = ()


def read_user_types(session: Session, columns: Iterable[Column]) -> tuple[UserType, ...]:
    """Describe the types that are not built in which `columns` need, each after those it rests on."""
    oids = sorted({column.type_oid for column in columns})
    types = []
    for row in session.fetch_all(static_sql("user_types"), {"oids": oids}):
        schema, name, kind, extension, is_row, labels, base, not_null, constraints, names, attribute_types = (
            row
        )
        types.append(
            UserType(
                QualifiedName(schema, name),
                kind,
                extension=extension,
                is_row_type=bool(is_row),
                labels=tuple(labels or ()),
                base_type=base,
                not_null=not_null,
                constraints=tuple(constraints or ()),
                attributes=tuple(zip(names or (), attribute_types or (), strict=True)),
            )
        )
    return tuple(types)


def find_type_gaps(target: Session, types: Sequence[UserType]) -> tuple[TypeGap, ...]:
    """Return the types the target lacks, and the enums that lack labels there."""
    present = _read_labels(target, types)
    gaps = []
    for entry in types:
        if entry.name not in present:
            gaps.append(TypeGap(entry))
        elif missing := tuple(label for label in entry.labels if label not in present[entry.name]):
            gaps.append(TypeGap(entry, missing))
    return tuple(gaps)


def have_other_labels(session: Session, enums: Sequence[UserType]) -> bool:
    """Tell whether one of these enums has other labels now."""
    present = _read_labels(session, enums)
    return any(present.get(entry.name) != entry.labels for entry in enums)


def _read_labels(session: Session, types: Sequence[UserType]) -> dict[QualifiedName, tuple[str, ...]]:
    """Return those of the types that exist, with the labels of enums."""
    names = {
        "schemas": [entry.name.schema_name for entry in types],
        "types": [entry.name.table_name for entry in types],
    }
    rows = session.fetch_all(static_sql("present_types"), names)
    return {QualifiedName(schema, name): tuple(labels or ()) for schema, name, labels in rows}


def ensure_types(source: Session, target: Session, columns: Iterable[Column]) -> list[str]:
    """Create the types that `columns` need and the target lacks; return their names.

    Raise TargetSchemaError for a type that is not ours to create.
    """
    return create_missing_types(target, read_user_types(source, columns))


def create_missing_types(target: Session, types: Sequence[UserType]) -> list[str]:
    """Create the types the target lacks and return their names.

    Raise TargetSchemaError for a type that is not ours to create.
    """
    created = []
    for gap in find_type_gaps(target, types):
        if gap.missing_labels:
            continue  # a label that is to be used must be committed before
        if problem := uncreatable(gap.type):
            raise TargetSchemaError(problem[0], hint=problem[1])
        ensure_schema(target, gap.type.name.schema_name)
        target.execute(create_type_sql(gap.type))
        created.append(str(gap.type.name))
    return created


def add_missing_labels(target: Session, types: Sequence[UserType]) -> list[str]:
    """Add the labels that enums of the target lack, each in its place; return the names of the types.

    Call it outside a transaction: a new label can be used only after its commit.
    """
    changed = []
    for gap in find_type_gaps(target, types):
        for label in gap.missing_labels:
            target.execute(add_label_sql(gap.type, label))
        if gap.missing_labels:
            changed.append(str(gap.type.name))
    return changed


def uncreatable(entry: UserType) -> tuple[str, str] | None:
    """Return why a task cannot create a type and what to do, None when it can."""
    schema = quote_name(entry.name.schema_name)
    if entry.extension is not None:
        return (
            f"the target lacks the type {entry.name} of the extension {entry.extension}",
            f"On the target: create extension {quote_name(entry.extension)} schema {schema};",
        )
    if entry.is_row_type:
        return (
            f"the target lacks the type {entry.name}, which is the row type of a table",
            "Create that table on the target, or leave the column out with exclude_columns.",
        )
    if entry.kind not in "cder":
        return (
            f"the target lacks the base type {entry.name}, which is written in C",
            "Install the type on the target, or leave the column out with exclude_columns.",
        )
    return None


def create_type_sql(entry: UserType) -> sql.Composed:
    """Compose the statement that creates an enum, domain, composite or range type."""
    if entry.kind == "e":
        return sql.SQL("create type {name} as enum ({labels})").format(
            name=entry.name.identifier, labels=sql.SQL(", ").join(map(sql.Literal, entry.labels))
        )
    if entry.kind == "d":
        parts = [sql.SQL("not null")] if entry.not_null else []
        return sql.SQL("create domain {name} as {base} {constraints}").format(
            name=entry.name.identifier,
            base=sql.SQL(entry.base_type or ""),
            constraints=sql.SQL(" ").join([*parts, *map(sql.SQL, entry.constraints)]),
        )
    if entry.kind == "r":
        return sql.SQL("create type {name} as range (subtype = {base})").format(
            name=entry.name.identifier, base=sql.SQL(entry.base_type or "")
        )
    attributes = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_name))
        for name, type_name in entry.attributes
    ]
    return sql.SQL("create type {name} as ({attributes})").format(
        name=entry.name.identifier, attributes=sql.SQL(", ").join(attributes)
    )


def add_label_sql(entry: UserType, label: str) -> sql.Composed:
    """Compose the addition of a label after the one before it, whose turn was before."""
    place = entry.labels.index(label)
    neighbour = entry.labels[place - 1 : place] if place else entry.labels[1:2]
    where = " after {}" if place else " before {}"
    return sql.SQL("alter type {} add value if not exists {}{}").format(
        entry.name.identifier,
        sql.Literal(label),
        sql.SQL("").join(sql.SQL(where).format(sql.Literal(name)) for name in neighbour),
    )


def add_labels_sql(gap: TypeGap) -> str:
    """Return the statements, for people, that add an enum's missing labels on the target."""
    return " ".join(
        f"alter type {gap.type.name} add value {quote_text(label)};" for label in gap.missing_labels
    )
