"""Stage 1, submissions: take a hand-in, read its manifest, seal its files, keep the ledger; open no file further."""
