"""A source as the assistant sees it, without a server."""

from collections.abc import Iterable, Mapping

from trempy_provider.assistant.catalogue import Catalogue, ColumnFacts, TableFacts
from trempy_provider.config.value_types import ValueType
from trempy_provider.postgres.tables import QualifiedName

Columns = Mapping[str, str]
_OIDS = {
    "boolean": 16,
    "bigint": 20,
    "integer": 23,
    "text": 25,
    "character": 1042,
    "date": 1082,
    "timestamp with time zone": 1184,
    "numeric": 1700,
    "jsonb": 3802,
}


def name(text: str) -> QualifiedName:
    """Return `schema.table` as a name."""
    return QualifiedName(*text.split("."))


def table(
    qualified_name: str,
    columns: Columns | Iterable[str] = ("id",),
    *,
    key: tuple[str, ...] = ("id",),
    references: Iterable[str] = (),
    unsent: Iterable[str] = (),
    row_bytes: int | None = None,
    **facts,
) -> TableFacts:
    """Return a table; columns without a type are text."""
    types = dict(columns) if isinstance(columns, Mapping) else dict.fromkeys(columns, "text")
    width = None if row_bytes is None else row_bytes // len(types)
    return TableFacts(
        name=name(qualified_name),
        columns=tuple(
            ColumnFacts(
                each, kind, may_be_unsent=each in unsent, average_bytes=width, value_type=_value_type(kind)
            )
            for each, kind in types.items()
        ),
        primary_key=key,
        identifies_rows=facts.pop("identifies_rows", bool(key)),
        references=tuple(map(name, references)),
        **facts,
    )


def _value_type(kind: str) -> ValueType:
    base = kind.partition("(")[0]
    return ValueType(kind, base, _OIDS[base])


def shop(**facts) -> Catalogue:
    """Return the shop that the evaluation's descriptions are about."""
    return Catalogue(
        (
            table("sales.customers", CUSTOMERS, estimated_rows=40_000),
            table("sales.orders", ORDERS, references=["sales.customers"], estimated_rows=300_000),
            table(
                "sales.order_items",
                ITEMS,
                references=["sales.orders", "sales.products"],
                key=("order_id", "line"),
            ),
            table("sales.products", PRODUCTS, unsent=["description"]),
            table("sales.events", EVENTS, key=()),
            table("hr.employees", EMPLOYEES, references=["hr.departments"]),
            table("hr.departments", {"id": "integer", "name": "text"}),
        ),
        **facts,
    )


CUSTOMERS = {
    "id": "integer",
    "name": "text",
    "email": "text",
    "phone": "text",
    "state": "character(2)",
    "birth_date": "date",
    "created_at": "timestamp with time zone",
}
ORDERS = {
    "id": "bigint",
    "customer_id": "integer",
    "status": "text",
    "total": "numeric(12,2)",
    "ordered_on": "date",
    "notes": "text",
}
ITEMS = {"order_id": "bigint", "line": "integer", "product_id": "integer", "quantity": "integer"}
PRODUCTS = {
    "id": "integer",
    "name": "text",
    "price": "numeric(10,2)",
    "category": "text",
    "description": "text",
    "active": "boolean",
}
EVENTS = {"at": "timestamp with time zone", "kind": "text", "payload": "jsonb"}
EMPLOYEES = {
    "id": "integer",
    "first_name": "text",
    "last_name": "text",
    "cpf": "text",
    "salary": "numeric(10,2)",
    "hired_on": "date",
    "department_id": "integer",
}
