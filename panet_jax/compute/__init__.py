"""Where the program runs: devices, hosts (several processes), interrupts (signals), compilation_cache."""
