from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import sql

from trempy_provider.config.expressions import source_column
from trempy_provider.config.table_chain import ChainColumn
from trempy_provider.config.value_types import INTEGER
from trempy_provider.postgres.load_plan import Leaf, Part, part_rows_sql, plan_parts
from trempy_provider.postgres.load_tables import load_table_name
from trempy_provider.postgres.table_plan import TablePlan
from trempy_provider.postgres.tables import QualifiedName

NAME = QualifiedName("public", "t")
COLUMN = ChainColumn("id", INTEGER, source_column("id"), origin="id", is_as_it_stands=True)
PLAN = TablePlan(NAME, NAME, (COLUMN,), identity=("id",))


def leaf(**changes):
    return Leaf(1, NAME, **{"page_count": 100, "size_bytes": 100 * 8192, **changes})


def test_a_small_table_is_one_part():
    assert plan_parts([leaf()], split_bytes=10**9) == (Part(leaf(), size_bytes=100 * 8192),)


def test_a_table_that_is_not_a_heap_is_one_part():
    assert len(plan_parts([leaf(is_heap=False)], split_bytes=8192)) == 1


def test_leaves_keep_their_order():
    leaves = [leaf(page_count=1, size_bytes=1), leaf(page_count=2, size_bytes=2)]

    assert [part.leaf for part in plan_parts(leaves, split_bytes=100)] == leaves


@given(pages=st.integers(0, 5000), split_bytes=st.integers(8192, 10**8))
def test_parts_follow_each_other_without_gap_from_the_first_page_to_no_end(pages, split_bytes):
    parts = plan_parts([leaf(page_count=pages, size_bytes=pages * 8192)], split_bytes=split_bytes)

    assert parts[0].first_page is None
    assert parts[-1].end_page is None
    for part, following in pairwise(parts):
        assert part.end_page == following.first_page
        assert (part.first_page or 0) < (part.end_page or 0)


def test_a_part_is_read_by_its_pages():
    part = Part(leaf(), first_page=10, end_page=20)

    composed = part_rows_sql(part, PLAN)

    assert repr(composed).count("ctid") == 2
    assert sql.Literal("(10,0)") in _pieces(composed)
    assert sql.Literal("(20,0)") in _pieces(composed)


def test_a_foreign_partition_is_read_without_only():
    assert "only " not in repr(part_rows_sql(Part(leaf(is_foreign=True)), PLAN))
    assert "only " in repr(part_rows_sql(Part(leaf()), PLAN))


def test_load_tables_of_long_task_names_have_names_of_their_own():
    names = {load_table_name(prefix + "x" * 49, 4_000_000_000).table_name for prefix in "ab"}

    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)
    assert load_table_name("shop", 17).table_name == "load_shop_17"


def _pieces(composed):
    for piece in composed:
        if isinstance(piece, sql.Composed):
            yield from _pieces(piece)
        else:
            yield piece
