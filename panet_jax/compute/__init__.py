"""Where it runs: devices, processes, signals, compiled programs."""
