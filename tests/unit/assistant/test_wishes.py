"""The advisor understands tables by name, and plain wishes, in three languages."""

import time

import pytest

from tests.support.catalogues import name, shop, table
from trempy_provider.assistant.catalogue import Catalogue
from trempy_provider.assistant.periods import seconds_between, uneven_steps
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
        ("at 3am every day", "0 3 * * *"),
        ("daily, 3 am", "0 3 * * *"),
        ("every night at 11", "0 23 * * *"),
        ("toda noite à meia-noite", "@daily"),
        ("todos os dias às 3 da tarde", "0 15 * * *"),
        ("twice a day", "0 */12 * * *"),
        ("duas vezes por dia", "0 */12 * * *"),
        ("dos veces al día a las 6 y a las 18", "0 6,18 * * *"),
        ("every day at 6am and 6pm", "0 6,18 * * *"),
        ("twice a year", "0 0 1 */6 *"),
        ("once a month", "@monthly"),
        ("1st and 15th of every month", "0 0 1,15 * *"),
        ("dias 1 e 15 de cada mês", "0 0 1,15 * *"),
        ("monthly on the 5th and 20th at 3am", "0 3 5,20 * *"),
        ("todos os meses no dia 5", "0 0 5 * *"),
        ("every month on day 5", "0 0 5 * *"),
        ("every month on the last day at 23:00", "0 23 L * *"),
        ("todos os dias às 7 e meia", "30 7 * * *"),
        ("todos los días a las 7 y media de la tarde", "30 19 * * *"),
        ("todos os dias às 12 horas", "0 12 * * *"),
        ("todos os dias às 8 horas da noite", "0 20 * * *"),
        ("every hour, truncate before each load", "@hourly"),
        ("every hour. Stop after the first error", "@hourly"),
        ("with a daily full load", "@daily"),
        ("com carga mensal", "@monthly"),
        ("carga completa semanal", "@weekly"),
        ("three times a day", "0 */8 * * *"),
        ("every two hours", "0 */2 * * *"),
        ("every second hour", "0 */2 * * *"),
        ("every 120 minutes", "0 */2 * * *"),
        ("de 2 em 2 horas", "0 */2 * * *"),
        ("a cada 6h", "0 */6 * * *"),
        ("every hour on weekdays", "0 * * * 1-5"),
        ("on mondays and thursdays at 7:30 pm", "30 19 * * 1,4"),
        ("toda segunda-feira às 9h", "0 9 * * 1"),
        ("los lunes, miércoles y viernes a las 10", "0 10 * * 1,3,5"),
        ("de segunda a sexta às 18h", "0 18 * * 1-5"),
        ("weekly on sunday", "@weekly"),
        ("nos fins de semana às 4h", "0 4 * * 0,6"),
        ("on the 1st of every month at 4am", "0 4 1 * *"),
        ("no dia 15 de cada mês", "0 0 15 * *"),
        ("el último día de cada mes a las 2", "0 2 L * *"),
        ("every 3 months", "@quarterly"),
        ("trimestralmente", "@quarterly"),
        ("todos os dias as 3 tabelas", "@daily"),
        ("with the schedule 5 4 * * 2", "5 4 * * 2"),
        ("keep every version of the last 5 years", None),
        ("not every hour but every day", "@daily"),
        ("no more than every 2 hours", "0 */2 * * *"),
    ],
)
def test_schedules_are_read(text, schedule):
    wishes = read_wishes(f"copy customers {text}", shop())

    assert wishes.schedule == schedule
    if schedule:
        check_schedule(schedule)
        assert not wishes.loads_once
        assert uneven_steps(schedule) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("every 90 minutes", "cron cannot say every 90 minutes evenly"),
        ("a cada 45 minutos", "cron cannot say every 45 minutes evenly"),
        ("cada 36 horas", "cron cannot say every 36 hours evenly"),
        ("every 2 days", "cron cannot say every 2 days evenly"),
        ("dia sim, dia não", "cron cannot say every 2 days evenly"),
        ("fortnightly", "cron cannot say every 2 weeks evenly"),
        ("every hour and a half", "cron has no halves of a period"),
        ("a cada hora e meia", "cron has no halves of a period"),
        ("twice a month", "a month cannot be parted evenly into 2"),
        ("duas vezes por mês", "a month cannot be parted evenly into 2"),
        ("four times a month", "a month cannot be parted evenly into 4"),
        ("on the 45th of each month", "it is no day of a month"),
        ("every month on the 0th", "it is no day of a month"),
        ("with the schedule */00 * * * *", "it is no cron expression"),
        ("twice a week", "a week cannot be parted evenly into 2"),
        ("5 times a day", "a day's hours cannot be parted evenly into 5"),
        ("every day at 6am and 6:30pm", "different minutes"),
        ("every day at 25:00", "it is no time of day"),
        ("every 0 hours", "it is no period"),
        ("every hour and every week", "several schedules"),
        ("every 2 hours at 7am", "a period and for times of day"),
        ("hourly, from 8 to 18", "hours of the day beside a period"),
        ("every day except on sundays", "an exception"),
        ("every evening", "at what time is not said"),
        ("at 3am", "on which days is not said"),
        ("every first monday of the month", "it was not understood"),
        ("cada 30 segundos", "it was not understood"),
        ("with the schedule */90", "it was not understood"),
        ("every friday at 18:00 and sunday at 6:00", "beside it was not understood"),
        ("every monday at 7 and every friday at 9", "several schedules"),
        ("every monday at 7 and every friday", "several schedules"),
        ("first monday of each month", "beside it was not understood"),
        ("on the last friday of each month", "beside it was not understood"),
        ("último dia útil do mês", "beside it was not understood"),
        ("todo dia 9 da noite", "beside it was not understood"),
        ("todo dia 9 horas", "beside it was not understood"),
        ("every day half past 7", "beside it was not understood"),
        ("every 2 hours and 15 minutes", "beside it was not understood"),
        ("a cada 1 hora e 30 minutos", "beside it was not understood"),
        ("every hour at minute 15", "beside it was not understood"),
        ("every hour during business hours", "beside it was not understood"),
        ("a cada hora no horário comercial", "beside it was not understood"),
        ("every monday evening at 9", "beside it was not understood"),
        ("every three mondays", "beside it was not understood"),
        ("toda sexta 13", "beside it was not understood"),
        ("every day at 6 or 7", "beside it was not understood"),
        ("every 5 to 10 minutes", "it was not understood"),
        ("every 1.5 hours", "it was not understood"),
        ("changed 3 times a day by the ERP", "it is not clear that loads are meant"),
        ("every month on the fifth", "beside it was not understood"),
        ("no quinto dia de cada mês", "beside it was not understood"),
        ("on the 15th", "it was not understood"),
        ("no dia 15", "it was not understood"),
        ("every march", "it was not understood"),
        ("every day at 5 pm and 15 minutes", "beside it was not understood"),
        ("every day at 3am local time", "beside it was not understood"),
        ("em 1 de julho de todo ano", "beside it was not understood"),
        ("every day before 6am", "beside it was not understood"),
        ("every day after 6am", "beside it was not understood"),
        ("every day, not before 6am", "beside it was not understood"),
        ("every day between 8 and 10", "beside it was not understood"),
        ("for the monthly report", "it is not clear that loads are meant"),
        ("para o relatório mensal", "it is not clear that loads are meant"),
        ("para el informe semanal", "it is not clear that loads are meant"),
    ],
)
def test_what_cron_cannot_say_or_is_not_understood_is_no_schedule_and_says_why(text, why):
    wishes = read_wishes(f"copy customers {text}", shop())

    assert wishes.schedule is None
    assert wishes.is_timed
    assert why in wishes.timing.problem


@pytest.mark.parametrize(
    "text",
    [
        "copy customers, not every hour",
        "do not copy customers every hour",
        "não copie customers a cada hora",
        "no cargues customers cada hora",
        "never load customers hourly",
    ],
)
def test_a_negated_schedule_is_none(text):
    wishes = read_wishes(text, shop())

    assert wishes.schedule is None
    assert not wishes.is_timed
    assert wishes.timing.denied == {"@hourly"}


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        ("*/45 * * * *", ["*/45 in the minute field"]),
        ("*/90 * * * *", ["*/90 in the minute field"]),
        ("0 */36 * * *", ["*/36 in the hour field"]),
        ("0 0 */2 * *", ["*/2 in the day field"]),
        ("0 0 1 */5 *", ["*/5 in the month field"]),
        ("5/25,*/7 */5 * * */2", [
            "5/25 in the minute field", "*/7 in the minute field", "*/5 in the hour field", "*/2 in the weekday field",
        ]),
        ("*/20 8-18/2 1 */3 1-5", []),
        ("@daily", []),
    ],
)  # fmt: skip
def test_steps_that_do_not_divide_their_field_are_found(schedule, steps):
    assert uneven_steps(schedule) == steps


@pytest.mark.parametrize(
    ("schedule", "seconds"),
    [
        ("*/15 * * * *", 900),
        ("@hourly", 3600),
        ("0 */2 * * 1-5", 7200),
        ("0 6,18 * * *", 43_200),
        ("0 22,6 * * *", 28_800),
        ("30 2 * * *", 86_400),
        ("0 9 * * 1", 604_800),
        ("0 4 1 * *", 28 * 86_400),
        ("0 8-18 * * *", 3600),
        ("1,31 8 * * *", 1800),
    ],
)
def test_the_time_between_two_loads_is_known(schedule, seconds):
    assert seconds_between(schedule) == seconds


@pytest.mark.parametrize("text", ["do not truncate", "não truncar", "no truncar", "sem truncar as tabelas"])
def test_not_to_truncate_is_a_wish_of_its_own(text):
    wishes = read_wishes(f"copy customers, {text}", shop())

    assert wishes.truncates is None
    assert wishes.spares_rows


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


@pytest.mark.parametrize(
    "part",
    [
        "with ", "guarda ", "stop ", "keep ", "every day ", "no ", "at 3 ", "cada ", "on monday and ", "12:30 ",
        "* ", "todo dia 5 ", "not copy ", "1, ",
        "1 and ", "every day at 3pm, ", "first ", "truncate it ", "only id ", "monthly ",
    ],
)  # fmt: skip
def test_long_descriptions_take_little_time(part):
    began = time.perf_counter()

    read_wishes("customers " + part * (20_000 // len(part)), shop())

    assert time.perf_counter() - began < 2


def test_many_days_and_many_times_take_little_time():
    text = "customers " + "every day " * 1000 + "at 3pm; " * 1200
    began = time.perf_counter()

    read_wishes(text, shop())

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
