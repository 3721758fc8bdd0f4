"""The results of evaluations.

result (what a row holds), rows (on disk and as a table), protocols (rules of scoring), benchmark_tables, fold_means and
paper (tables beside the published values), table_files, html_report with charts, sheets (pictures), tensorboard.
"""
