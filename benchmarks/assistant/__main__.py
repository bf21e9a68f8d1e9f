"""Score the assistant: the advisor alone, and the model of an Airflow connection.

`make eval-assistant` (CONN_ID=…: any connection to a model that Airflow has, in its database, its secrets
backend or the environment; without it, `trempy_model` where the environment has it; VERBOSE=1 shows what differs).
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
from trempy_provider.assistant.model import DEFAULT_CONN_ID, DEFAULT_MODEL, ModelDrafter
from trempy_provider.cli.airflow_connection import AirflowConnection
from trempy_provider.errors import ConfigurationError, TrempyError

_GROUNDS = Grounds(shop())
_GENERIC_TYPE = "pydanticai"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the scores; the exit code is 0 where all that was to be asked was asked."""
    parser = argparse.ArgumentParser(prog="make eval-assistant")
    parser.add_argument("--conn-id", help=f"without it, {DEFAULT_CONN_ID} of the environment")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--limit", type=int, default=len(CASES), help="score the first so many cases")
    arguments = parser.parse_args(argv)
    _report("advisor", lambda text: advise(text, _GROUNDS), arguments)
    try:
        drafter = _drafter(arguments.conn_id)
    except ConfigurationError as error:
        print(f"error: {error.explanation}", file=sys.stderr)
        return 2
    if drafter is None:
        print(f"\nno model: AIRFLOW_CONN_{DEFAULT_CONN_ID.upper()} is not set; CONN_ID=… names a connection")
        return 0
    _report(drafter.name, lambda text: drafter.draft(text, _GROUNDS), arguments)
    return 0


def _drafter(conn_id: str | None) -> ModelDrafter | None:
    """Return the model of a connection; of the environment without Airflow, where its type lets that be.

    Raise ConfigurationError when the connection that is named is none to a model.
    """
    variable = f"AIRFLOW_CONN_{(conn_id or DEFAULT_CONN_ID).upper()}"
    text = os.environ.get(variable)
    connection = None if text is None else AirflowConnection.parse(text, variable=variable)
    if connection is not None and connection.conn_type == _GENERIC_TYPE:
        return open_model(
            api_key=connection.password, base_url=connection.host, model_name=connection.extra.get("model")
        )
    if connection is None and conn_id is None:
        return None
    return _airflows_drafter(conn_id or DEFAULT_CONN_ID)


def _airflows_drafter(conn_id: str) -> ModelDrafter:
    # As Airflow's own commands do: connections are then read from its database and secrets backend.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    from trempy_provider.hooks.language_models import open_agent_factory  # noqa: PLC0415  # imports Airflow

    create_agent, name = open_agent_factory(conn_id, default_model=DEFAULT_MODEL)
    return ModelDrafter(create_agent, name)


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
