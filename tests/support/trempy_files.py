"""TREMpy's two complete settings files: their source tables, changes, and what has to be on the target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.databases import Database, DatabasePair

FILES = Path(__file__).parents[1] / "unit" / "config" / "settings_files"
UPSERT_FILE, SCD2_FILE = "trempy_upsert.json", "trempy_scd2.json"
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
create table employees.title (employee_id int, title varchar(50), from_date date, to_date date, primary key (employee_id, title, from_date));
create table employees.department (dept_no char(4) primary key, dept_name varchar(40) not null);
"""
EMPLOYEE_CHANGES = """
begin;
insert into employees.employee select g, 'maría ' || g, '  da silva ', 'M' || g || '@X.ORG', date '1970-02-03' + g, date '1999-11-30',
    timestamp '1999-11-29 23:59:59', timestamp '1999-11-28 01:02:03' from generate_series(1, 80) g;
insert into employees.salary select g, date '2000-01-01', 1200 * g, date '2004-06-30' from generate_series(1, 80) g;
insert into employees.department select 'd' || lpad(g::text, 3, '0'), 'área ' || g from generate_series(1, 9) g;
insert into employees.title select g, 'engineer', date '2000-01-01', date '2000-01-01' + 100 * g from generate_series(1, 40) g;
commit; begin;
update employees.department set dept_name = 'vendas' where dept_no = 'd003'; delete from employees.department where dept_no = 'd009';
update employees.title set title = 'senior' where employee_id % 4 = 0; delete from employees.title where employee_id = 5;
update employees.employee set first_name = 'josé' where id = 7;
update employees.salary set amount = 600 where employee_id = 7;
delete from employees.employee where id = 8; delete from employees.salary where employee_id = 8;
commit; begin; update employees.employee set last_name = 'souza' where id > 40; update employees.salary set to_date = '9999-01-01' where employee_id > 40; commit;
"""
CUSTOMER_COLUMNS = "id, genero, situacao, limite_credito, idade, pontos, uf, email, observacao"
# by the target's table: its columns of the current versions, and the same of the source
EMPLOYEE_TABLES = {
    "funcionarios.salario": (
        "employee_id, data_inicio, amount, data_fim, periodo_anos",
        """employee_id, from_date as data_inicio, (amount * 1.1 + 5) / 12 - 8.0000000000000000 as amount,
            to_date as data_fim, round((to_date - from_date) / 365.25)::int as periodo_anos from employees.salary""",
    ),
    "employees.employee": (
        """id, first_name, last_name, email, birth_date, hire_month, hire_day, hire_date, full_name, updated_by,
            generation, active""",
        """id, upper(first_name collate "und-x-icu") as first_name, btrim(last_name) as last_name,
            lower(email collate "und-x-icu") as email, extract(year from birth_date)::int as birth_date,
            11 as hire_month, 29 as hire_day, '28/11/1999 01:02:03' as hire_date,
            upper(first_name collate "und-x-icu") || ' ' || btrim(last_name) as full_name, 'PYTHON' as updated_by,
            5 as generation, true as active from employees.employee""",
    ),
    "funcionarios.cargo": (
        "employee_id, nome_do_cargo, from_date, to_date, descricao, anos",
        """employee_id, title as nome_do_cargo, from_date, to_date, title || ' - ' || employee_id as descricao,
            (to_date - from_date) / 365.25 as anos from employees.title""",
    ),
    "funcionarios.department": (
        "codigo, dept_name",
        'dept_no as codigo, upper(dept_name collate "und-x-icu") as dept_name from employees.department',
    ),
}


def read_file(name: str) -> Any:
    """Return the settings as they are."""
    return json.loads((FILES / name).read_text(encoding="utf-8"))


def dump(server: Database, table: str) -> list[str]:
    """Return the rows of a table or query as text, in any order."""
    return sorted(row for (row,) in server.fetch_all(f"select r::text from {table} r"))


def wanted_customers(databases: DatabasePair) -> list[str]:
    """Return the rows of vendas.clientes that the upsert file wants on the target."""
    query = f'select {CUSTOMER_COLUMNS}, upper(nome collate "und-x-icu") as nome from vendas.clientes where {PASSING}'
    return dump(databases.source_admin, f"({query})")


def present_customers(databases: DatabasePair) -> list[str]:
    """Return the rows of vendas.clientes that are on the target."""
    return dump(databases.target_admin, f"(select {CUSTOMER_COLUMNS}, nome from vendas.clientes)")


def wanted_employees(databases: DatabasePair) -> dict[str, list[str]]:
    """Return the current versions that the SCD2 file wants, by the target's table."""
    return {
        table: dump(databases.source_admin, f"(select {query})")
        for table, (_, query) in EMPLOYEE_TABLES.items()
    }


def present_employees(databases: DatabasePair) -> dict[str, list[str]]:
    """Return the current versions on the target, by table."""
    return {
        table: dump(databases.target_admin, f"(select {columns} from {table} where atual = 1)")
        for table, (columns, _) in EMPLOYEE_TABLES.items()
    }
