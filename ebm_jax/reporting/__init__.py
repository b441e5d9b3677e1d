"""Everything a run leaves for people: metrics, images, figures, the report, the results table.

`files` and `writers` put it on disk. `grids` draws images; `curves`, `charts` and `scatter` draw
figures in one `house_style`. `progress` and `summary` talk to the terminal. `report` turns a
workdir into one HTML page (`run_record` reads the workdir; `facts`, `tables`, `samples`, `panels`
and `explorer` lay it out; `page` fills in the templates in `pages/`), `compare` puts several on one
page (`comparison` lays them out), and `ablation` puts runs that differ in one setting into a table
and a plot. `results` keeps the tables of the README (`result_summary`) and of docs/results.md
(`result_table`): `result_record` makes rows of finished runs, `result_rows` checks and stores them,
`run_command` has the words of a run's command. `model_card` tells of an export (`card_record` reads
its run, `card_limits`, `model_kinds` and `data_licences` have the words, `model_index` lists a
folder of them); `marked_page` puts what is rendered between a page's markers. No module here
imports jax: arrays come in as numpy.
"""
