"""What an evaluation measured: rows of results, tables, pages and pictures."""
