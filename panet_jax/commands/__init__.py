"""What a user types.

cli (finds the command), predict, data, demo, export, doctor, completion, experiment (of the main program); option_parser,
experiment_options, config_flag, queries, supports (options); labeling (of photographs, by predict), result_sheet, demo_page/ (the page of demo); ending (errors -> one sentence), messages (log lines), progress.
"""
