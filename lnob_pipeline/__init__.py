"""From citizen data to SDG gaps: the pipeline of the Leave No One Behind Partnership.

The stages are packages, named as in the README: submissions, validation, harmonisation, estimation, official, gaps,
publication. Nothing is imported here: a command that needs one stage pays for that stage alone.
"""

__version__ = "0.1.0"
