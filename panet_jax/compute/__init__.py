"""Where the program runs.

devices, python_loops (loops over episodes or images outside XLA), hosts (communication between processes), job (how
processes join and end), interrupts (signals), compilation_cache, compiler_flags.
"""
