"""Pipelines as Dagster's definitions (extra ``dagster``): each spec an asset, each as-of date a partition.

The work is that of ``tsrnn pipeline run`` and nothing else: a date that is finished is answered from its
record, one that was killed is gone on with.
"""

# No `from __future__ import annotations`: Dagster looks at the type of a context itself.
import re
from pathlib import Path

from tsrnn.exceptions import MissingDependencyError, ParameterError, SpecError

from .run import PipelineResult, run_pipeline
from .spec import PipelineSpec, read_spec

try:
    import dagster as dg
except ImportError as error:
    raise MissingDependencyError(
        "tsrnn.pipelines.dagster needs Dagster, which is not installed. "
        "Install it with: pip install 'tsrnn[dagster]'"
    ) from error

__all__ = ["definitions"]


def definitions(folder: str | Path, *, start: str) -> dg.Definitions:
    """Return Dagster's definitions of the pipelines of a folder.

    Parameters
    ----------
    folder : str or Path
        Its ``*.yaml`` files are read once. Each becomes an asset, called as the pipeline (what is no
        letter or digit is ``_``); one with a ``schedule`` a job and a schedule, too, with its timeout
        and its tries.
    start : str
        First as-of date that can be run ("2024-01-01"); the last one is today's.

    Raises
    ------
    SpecError
        A spec can't be used, or there is none.

    Notes
    -----
    A tick of a schedule runs the date of its day. What no further try would change (a bad spec, a
    refusal of the gate) fails at once.
    """
    specs = [read_spec(path) for path in sorted(Path(folder).glob("*.yaml"))]
    if not specs:
        raise SpecError(f"Dagster's definitions need a pipeline. Got no *.yaml in {str(folder)!r}.")
    assets = {spec.name: _asset(spec, start) for spec in specs}
    schedules = [_schedule(spec, assets[spec.name]) for spec in specs if spec.schedule is not None]
    return dg.Definitions(
        assets=list(assets.values()),
        jobs=[schedule.job for schedule in schedules],
        schedules=schedules,
    )


def _asset(spec: PipelineSpec, start: str) -> dg.AssetsDefinition:
    plan = spec.schedule
    retries = None
    if plan is not None and plan.retries:
        retries = dg.RetryPolicy(plan.retries, plan.delay, dg.Backoff.EXPONENTIAL)

    @dg.asset(
        name=_identifier(spec.name),
        partitions_def=dg.DailyPartitionsDefinition(
            start, timezone="UTC" if plan is None else plan.timezone, end_offset=1
        ),
        retry_policy=retries,
        group_name="tsrnn",
        description=f"The forecasts of pipeline {spec.name!r}, by as-of date.",
    )
    def forecasts(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        try:
            result = run_pipeline(spec, as_of=context.partition_key, announce=context.log.info)
        except (SpecError, ParameterError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if result.outcome == "refused":
            raise dg.Failure(result.words, metadata=_metadata(result), allow_retries=False)
        return dg.MaterializeResult(metadata=_metadata(result))

    return forecasts


def _schedule(spec: PipelineSpec, asset: dg.AssetsDefinition) -> dg.ScheduleDefinition:
    plan = spec.schedule
    if len(plan.cron.split()) != 5:
        raise SpecError(
            f"schedule.cron must have five fields for Dagster, which knows no seconds. Got {plan.cron!r} "
            f"in pipeline {spec.name!r}."
        )
    name = _identifier(spec.name)
    job = dg.define_asset_job(
        f"{name}_job", selection=[asset], tags={"dagster/max_runtime": str(int(plan.timeout))}
    )

    @dg.schedule(
        name=f"{name}_schedule",
        job=job,
        cron_schedule=plan.cron,
        execution_timezone=plan.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def at_its_times(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(partition_key=f"{context.scheduled_execution_time:%Y-%m-%d}")

    return at_its_times


def _metadata(result: PipelineResult) -> dict[str, object]:
    return {
        "outcome": result.outcome,
        "why": result.words,
        "mlflow run": result.run_id or "none",
        "done now": result.is_new,
        "report": dg.MetadataValue.md(f"```text\n{result.report}\n```"),
    }


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)
