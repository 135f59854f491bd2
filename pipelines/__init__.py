"""Scheduled runs: a YAML spec, and steps of one page each that turn it into a tracked forecast.

``spec`` says what a run is, ``run`` does a date once, ``day`` is the order of its steps, ``ledger``
remembers which are done. ``contest``, ``judge`` and ``shelf`` decide which model forecasts and
register it, ``monitor`` looks at what came true. ``serve`` and ``backfill`` run many dates.
``tsrnn pipeline run SPEC`` calls :func:`tsrnn.pipelines.run.run_pipeline`.
"""
