"""The results of evaluations.

result (what a row of results.json and results.jsonl holds), tables (of rows), benchmark_tables, fold_means and paper (tables
beside the published values), table_files, html_report with charts, sheets (pictures), contact_sheet (of a data set),
model_card, tensorboard, names.
"""
