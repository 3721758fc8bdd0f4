"""What was measured, as rows, tables, pages and pictures."""
