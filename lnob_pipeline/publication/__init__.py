"""Stage 7, publication: disclosure control, then the release folder with its files and its page.

`disclosure` decides which numbers may be shown, `release` writes them whole or not at all, `report` makes the page.
This stage hides and writes; it never estimates.
"""
