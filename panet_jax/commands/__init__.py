"""What a user types.

cli (finds the command), predict, data, demo, experiment (of the main program); option_parser, config_flag, queries,
supports (options); ending (errors -> one sentence), messages (log lines), progress.
"""
