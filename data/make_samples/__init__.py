"""The synthetic submissions of the bundled inbox, drawn from one seed.

`python -m data.make_samples` writes the data files under data/submissions (the manifests beside them are written by
hand). Nobody in these files exists: names carry the word for "example" of their language, telephone numbers lie in one
small block a country, distributions are plausible for 2019 and 2020 but describe no real place. The same seed gives the
same bytes.
"""

SEED = 20201016
"""Each sample draws from its own stream (SEED, number of the sample), so that one can change without the others."""
