"""Everything a run leaves for people: metrics, images, figures, the report, the results table.

`files` and `writers` put it on disk, `grids` and `curves` draw, `progress` talks to the terminal,
`report` turns a workdir into one HTML page (`run_record` reads the workdir; `facts`, `tables`,
`samples`, `panels` and `explorer` lay it out; `page` fills in the templates in `pages/`), `compare`
puts several on one page (`comparison` lays them out), `results` keeps the README's table
(`result_rows`, `result_table`, `result_record`), and `model_card` tells of an export (`card_record`
reads its run, `card_limits`, `model_kinds` and `data_licences` have the words, `model_index` lists
a folder of them). No module here imports jax: arrays come in as numpy.
"""
