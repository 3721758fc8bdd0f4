"""Where the program runs.

devices, hosts (communication between processes), job (how processes join and end), interrupts (signals),
compilation_cache, compiler_flags.
"""
