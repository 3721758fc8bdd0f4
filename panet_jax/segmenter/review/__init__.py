"""Review of drafts: what a person decided about each image (steps), and the folder that keeps it (project; open).

drafting makes drafts anew, with the classes that deciding takes to be there; label_files, exporting.
"""
