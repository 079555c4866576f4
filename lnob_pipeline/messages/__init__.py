"""What the pipeline says to partners, in their languages: gettext catalogues (.po) and the code that reads them.

The English sentence is the key of its translation. A language is one file, <code>.po, which any PO editor opens; the
line `# Status: draft` (or reviewed, official) at its head says what the translation is worth. messages.pot is the list
of all sentences, for a new language. `lnob messages` keeps the files complete.
"""
