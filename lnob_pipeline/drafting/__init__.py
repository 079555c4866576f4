"""Help for who writes an instrument file: a draft from a form, a trial against a hand-in. Nothing is decided here."""
