"""TREMpy's own settings files run as they are, from setup to the last change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scenarios.test_transformations import dump, types_of
from tests.support.replication import Replication
from trempy_provider.errors import PreflightError

FILES = Path(__file__).parents[1] / "unit" / "config" / "settings_files"
CUSTOMERS = """
create schema vendas;
create table vendas.clientes (id int primary key, nome varchar(80), genero char(1), situacao varchar(20), limite_credito numeric(10,2),
    idade int, desconto numeric(4,2), pontos int, uf char(2), segmento int, renda numeric(10,2), filhos int,
    excluido_em timestamp, email text, endereco text, observacao text);
create table vendas.pedidos (id int primary key, criado_em timestamp, data_cadastro date, entregue_em date);
insert into vendas.clientes
select g, 'ana ' || g, 'F', 'ativo', 20000, 30, 0.10, 500, (array['RJ', 'SP', 'MG'])[1 + g % 3], 4, 2000, 1, null,
    g || '@example.com', 'Rua 100%_ ' || g, 'cliente bom' from generate_series(1, 100) g;
update vendas.clientes set nome = 'Ana ' || id where id % 2 = 0;
insert into vendas.pedidos select g, timestamp '2023-05-05', date '2023-05-05', null from generate_series(1, 20) g;
"""
PASSING = """genero = 'F' and situacao <> 'inativo' and limite_credito > 10000 and idade >= 18 and desconto < 0.25 and pontos <= 1000
    and uf in ('RJ', 'SP', 'MG') and segmento not in (1, 2, 3) and renda between 1000 and 5000.5 and filhos not between 3 and 10
    and excluido_em is null and email is not null and left(nome, 1) = 'A' and right(email, 12) = '@example.com'
    and position('100%_' in endereco) > 0 and position('teste' in observacao) = 0"""
CUSTOMER_CHANGES = """
update vendas.clientes set situacao = 'inativo' where id = 2;
update vendas.clientes set nome = 'Aline' where id = 1;
delete from vendas.clientes where id = 4;
update vendas.clientes set observacao = 'um teste' where id = 6;
begin;
update vendas.clientes set pontos = pontos + 490 + id where id > 10;
update vendas.clientes set nome = 'Áurea', id = id + 1000 where id % 10 = 0;
insert into vendas.clientes select id + 5000, 'Amélia', genero, situacao, limite_credito, idade, desconto, 1, uf, 4, renda,
    filhos, excluido_em, email, endereco, observacao from vendas.clientes where id < 100;
commit;
"""
EMPLOYEES = """
create schema employees;
create table employees.salary (employee_id int, from_date date, amount int not null, to_date date, primary key (employee_id, from_date));
create table employees.employee (id int primary key, first_name varchar(30), last_name varchar(30), email varchar(60), birth_date date,
    hire_month date, hire_day timestamp, hire_date timestamp);
"""
EMPLOYEE_CHANGES = """
begin;
insert into employees.employee select g, 'maría ' || g, '  da silva ', 'M' || g || '@X.ORG', date '1970-02-03' + g, date '1999-11-30',
    timestamp '1999-11-29 23:59:59', timestamp '1999-11-28 01:02:03' from generate_series(1, 80) g;
insert into employees.salary select g, date '2000-01-01', 1200 * g, date '2004-06-30' from generate_series(1, 80) g;
commit; begin;
update employees.employee set first_name = 'josé' where id = 7;
update employees.salary set amount = 600 where employee_id = 7;
delete from employees.employee where id = 8; delete from employees.salary where employee_id = 8;
commit; begin; update employees.employee set last_name = 'souza' where id > 40; update employees.salary set to_date = '9999-01-01' where employee_id > 40; commit;
"""


@pytest.fixture
def run_file(databases, rabbitmq_uri):
    """Return a function that makes the replication of a settings file."""
    made = []

    def make(name):
        given = json.loads((FILES / name).read_text(encoding="utf-8"))
        made.append(Replication(given, databases=databases, rabbitmq_uri=rabbitmq_uri))
        return made[-1]

    yield make
    for replication in made:
        replication.teardown()


def test_filtered_upsert_runs_as_it_is(databases, run_file):
    databases.source_admin.execute(CUSTOMERS)
    replication = run_file("trempy_upsert.json")
    with pytest.raises(PreflightError, match=r"alter table vendas\.clientes replica identity full"):
        replication.setup()
    databases.source_admin.execute("alter table vendas.clientes replica identity full")

    replication.setup()
    replication.load()
    columns = "id, genero, situacao, limite_credito, idade, pontos, uf, email, observacao"
    query = (
        f'(select {columns}, upper(nome collate "und-x-icu") as nome from vendas.clientes where {PASSING})'
    )
    loaded = dump(databases.source_admin, query)
    present = dump(databases.target_admin, f"(select {columns}, nome from vendas.clientes)")
    databases.source_admin.execute(CUSTOMER_CHANGES)
    replication.catch_up()

    assert loaded
    assert present == loaded
    expected = dump(databases.source_admin, query)
    assert dump(databases.target_admin, f"(select {columns}, nome from vendas.clientes)") == expected
    assert databases.target_admin.fetch_value("select count(*) from vendas.pedidos") == 0
    assert (
        types_of(databases.target_admin, "vendas.clientes")["data_sincronizacao"]
        == "timestamp with time zone"
    )
    assert replication.errors() == []


def test_scd2_with_renames_concat_math_and_dates_runs_as_it_is(databases, run_file):
    databases.source_admin.execute(EMPLOYEES)
    replication = run_file("trempy_scd2.json")
    replication.setup()

    databases.source_admin.execute(EMPLOYEE_CHANGES)
    replication.catch_up()

    assert replication.errors() == []
    salaries = """(select employee_id, from_date as data_inicio, (amount * 1.1 + 5) / 12 - 8.0000000000000000 as amount,
        to_date as data_fim, round((to_date - from_date) / 365.25)::int as periodo_anos from employees.salary)"""
    present = "(select employee_id, data_inicio, amount, data_fim, periodo_anos from funcionarios.salario where atual = 1)"
    assert dump(databases.target_admin, present) == dump(databases.source_admin, salaries)
    employees = """(select id, upper(first_name collate "und-x-icu") as first_name, btrim(last_name) as last_name,
        lower(email collate "und-x-icu") as email, extract(year from birth_date)::int as birth_date, 11 as hire_month,
        29 as hire_day, '28/11/1999 01:02:03' as hire_date,
        upper(first_name collate "und-x-icu") || ' ' || btrim(last_name) as full_name, 'PYTHON' as updated_by, 5 as generation,
        true as active from employees.employee)"""
    columns = """id, first_name, last_name, email, birth_date, hire_month, hire_day, hire_date, full_name, updated_by,
        generation, active"""
    current = f"(select {columns} from employees.employee where atual = 1)"
    assert dump(databases.target_admin, current) == dump(databases.source_admin, employees)
    versions = databases.target_admin.fetch_value(
        "select count(*) from employees.employee where id = 7 and valido_ate is not null"
    )
    assert versions == 1
