import pytest

from trempy_provider.errors import ConfigurationError, FullLoadError, MetadataError, TargetSchemaError
from trempy_provider.postgres.table_states import LoadState

MIXED = """
create type mood as enum ('sad', 'ok', 'it''s "happy"');
create domain positive as integer check (value > 0);
create type pair as (a integer, b text);
create table public.mixed (
    id bigint primary key, flag boolean, small smallint, big bigint, price numeric(20, 5), ratio double precision,
    single real, word text, code char(5), label varchar(20), born date, at timestamp, atz timestamptz,
    span interval, daytime time, raw bytea, doc json, docb jsonb, ident uuid, addr inet, net cidr, mac macaddr,
    bits bit varying(12), place point, numbers integer[], words text[][], period tstzrange, many int4multirange,
    feeling mood, amount positive, vector tsvector, money money, lsn pg_lsn{extra}
);
"""
MIXED_ROWS = """
insert into public.mixed select g, g % 2 = 0, g, g * 1000000000000, g / 7.0, g / 3.0, g / 3.0,
    repeat(E'tab\\t nl\\n bs\\\\ ü €' || g, g % 50), g::text, 'l' || g, date '0044-03-15 BC' + g,
    timestamp '2000-01-01' + g * interval '1.000001 s', timestamptz 'infinity', g * interval '1 month 2 days 3.5 s',
    time '10:00' + g * interval '1 s', decode(md5(g::text), 'hex'), '{"a":  1, "a": 2}', jsonb_build_object('g', g),
    md5(g::text)::uuid, '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', B'101', point(g, 1 / (g + 0.3)),
    array[g, null, 3], array[['a', 'b,"'], ['NULL', '{}']], tstzrange(now(), null), '{[1,3),[5,9)}',
    (enum_range(null::mood))[1 + g % 3], g + 1, to_tsvector('simple', 'a fat cat ' || g), g::money, '1/ABCD'{extra}
from generate_series(0, 999) g;
insert into public.mixed (id) values (-1);
"""


def test_rows_of_every_built_in_type_arrive_as_they_are_in_binary(make_loading):
    loading = make_loading()
    loading.databases.source_admin.execute(MIXED.format(extra=""))
    loading.databases.source_admin.execute(MIXED_ROWS.replace("{extra}", ""))
    loading.setup()

    report = loading.full_load()

    assert [table.format for table in report.tables] == [_format_of_intervals(loading)]
    assert report.rows == 1001
    source, target = loading.checksums("public.mixed")
    assert source == target


def _format_of_intervals(loading):
    """An infinite interval of version 17 and newer is another, finite one for older versions in binary form."""
    query = "select current_setting('server_version_num')::int >= 170000"
    newer = [database.fetch_value(query) for database in (loading.databases.source, loading.databases.target)]
    return "text" if newer == [True, False] else "binary"


def test_a_type_without_portable_binary_form_makes_the_table_travel_as_text(make_loading):
    loading = make_loading()
    loading.databases.source_admin.execute(MIXED.format(extra=", pairs pair[], rel regtype, feelings mood[]"))
    extra = """, array[row(g, 'x"y')::pair], 'pg_catalog.int4'::regtype, array['sad'::mood]"""
    loading.databases.source_admin.execute(MIXED_ROWS.replace("{extra}", extra))
    loading.setup()

    report = loading.full_load()

    assert [table.format for table in report.tables] == ["text"]
    source, target = loading.checksums("public.mixed")
    assert source == target


def test_a_column_of_another_type_on_the_target_makes_the_table_travel_as_text(make_loading):
    loading = make_loading("public.t")
    loading.databases.source_admin.execute(
        "create table t (id integer primary key, v varchar); insert into t values (1, 'a')"
    )
    loading.databases.target_admin.execute(
        "create table t (id bigint primary key, v text, own text default 'mine')"
    )
    loading.setup()

    report = loading.full_load()

    assert report.tables[0].format == "text"
    assert loading.databases.target.fetch_all("select * from t") == [(1, "a", "mine")]


def test_keys_indexes_and_sequences_are_there_after_the_load(make_loading):
    loading = make_loading("public.t")
    loading.databases.source_admin.execute(
        "create table t (id serial primary key, code text unique, num bigint generated always as identity (increment 5));"
        "insert into t (code) select 'c' || g from generate_series(1, 10) g"
    )
    loading.setup()

    loading.full_load()

    target = loading.databases.target
    target.execute("insert into t (code) values ('next')")
    assert target.fetch_all("select id, num from t where code = 'next'")[0][0] == 11
    keys = target.fetch_all(
        "select conname, contype::text from pg_constraint where conrelid = 't'::regclass and contype in ('p', 'u') order by 1"
    )
    assert keys == [("t_code_key", "u"), ("t_pkey", "p")]
    assert target.fetch_value("select count(*) from pg_stats where tablename = 't'") == 3  # by ANALYZE only
    assert not loading.leftovers()


def test_generated_columns_are_computed_on_the_target(make_loading):
    loading = make_loading("public.t")
    loading.databases.source_admin.execute(
        "create table t (id int generated always as identity primary key, a int, b int generated always as (a * 2) stored);"
        "insert into t (a) values (1), (2)"
    )
    loading.setup()

    loading.full_load()

    assert loading.databases.target.fetch_all("select id, a, b from t order by id") == [(1, 1, 2), (2, 2, 4)]


def test_a_partitioned_table_is_loaded_from_all_its_leaves(make_loading):
    loading = make_loading("public.p")
    loading.databases.source_admin.execute(
        "create table p (id int, part int, extra text, primary key (id, part)) partition by list (part);"
        "create table p1 partition of p for values in (1);"
        "create table p2 (extra text, part int not null, id int not null);"
        "alter table p attach partition p2 for values in (2);"
        "create table p3 partition of p for values in (3) partition by range (id);"
        "create table p3a partition of p3 for values from (0) to (1000);"
        "insert into p select g, 1 + g % 3, 'x' || g from generate_series(1, 900) g"
    )
    loading.setup()

    report = loading.full_load()

    assert report.rows == 900
    assert loading.checksums("public.p")[0] == loading.checksums("public.p")[1]


def test_a_partitioned_table_without_partitions_is_empty(make_loading):
    loading = make_loading("public.p")
    loading.databases.source_admin.execute("create table p (id int primary key) partition by list (id)")
    loading.setup()

    report = loading.full_load()

    assert report.rows == 0
    assert loading.states()["public.p"].state is LoadState.READY


def test_a_table_of_an_inheritance_tree_is_loaded_without_its_children(make_loading):
    loading = make_loading("public.parent")
    loading.databases.source_admin.execute(
        "create table parent (id int primary key); create table child () inherits (parent);"
        "insert into parent values (1); insert into child values (2)"
    )
    loading.setup()

    loading.full_load()

    assert loading.databases.target.fetch_all("select id from parent") == [(1,)]


@pytest.mark.parametrize("parallel_streams", [1, 4])
def test_every_row_of_a_divided_table_arrives_once(make_loading, parallel_streams):
    settings = {"split_bytes": 65536, "parallel_streams": parallel_streams}
    loading = make_loading("public.t", full_load_settings=settings)
    loading.databases.source_admin.execute(
        "create table t (id int primary key, filler text);"
        "insert into t select g, repeat('x', g % 200) from generate_series(1, 20000) g;"
        "delete from t where id % 3 = 0; update t set filler = 'y' where id % 5 = 0"
    )
    loading.setup()

    report = loading.full_load()

    assert report.rows == loading.databases.source_admin.fetch_value("select count(*) from t")
    assert loading.checksums("public.t")[0] == loading.checksums("public.t")[1]


def test_an_empty_table_and_a_table_without_key_are_loaded(make_loading):
    loading = make_loading()
    loading.databases.source_admin.execute(
        "create table empty (id int primary key); create table keyless (a int, b text);"
        "insert into keyless values (1, 'x'), (1, 'x'), (null, null)"
    )
    loading.setup()

    report = loading.full_load()

    assert report.rows == 3
    assert loading.checksums("keyless")[0] == loading.checksums("keyless")[1]
    assert loading.states()["public.empty"].state is LoadState.READY


def test_hostile_names_are_only_names(make_loading):
    schema, table, column = 'my "schema" %s', 'ta.ble; -- drop %(x)s "é"', "co\"lumn, %s \\ '"
    quoted = ['"' + name.replace('"', '""') + '"' for name in (schema, table, column)]
    name = ".".join(quoted[:2])
    loading = make_loading(name)
    loading.databases.source_admin.execute(
        f'create schema {quoted[0]}; create table {name} ({quoted[2]} serial primary key, "CAPS" text unique);'
        f"insert into {name} (\"CAPS\") values ('a'), ('b')"
    )
    loading.setup()

    loading.full_load(tables=[name])
    loading.full_load(tables=[name], reload=True)

    assert loading.databases.target.fetch_value(f"select count(*) from {name}") == 2


def test_only_chosen_columns_are_read(make_loading):
    loading = make_loading("public.t", table_settings={"public.t": {"exclude_columns": ["secret"]}})
    loading.databases.source_admin.execute(
        "create table t (id int primary key, secret text, word text); insert into t values (1, 's', 'w')"
    )
    loading.setup()

    loading.full_load()

    assert loading.databases.target.fetch_all("select * from t") == [(1, "w")]


def test_tables_are_loaded_in_order_of_priority_and_size(make_loading):
    loading = make_loading(
        "public.late", "public.first", "public.large", "public.small",
        table_settings={"public.first": {"priority": 0}, "public.late": {"priority": 4}},
        full_load_settings={"parallel_streams": 1},
    )  # fmt: skip
    for table, count in {"late": 5000, "first": 1, "large": 5000, "small": 1}.items():
        loading.databases.source_admin.execute(
            f"create table {table} (id int primary key); insert into {table} select generate_series(1, {count})"
        )
    loading.setup()

    loading.full_load()

    states = sorted(loading.states().values(), key=lambda state: state.load_finished_at)
    assert [state.source.table_name for state in states] == ["first", "large", "small", "late"]


def test_an_existing_table_with_rows_is_refused_by_name(make_loading):
    loading = make_loading("public.t")
    loading.databases.source_admin.execute("create table t (id int primary key)")
    loading.databases.target_admin.execute("create table t (id int primary key); insert into t values (7)")
    loading.setup()

    with pytest.raises(TargetSchemaError, match=r"public\.t") as caught:
        loading.full_load()

    assert "truncate_before_insert" in caught.value.hint
    assert "recreate_table_if_exists" in caught.value.hint
    assert loading.databases.target.fetch_all("select id from t") == [(7,)]


@pytest.mark.parametrize("option", ["truncate_before_insert", "recreate_table_if_exists"])
def test_an_existing_table_with_rows_is_replaced_when_the_settings_say_so(make_loading, option):
    loading = make_loading("public.t", full_load_settings={option: True})
    loading.databases.source_admin.execute("create table t (id int primary key); insert into t values (1)")
    loading.databases.target_admin.execute(
        "create table t (id int primary key, own int); insert into t values (7, 7)"
    )
    loading.setup()

    loading.full_load()

    expected = [(1,)] if option == "recreate_table_if_exists" else [(1, None)]
    assert loading.databases.target.fetch_all("select * from t") == expected


def test_a_missing_table_is_refused_when_it_may_not_be_created(make_loading):
    loading = make_loading("public.t", "public.u", options={"create_table_if_not_exists": False})
    loading.databases.source_admin.execute(
        "create table t (id int primary key); create table u (id int primary key)"
    )
    loading.databases.target_admin.execute(
        "create table t (id int primary key); create table u (id int primary key)"
    )
    loading.setup()
    loading.databases.target_admin.execute("drop table t")

    with pytest.raises(FullLoadError, match=r"public\.t does not exist"):
        loading.full_load()

    assert loading.states()["public.u"].state is LoadState.READY


def test_a_failing_table_leaves_the_others_alone_and_is_loaded_by_the_next_run(make_loading):
    loading = make_loading(error_handling={"stop_if_insert_error": True})
    loading.databases.source_admin.execute(
        "create table good (id int primary key); create table bad (id int primary key);"
        "insert into good values (1); insert into bad values (1), (-1)"
    )
    loading.databases.target_admin.execute("create table bad (id int primary key check (id > 0))")
    loading.setup()

    with pytest.raises(FullLoadError, match=r"1 of 2 .*public\.bad.*23514"):
        loading.full_load()
    states = loading.states()
    loading.databases.source_admin.execute("delete from bad where id < 0")
    report = loading.full_load()

    assert states["public.good"].state is LoadState.READY
    assert states["public.bad"].state is LoadState.ERROR
    assert "23514" in (states["public.bad"].error or "")
    assert [str(table.source) for table in report.tables] == ["public.bad"]
    assert report.ready_count == 1
    assert loading.states()["public.bad"].error is None
    assert not loading.leftovers()


def test_tables_that_are_ready_are_not_touched(make_loading):
    loading = make_loading("public.t")
    loading.databases.source_admin.execute("create table t (id int primary key); insert into t values (1)")
    loading.setup()
    loading.full_load()
    loading.databases.source_admin.execute("insert into t values (2)")

    report = loading.full_load()

    assert report.tables == ()
    assert loading.databases.target.fetch_value("select count(*) from t") == 1


def test_unknown_table_names_are_refused_with_the_known_ones(make_loading):
    loading = make_loading("public.t")
    loading.databases.source_admin.execute("create table t (id int primary key)")
    loading.setup()

    with pytest.raises(ConfigurationError, match=r"public\.nope; its tables are: public\.t"):
        loading.full_load(tables=["public.nope"])


def test_table_that_the_settings_name_but_nobody_has_set_up_is_told(make_loading):
    loading = make_loading("public.*")
    loading.databases.source_admin.execute("create table t (id int primary key)")
    loading.setup()
    loading.databases.source_admin.execute("create table later (id int primary key)")

    with pytest.raises(MetadataError, match=r"has not been set up for public\.later") as raised:
        loading.full_load(tables=["public.later"])

    assert "trempy refresh" in raised.value.hint


def test_a_task_that_was_not_set_up_is_refused(make_loading):
    loading = make_loading("public.t")
    loading.databases.source_admin.execute("create table t (id int primary key)")

    with pytest.raises(MetadataError):
        loading.full_load()


def test_a_cdc_task_loads_nothing(make_loading):
    loading = make_loading("public.t", options={"replication_type": "cdc"})

    with pytest.raises(ConfigurationError, match="cdc"):
        loading.full_load()


def test_tables_bound_by_foreign_keys_are_loaded_in_whatever_order_works(make_loading):
    loading = make_loading(full_load_settings={"parallel_streams": 1})
    loading.databases.source_admin.execute(
        "create table a_child (id int primary key, parent int);"
        "create table b_parent (id int primary key);"
        "insert into b_parent values (1); insert into a_child select g, 1 from generate_series(1, 3000) g"
    )
    loading.databases.target_admin.execute(
        "create table b_parent (id int primary key);"
        "create table a_child (id int primary key, parent int references b_parent)"
    )
    loading.setup()

    report = loading.full_load()

    assert report.rows == 3001
