"""Files that survive a crash: they appear complete, downloads go on, one process at a time writes."""
