"""Stage 6, gaps: what the official figures say, what they are silent about, and what citizen data does to the silence.

expected    the cells that must be there, and the official slice of each
comparison  official and citizen figures of the same cell side by side
typology    one status and its flags for every expected cell
coverage    the cells counted
decisions   who decided what about a submission or a table of the release

Nothing here estimates, and no citizen value is ever written into an official column.
"""
