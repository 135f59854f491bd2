"""Scheduled runs: a YAML spec, and steps of one page each that turn it into a tracked forecast.

``spec`` says what a run is, ``steps`` does the work on plain values, ``run`` is the order of the
steps and what is logged, ``report`` is the table that is printed. ``tsrnn pipeline run SPEC`` calls
:func:`tsrnn.pipelines.run.run_pipeline`.
"""
