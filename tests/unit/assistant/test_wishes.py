"""The advisor understands tables by name, and plain wishes, in three languages."""

import time

import pytest

from tests.support.catalogues import name, shop, table
from trempy_provider.assistant.catalogue import Catalogue
from trempy_provider.assistant.wishes import read_wishes
from trempy_provider.config.schedule import check_schedule


def tables(text, catalogue=None):
    return {str(each) for each in read_wishes(text, catalogue or shop()).tables}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("copy sales.customers", {"sales.customers"}),
        ("Copie SALES.Customers e hr.employees", {"sales.customers", "hr.employees"}),
        ("copy customers and orders", {"sales.customers", "sales.orders"}),
        ("copia orders.", {"sales.orders"}),
        ("copy the schema hr", {"hr.employees", "hr.departments"}),
        ("copie todas as tabelas de hr", {"hr.employees", "hr.departments"}),
        ("copy hr.*", {"hr.employees", "hr.departments"}),
        ("copia todas las tablas de hr excepto departments", {"hr.employees"}),
        ("copy order_items", {"sales.order_items"}),
        ("copy sales.orders_archive, and sales.orders", {"sales.orders"}),
    ],
)
def test_tables_are_found_by_name(text, expected):
    assert tables(text) == expected


def test_everything_is_every_table():
    assert len(tables("copy everything")) == len(shop().tables)


def test_names_of_all_characters_are_found_in_quotes():
    catalogue = Catalogue((table("Ventas.Órdenes de Compra"), table("public.ab")))

    assert tables('copia "Ventas"."Órdenes de Compra"', catalogue) == {'"Ventas"."Órdenes de Compra"'}


def test_a_name_that_two_schemas_have_takes_the_one_that_is_said():
    catalogue = Catalogue((table("a.orders"), table("b.orders")))

    assert tables("copy orders of schema b", catalogue) == {"b.orders"}


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("every hour", "@hourly"),
        ("a cada hora", "@hourly"),
        ("cada hora", "@hourly"),
        ("every 15 minutes", "*/15 * * * *"),
        ("a cada 2 horas", "0 */2 * * *"),
        ("every night at 2:30 am", "30 2 * * *"),
        ("todos os dias às 23h15", "15 23 * * *"),
        ("todos los días a las 6", "0 6 * * *"),
        ("on weekdays at 7pm", "0 19 * * 1-5"),
        ("once a day", "@daily"),
        ("uma vez por dia", "@daily"),
        ("todas las semanas", "@weekly"),
        ("mensalmente", "@monthly"),
        ("copy it", None),
    ],
)
def test_schedules_are_read(text, schedule):
    wishes = read_wishes(f"copy customers {text}", shop())

    assert (wishes.schedule and wishes.schedule[0]) == schedule
    if schedule:
        check_schedule(schedule)
        assert not wishes.loads_once


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("keep the history", "keeps_history"),
        ("mantendo o histórico", "keeps_history"),
        ("conserva el historial", "keeps_history"),
        ("replicate", "follows_changes"),
        ("em tempo real", "follows_changes"),
        ("sincroniza", "follows_changes"),
        ("only changes", "changes_only"),
        ("sem carga inicial", "changes_only"),
        ("solo los cambios", "changes_only"),
        ("once", "loads_once"),
        ("uma única vez", "loads_once"),
        ("una sola vez", "loads_once"),
        ("stop at the first error", "stops_on_errors"),
        ("pare no primeiro erro", "stops_on_errors"),
        ("detente ante cualquier error", "stops_on_errors"),
        ("follow new columns", "follows_schema"),
        ("upsert", "upserts"),
        ("truncate first", "truncates"),
    ],
)
def test_wishes_are_read_with_the_words_that_say_so(text, wish):
    wishes = read_wishes(f"customers: {text}", shop())

    assert getattr(wishes, wish)


@pytest.mark.parametrize("part", ["with ", "guarda ", "stop ", "keep ", "every day ", "no "])
def test_long_descriptions_take_little_time(part):
    began = time.perf_counter()

    read_wishes("customers " + part * (20_000 // len(part)), shop())

    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("do not truncate the target", "truncates"),
        ("don't truncate", "truncates"),
        ("never truncate it", "truncates"),
        ("não esvaziar o destino", "truncates"),
        ("no vaciar las tablas", "truncates"),
        ("no upserts", "upserts"),
        ("don't stop on errors", "stops_on_errors"),
        ("não pare no primeiro erro", "stops_on_errors"),
        ("don't keep history", "keeps_history"),
        ("sem manter o histórico", "keeps_history"),
        ("sin conservar el historial", "keeps_history"),
        ("do not follow changes", "follows_changes"),
        ("without new columns", "follows_schema"),
    ],
)
def test_a_negated_wish_is_none(text, wish):
    assert getattr(read_wishes(f"copy customers, {text}", shop()), wish) is None


def test_a_wish_beside_a_negation_stays():
    wishes = read_wishes(
        "copy customers, no filters, truncate first; not upserts but keep the history", shop()
    )

    assert wishes.truncates and wishes.keeps_history and not wishes.upserts


def test_a_table_called_like_a_wish_is_no_wish():
    catalogue = Catalogue((table("a.history"), table("a.live")))

    wishes = read_wishes("keep a.history and a.live once", catalogue)

    assert wishes.tables == (name("a.history"), name("a.live"))
    assert wishes.keeps_history is None
    assert wishes.follows_changes is None
