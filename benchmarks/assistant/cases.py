"""Descriptions in English, Portuguese and Spanish, each with the settings that it asks for.

All of them are about the tables of `shop`.
What a description leaves open (names, orders of loading, sizes, whether target tables are created) is not
compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FULL_LOAD, CDC, BOTH = "full_load", "cdc", "full_load_and_cdc"
CUSTOMERS, ORDERS, ITEMS = "sales.customers", "sales.orders", "sales.order_items"
PRODUCTS, EVENTS = "sales.products", "sales.events"
EMPLOYEES, DEPARTMENTS = "hr.employees", "hr.departments"
SALES, HR = "sales.*", "hr.*"


@dataclass(frozen=True, slots=True)
class Case:
    """A description, its language, and the settings expected of it."""

    language: str
    description: str
    settings: Mapping[str, Any]


def _case(
    language: str,
    description: str,
    tables: Sequence[str | Mapping[str, Any]],
    kind: str = FULL_LOAD,
    *,
    schedule: str | None = None,
    mode: str | None = None,
    filters: Iterable[tuple[Any, ...]] = (),
    changes: Iterable[tuple[Any, ...]] = (),
    **parts: Any,
) -> Case:
    task: dict[str, Any] = {"task_name": "evaluated", "replication_type": kind}
    if schedule is not None or "full_load" in parts:
        task["full_load_settings"] = {"schedule": schedule, **parts.pop("full_load", {})}
    cdc = {**({} if mode is None else {"mode": mode}), **parts.pop("cdc", {})}
    settings = {
        "task": task | ({"cdc_settings": cdc} if cdc else {}),
        "tables": [_table(each) if isinstance(each, str) else each for each in tables],
        "filters": [_filter(*each) for each in filters],
        "transformations": [_change(*each) for each in changes],
        **parts,
    }
    return Case(language, description, settings)


def _table(name: str, **options: Any) -> dict[str, Any]:
    schema, table = name.split(".")
    return {"schema_name": schema, "table_name": table, **options}


def _without(name: str, *columns: str) -> dict[str, Any]:
    return _table(name, exclude_columns=list(columns))


def _only(name: str, *columns: str) -> dict[str, Any]:
    return _table(name, columns=list(columns))


def _filter(table: str, kind: str, column: str, *operands: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"filter_type": kind, "column_name": column}
    if "between" in kind:
        settings["lower"], settings["upper"] = operands
    elif kind in ("in", "not_in"):
        settings["values"] = list(operands)
    elif operands:
        (settings["value"],) = operands
    return {"table_info": _table(table), "settings": settings}


def _change(table: str, operation: str, column: str, **options: Any) -> dict[str, Any]:
    return _transformation(table, "modify_column_value", operation=operation, column_name=column, **options)


def _transformation(table: str, kind: str, **contract: Any) -> dict[str, Any]:
    return {"table_info": _table(table), "settings": {"transformation_type": kind, "contract": contract}}


_STOP = {
    "error_handling": {
        f"stop_if_{kind}_error": True for kind in ("insert", "update", "delete", "upsert", "scd2")
    }
}


def _renamed(table: str, old: str, new: str) -> dict[str, Any]:
    return _transformation(table, "modify_column_name", column_name=old, target_column_name=new)


def _with_changes(case: Case, *changes: Mapping[str, Any]) -> Case:
    return Case(
        case.language,
        case.description,
        {**case.settings, "transformations": [*case.settings["transformations"], *changes]},
    )


_ENGLISH = (
    _case("en", "copy sales.customers every hour, only RJ, SP and MG, name in capitals, keep history",
          [CUSTOMERS], schedule="@hourly", mode="scd2",
          filters=[(CUSTOMERS, "in", "state", "RJ", "SP", "MG")], changes=[(CUSTOMERS, "uppercase", "name")]),
    _case("en", "copy these tables once: sales.customers, sales.orders and sales.order_items",
          [CUSTOMERS, ORDERS, ITEMS]),
    _case("en", "replicate the whole schema hr in real time", [HR], BOTH),
    _case("en", "replicate every table of sales except events", [CUSTOMERS, ORDERS, ITEMS, PRODUCTS], BOTH),
    _case("en", "load hr.employees every night at 2:30", [EMPLOYEES], schedule="30 2 * * *"),
    _case("en", "copy sales.products every 15 minutes", [PRODUCTS], schedule="*/15 * * * *"),
    _case("en", "full load of sales.orders on weekdays at 7pm, emptying the target tables first (truncate)", [ORDERS],
          schedule="0 19 * * 1-5", full_load={"truncate_before_insert": True}),
    _case("en", "keep a slowly changing history (SCD2) of hr.employees", [EMPLOYEES], BOTH, mode="scd2"),
    _case("en", "follow only changes of sales.orders from now on, without an initial load; upsert them",
          [ORDERS], CDC, mode="upsert"),
    _case("en", "sync sales.orders, but leave out rows with status cancelled", [ORDERS], BOTH,
          filters=[(ORDERS, "not_equals", "status", "cancelled")]),
    _case("en", "replicate sales.orders with a total of 100 or more", [ORDERS], BOTH,
          filters=[(ORDERS, "greater_than_or_equal", "total", 100)]),
    _case("en", "copy once the sales.orders made in 2025 (ordered_on)", [ORDERS],
          filters=[(ORDERS, "date_between", "ordered_on", "2025-01-01", "2025-12-31")]),
    _case("en", "replicate sales.customers without the columns email and phone",
          [_without(CUSTOMERS, "email", "phone")], BOTH),
    _case("en", "copy only id, name and price of sales.products every day", [_only(PRODUCTS, "id", "name", "price")],
          schedule="@daily"),
    _case("en", "replicate sales.customers; hash the email so that equal addresses stay equal", [CUSTOMERS], BOTH,
          changes=[(CUSTOMERS, "hash", "email")]),
    _case("en", "replicate hr.employees and hide cpf: write *** instead (redact)", [EMPLOYEES], BOTH,
          changes=[(EMPLOYEES, "redact", "cpf")]),
    _with_changes(
        _case("en", "copy sales.customers weekly into the schema archive of the target", [CUSTOMERS],
              schedule="@weekly"),
        _transformation(CUSTOMERS, "modify_schema_name", target_schema_name="archive")),
    _with_changes(
        _case("en", "replicate sales.customers and call the column state uf on the target", [CUSTOMERS], BOTH),
        _renamed(CUSTOMERS, "state", "uf")),
    _case("en", "replicate sales.products, active ones only, and stop at any error", [PRODUCTS], BOTH,
          filters=[(PRODUCTS, "equals", "active", True)], **_STOP),
    _case("en", "mirror the schema sales and follow new columns automatically", [SALES], BOTH,
          cdc={"schema_evolution": "apply"}),
    _case("en", "replicate inserts and updates of sales.orders, never deletes or truncates",
          [_table(ORDERS, operations=["insert", "update"])], BOTH),
    _with_changes(
        _case("en", "replicate hr.employees with a new column full_name: first and last name joined by a space",
              [EMPLOYEES], BOTH),
        _transformation(EMPLOYEES, "create_column", operation="concat", new_column_name="full_name",
                        depends_on=["first_name", "last_name"], separator=" ")),
)  # fmt: skip

_PORTUGUESE = (
    _case("pt", "copie sales.customers a cada hora, só RJ, SP e MG, nome em maiúsculas, mantendo o histórico",
          [CUSTOMERS], schedule="@hourly", mode="scd2",
          filters=[(CUSTOMERS, "in", "state", "RJ", "SP", "MG")], changes=[(CUSTOMERS, "uppercase", "name")]),
    _case("pt", "copie uma única vez as tabelas hr.employees e hr.departments", [EMPLOYEES, DEPARTMENTS]),
    _case("pt", "replique todas as tabelas do esquema sales em tempo real", [SALES], BOTH),
    _case("pt", "sincronize o esquema hr, exceto departments", [EMPLOYEES], BOTH),
    _case("pt", "carregue sales.products todos os dias às 6h", [PRODUCTS], schedule="0 6 * * *"),
    _case("pt", "copie sales.orders a cada 2 horas", [ORDERS], schedule="0 */2 * * *"),
    _case("pt", "carga completa de sales.events toda semana", [EVENTS], schedule="@weekly"),
    _case("pt", "guarde o histórico de todas as versões de sales.products", [PRODUCTS], BOTH, mode="scd2"),
    _case("pt", "acompanhe apenas as mudanças de sales.customers a partir de agora, sem carga inicial, com upsert",
          [CUSTOMERS], CDC, mode="upsert"),
    _case("pt", "replique sales.orders, somente pedidos com status pago", [ORDERS], BOTH,
          filters=[(ORDERS, "equals", "status", "pago")]),
    _case("pt", "replique hr.employees com salário entre 3000 e 8000", [EMPLOYEES], BOTH,
          filters=[(EMPLOYEES, "between", "salary", 3000, 8000)]),
    _case("pt", "copie diariamente os funcionários (hr.employees) contratados depois de 31/12/2023", [EMPLOYEES],
          schedule="@daily", filters=[(EMPLOYEES, "date_greater_than", "hired_on", "2023-12-31")]),
    _case("pt", "replique hr.employees sem as colunas salary e cpf", [_without(EMPLOYEES, "salary", "cpf")], BOTH),
    _case("pt", "copie uma vez apenas as colunas id e name de sales.customers", [_only(CUSTOMERS, "id", "name")]),
    _case("pt", "replique sales.customers e mascare o telefone com hash", [CUSTOMERS], BOTH,
          changes=[(CUSTOMERS, "hash", "phone")]),
    _case("pt", "replique sales.customers; e-mail em minúsculas e nome sem espaços nas pontas", [CUSTOMERS], BOTH,
          changes=[(CUSTOMERS, "lowercase", "email"), (CUSTOMERS, "trim", "name")]),
    _with_changes(
        _case("pt", "copie mensalmente sales.orders para a tabela pedidos no destino", [ORDERS], schedule="@monthly"),
        _transformation(ORDERS, "modify_table_name", target_table_name="pedidos")),
    _with_changes(
        _case("pt", "replique sales.products renomeando a coluna price para preco", [PRODUCTS], BOTH),
        _renamed(PRODUCTS, "price", "preco")),
    _case("pt", "replique sales.orders e pare no primeiro erro", [ORDERS], BOTH, **_STOP),
    _case("pt", "espelhe o esquema hr e acompanhe novas colunas sozinho", [HR], BOTH,
          cdc={"schema_evolution": "apply"}),
    _case("pt", "replique sales.customers cujo e-mail termina em .br e que têm telefone", [CUSTOMERS], BOTH,
          filters=[(CUSTOMERS, "ends_with", "email", ".br"), (CUSTOMERS, "is_not_null", "phone")]),
    _case("pt", "copie sales.orders toda noite e sales.customers também, esvaziando o destino antes",
          [ORDERS, CUSTOMERS], schedule="@daily", full_load={"truncate_before_insert": True}),
)  # fmt: skip

_SPANISH = (
    _case("es", "copia sales.customers cada hora, solo RJ, SP y MG, el nombre en mayúsculas, conservando el historial",
          [CUSTOMERS], schedule="@hourly", mode="scd2",
          filters=[(CUSTOMERS, "in", "state", "RJ", "SP", "MG")], changes=[(CUSTOMERS, "uppercase", "name")]),
    _case("es", "copia una sola vez sales.products", [PRODUCTS]),
    _case("es", "replica todas las tablas de hr en tiempo real", [HR], BOTH),
    _case("es", "sincroniza el esquema sales excepto events y products", [CUSTOMERS, ORDERS, ITEMS], BOTH),
    _case("es", "carga sales.customers todos los días a las 23:45", [CUSTOMERS], schedule="45 23 * * *"),
    _case("es", "copia hr.departments cada 30 minutos", [DEPARTMENTS], schedule="*/30 * * * *"),
    _case("es", "carga completa de sales.orders y sales.order_items de lunes a viernes a las 5",
          [ORDERS, ITEMS], schedule="0 5 * * 1-5"),
    _case("es", "mantén el historial completo de sales.customers, todas las versiones", [CUSTOMERS], BOTH, mode="scd2"),
    _case("es", "sigue solo los cambios de hr.employees a partir de ahora, sin carga inicial, con upsert",
          [EMPLOYEES], CDC, mode="upsert"),
    _case("es", "replica sales.products de la categoría libros", [PRODUCTS], BOTH,
          filters=[(PRODUCTS, "equals", "category", "libros")]),
    _case("es", "replica sales.products con precio menor que 50", [PRODUCTS], BOTH,
          filters=[(PRODUCTS, "less_than", "price", 50)]),
    _case("es", "copia semanalmente los pedidos (sales.orders) a partir del 1 de enero de 2024, ese día incluido", [ORDERS],
          schedule="@weekly", filters=[(ORDERS, "date_greater_than_or_equal", "ordered_on", "2024-01-01")]),
    _case("es", "replica sales.orders sin la columna notes", [_without(ORDERS, "notes")], BOTH),
    _case("es", "copia cada día solo las columnas id, name y category de sales.products",
          [_only(PRODUCTS, "id", "name", "category")], schedule="@daily"),
    _case("es", "replica hr.employees enmascarando cpf con hash y sin salary", [_without(EMPLOYEES, "salary")], BOTH,
          changes=[(EMPLOYEES, "hash", "cpf")]),
    _case("es", "replica sales.customers y sustituye el teléfono por *** (redact)", [CUSTOMERS], BOTH,
          changes=[(CUSTOMERS, "redact", "phone")]),
    _with_changes(
        _case("es", "copia mensualmente hr.employees al esquema personal del destino", [EMPLOYEES], schedule="@monthly"),
        _transformation(EMPLOYEES, "modify_schema_name", target_schema_name="personal")),
    _with_changes(
        _case("es", "replica hr.employees y renombra last_name como apellido", [EMPLOYEES], BOTH),
        _renamed(EMPLOYEES, "last_name", "apellido")),
    _case("es", "replica sales.customers y detente ante cualquier error", [CUSTOMERS], BOTH, **_STOP),
    _case("es", "replica el esquema sales y sigue las nuevas columnas", [SALES], BOTH, cdc={"schema_evolution": "apply"}),
    _case("es", "replica sales.orders que no estén en los estados anulado ni devuelto (status)", [ORDERS], BOTH,
          filters=[(ORDERS, "not_in", "status", "anulado", "devuelto")]),
    _with_changes(
        _case("es", "copia cada noche hr.departments con una columna nueva loaded_at: la fecha y hora de la carga",
              [DEPARTMENTS], schedule="@daily"),
        _transformation(DEPARTMENTS, "create_column", operation="datetime_now", new_column_name="loaded_at")),
)  # fmt: skip

CASES: tuple[Case, ...] = (*_ENGLISH, *_PORTUGUESE, *_SPANISH)
