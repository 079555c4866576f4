"""Stage 5, official: what the United Nations publish about the same indicators.

values     the text of an official value -> number, interval and flag
client     the UN SDG API over HTTP, paging proven complete; the only place that uses Requests
snapshot   one immutable, checksummed folder for each official release, and the bundled figures
catalogue  the tables `sdg_catalogue` and `official_observations`, as pure functions of a snapshot

Nothing here knows about citizen data. An official figure is never changed: its text stays beside every number
that is read from it.
"""
