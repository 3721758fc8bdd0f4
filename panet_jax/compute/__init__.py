"""Where the program runs: devices, hosts (what processes tell each other), job (how they join and end), interrupts (signals), compilation_cache."""
