"""The page's second view, where drafts are accepted, rejected and corrected.

desk (what one person has before them), pictures (drawn for it), strokes (what is drawn on them means); actions, view (their
values), part (the components), keys (the keyboard).
"""
