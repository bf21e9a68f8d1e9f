"""TREMpy's own settings files run as they are, from setup to the last change."""

from __future__ import annotations

import pytest

from tests.scenarios.test_transformations import types_of
from tests.support.replication import Replication
from tests.support.trempy_files import (
    CUSTOMER_CHANGES,
    CUSTOMERS,
    EMPLOYEE_CHANGES,
    EMPLOYEES,
    SCD2_FILE,
    UPSERT_FILE,
    present_customers,
    present_employees,
    read_file,
    wanted_customers,
    wanted_employees,
)
from trempy_provider.errors import PreflightError


@pytest.fixture
def run_file(databases, rabbitmq_uri):
    """Return a function that makes the replication of a settings file."""
    made = []

    def make(name):
        made.append(Replication(read_file(name), databases=databases, rabbitmq_uri=rabbitmq_uri))
        return made[-1]

    yield make
    for replication in made:
        replication.teardown()


def test_filtered_upsert_runs_as_it_is(databases, run_file):
    databases.source_admin.execute(CUSTOMERS)
    replication = run_file(UPSERT_FILE)
    with pytest.raises(PreflightError, match=r"alter table vendas\.clientes replica identity full"):
        replication.setup()
    databases.source_admin.execute("alter table vendas.clientes replica identity full")

    replication.setup()
    replication.load()
    loaded, present = wanted_customers(databases), present_customers(databases)
    databases.source_admin.execute(CUSTOMER_CHANGES)
    replication.catch_up()

    assert loaded
    assert present == loaded
    assert present_customers(databases) == wanted_customers(databases)
    assert databases.target_admin.fetch_value("select count(*) from vendas.pedidos") == 0
    assert (
        types_of(databases.target_admin, "vendas.clientes")["data_sincronizacao"]
        == "timestamp with time zone"
    )
    assert replication.errors() == []


def test_scd2_with_renames_concat_math_and_dates_over_four_tables_runs_as_it_is(databases, run_file):
    databases.source_admin.execute(EMPLOYEES)
    replication = run_file(SCD2_FILE)
    replication.setup()

    databases.source_admin.execute(EMPLOYEE_CHANGES)
    replication.catch_up()

    assert replication.errors() == []
    assert present_employees(databases) == wanted_employees(databases)
    versions = databases.target_admin.fetch_value(
        "select count(*) from employees.employee where id = 7 and valido_ate is not null"
    )
    assert versions == 1
