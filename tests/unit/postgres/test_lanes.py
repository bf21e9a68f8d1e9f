"""Which tables belong together."""

from __future__ import annotations

from trempy_provider.postgres.lanes import join_tables


def test_tables_are_joined_over_others() -> None:
    joined = join_tables([5, 4, 3, 2, 1], [(5, 4), (2, 1), (4, 2)])

    assert joined == {5: 1, 4: 1, 3: 3, 2: 1, 1: 1}


def test_tables_of_others_join_nothing() -> None:
    assert join_tables([1, 2], [(1, 9), (9, 2)]) == {1: 1, 2: 2}
