"""The demonstration page: a visitor draws what to look for on one image, and sees it found in others.

page (components), marking_actions and result_actions (what a click does), mistakes (told on the page), session (what one
visitor has shown and found), choices (which classes are in each image), drawing (strokes -> annotations), result_view,
example, uploads (how large they may be), folder (where they lie), style.
"""
