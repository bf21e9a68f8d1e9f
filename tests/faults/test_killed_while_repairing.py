"""A repair may be killed between any two steps beside capture and apply; the next one finishes it (G12)."""

from __future__ import annotations

import pytest

from tests.faults.dying import command
from tests.faults.steps import REPAIR
from tests.support.site import Site
from tests.support.wait import wait_until

REPAIRED = ("keyed", "composite", "emptied")
DAMAGE = """
delete from public.keyed where id in (select id from public.keyed order by id limit 3);
update public.keyed set v = 'wrong' where id in (select id from public.keyed order by id desc limit 3);
insert into public.keyed values ({n}, 'nobody has it');
update public.composite set v = 'wrong';
insert into public.emptied values ({n}, 'nor this')
"""


@pytest.mark.pg("15-18")
def test_repair_killed_at_every_step_in_turn(site: Site):
    tables = [word for name in REPAIRED for word in ("--table", f"public.{name}")]
    site.write()
    site.wait_until_level()

    for number, step in enumerate(REPAIR):
        site.databases.target_admin.execute(DAMAGE.format(n=1_000_000_000 + number))
        wait_until(lambda: not _is_validating(site), timeout_seconds=30, what="the killed session to be gone")
        command(site, "validate", "--repair", "--anew", *tables, step=step)
        site.write()
    wait_until(lambda: not _is_validating(site), timeout_seconds=30, what="the killed session to be gone")

    assert command(site, "validate", "--repair", *tables) == 0
    assert command(site, "validate", "--anew") == 0
    site.assert_converged()


def _is_validating(site: Site) -> int:
    query = "select count(*) from pg_stat_activity where application_name = %s"
    return int(site.databases.target.fetch_value(query, [f"trempy/{site.task_name}/validate"]))
