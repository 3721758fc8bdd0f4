"""The results of evaluations: rows, tables, pages and pictures."""
