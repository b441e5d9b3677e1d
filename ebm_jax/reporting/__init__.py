"""Everything a run leaves for people: metrics, images, figures, the report, the results table.

`files` and `writers` put it on disk, `grids` and `curves` draw, `progress` talks to the terminal,
`report` turns a workdir into one HTML page (`run_record` reads the workdir, `tables` and `panels`
lay it out), and `results` keeps the README's table (`result_rows`, `result_table`,
`result_record`). No module here imports jax: arrays come in as numpy.
"""
