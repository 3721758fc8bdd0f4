"""The demonstration page: a visitor draws what to look for on one image, and sees it found in others.

page (components), actions (what a click does), session (what one visitor has shown and found), drawing (strokes ->
annotations), result_view, example, uploads (how large they may be), folder (where they lie), style.
"""
