"""Score the assistant: the advisor alone, and the model of a connection in the environment if there is one.

`make eval-assistant` (CONN_ID=trempy_model, whose connection is in AIRFLOW_CONN_TREMPY_MODEL; VERBOSE=1 shows
what differs).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks.assistant.cases import CASES, Case
from benchmarks.assistant.scoring import Score, score, summary
from benchmarks.assistant.shop import shop
from trempy_provider.assistant.advisor import Grounds, advise
from trempy_provider.assistant.draft import Draft
from trempy_provider.assistant.language_models import open_model
from trempy_provider.assistant.model import ModelDrafter
from trempy_provider.cli.airflow_connection import AirflowConnection
from trempy_provider.errors import TrempyError

_GROUNDS = Grounds(shop())


def main(argv: Sequence[str] | None = None) -> int:
    """Print the scores; the exit code is 0 where all that was to be asked was asked."""
    parser = argparse.ArgumentParser(prog="make eval-assistant")
    parser.add_argument("--conn-id", default="trempy_model")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--limit", type=int, default=len(CASES), help="score the first so many cases")
    arguments = parser.parse_args(argv)
    _report("advisor", lambda text: advise(text, _GROUNDS), arguments)
    drafter = _drafter(arguments.conn_id)
    if drafter is None:
        print(f"\nno model: AIRFLOW_CONN_{arguments.conn_id.upper()} is not set")
        return 0
    _report(drafter.name, lambda text: drafter.draft(text, _GROUNDS), arguments)
    return 0


def _drafter(conn_id: str) -> ModelDrafter | None:
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    text = os.environ.get(variable)
    if text is None:
        return None
    connection = AirflowConnection.parse(text, variable=variable)
    return open_model(
        api_key=connection.password, base_url=connection.host, model_name=connection.extra.get("model")
    )


def _report(name: str, draft: Callable[[str], Draft], arguments: argparse.Namespace) -> None:
    started_at = time.monotonic()
    scores = [_scored(case, draft) for case in CASES[: arguments.limit]]
    print(f"\n{name}: {len(scores)} cases in {time.monotonic() - started_at:.1f} s")
    _print_row("", "cases", "valid", "exact", "in common")
    for language in dict.fromkeys(each.case.language for each in scores):
        _print_summary(language, [each for each in scores if each.case.language == language])
    _print_summary("all", scores)
    if arguments.verbose:
        for each in scores:
            _print_differences(each)


def _scored(case: Case, draft: Callable[[str], Draft]) -> Score:
    try:
        drafted: Draft | None = draft(case.description)
    except TrempyError as error:
        print(f"{case.description}: {error}", file=sys.stderr)
        drafted = None
    return score(case, drafted, _GROUNDS.catalogue)


def _print_summary(name: str, scores: list[Score]) -> None:
    facts = summary(scores)
    shares = (f"{facts[key]:.0%}" for key in ("valid", "exact", "in_common"))
    _print_row(name, str(facts["cases"]), *shares)


def _print_row(name: str, *cells: str) -> None:
    print(f"{name:<4}" + "".join(f"{cell:>11}" for cell in cells))


def _print_differences(each: Score) -> None:
    if each.is_exact:
        return
    print(f"\n{each.case.language}: {each.case.description}")
    for mark, facts in (("-", each.missing), ("+", each.superfluous)):
        for fact in sorted(facts):
            print(f"  {mark} {' '.join(fact)}")


if __name__ == "__main__":
    sys.exit(main())
