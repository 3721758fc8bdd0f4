"""What a user types.

cli (finds the command), predict, data, demo, export, doctor, completion, experiment (of the main program); demo_page/ (the
page of demo).

Options: option_parser, experiment_options, config_flag, queries, supports, typed_references (read and checked). A run of
predict: labeling (segments and writes), decision (which classes are left out of a photograph), answers (of --review),
reference_files, result_sheet. All: ending (errors -> one sentence), messages (log lines), progress.
"""
