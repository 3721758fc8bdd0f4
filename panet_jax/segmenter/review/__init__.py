"""Review of drafts: what a person decided about each image (steps), and the folder that keeps it (project)."""
