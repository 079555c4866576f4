"""Stage 5, official: what the United Nations publish about the same indicators.

sources    what every source gives: a release, its lists, and its observations series by series
http       patient and polite requests; the only place that uses Requests
client     the UN SDG API, paging proven complete; lists and pages read the shapes of its answers
sdmx_client, codes   the same figures from the UN's SDMX service
bulk       the UN's own bulk download of a release
staging    the parts of a release that arrived whole, so that a fetch that was killed goes on
snapshot   one immutable, checksummed folder for each official release, and the bundled figures
releases   which release is in use, held or superseded; revisions: what a release changed
values     the text of an official value -> number, interval and flag; filters: rows picked on our side
catalogue  the tables `sdg_catalogue` and `official_observations`, as pure functions of a snapshot

Nothing here knows about citizen data. An official figure is never changed: its text stays beside every number
that is read from it.
"""
