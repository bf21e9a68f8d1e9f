"""TREMpy's two settings files as Variables: Airflow makes their DAGs, loads, and follows changes."""

import pytest

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
from tests.system.conftest import wait_until

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


def test_both_trempy_files_run_unchanged_beside_each_other_from_variables_to_the_last_change(shop):
    source = shop.pair.source_admin
    source.execute(f"{CUSTOMERS} alter table vendas.clientes replica identity full; {EMPLOYEES}")
    for name in (UPSERT_FILE, SCD2_FILE):
        given = read_file(name)
        shop.set_variable(f"trempy_task_{given['task']['task_name']}", given)

    employees, employees_run = shop.start_cdc("fl_employees")
    shop.run("trempy_replicacao_clientes_vip_full_load")
    loaded, present = wanted_customers(shop.pair), present_customers(shop.pair)
    shop.start_cdc("replicacao_clientes_vip")
    shop.wait_for_state(employees, employees_run, "capture", "running", "deferred")
    source.execute(EMPLOYEE_CHANGES + CUSTOMER_CHANGES)
    wait_until(lambda: _is_level(shop.pair), timeout_seconds=120, what="both targets are as wanted")

    assert loaded
    assert present == loaded
    errors = "select task_name, target_table, sqlstate from trempy.apply_errors"
    assert shop.pair.target.fetch_all(errors) == []
    ended = "select count(*) from employees.employee where id = 7 and valido_ate is not null"
    assert shop.pair.target.fetch_value(ended) == 1


def _is_level(pair):
    return present_customers(pair) == wanted_customers(pair) and present_employees(pair) == wanted_employees(
        pair
    )
