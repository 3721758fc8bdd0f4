"""Where the program runs.

devices, hosts (communication between processes), job (how they join and end), interrupts (signals), compilation_cache.
"""
