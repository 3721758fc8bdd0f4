"""Files that survive a crash: whole or not at all, resumed, locked."""
