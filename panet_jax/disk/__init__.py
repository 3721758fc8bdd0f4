"""Files that survive a crash.

atomic (files appear complete), downloads (they resume; and the cache folder), locks (one process writes at a time),
paths (on this machine or in a bucket), read_ahead (in threads), workdir (its default name, and its files), saved_networks
(those of a workdir, and which is the newest), experiment (checks that a workdir holds only one).
"""
