"""Stage 3, harmonisation: what each form says, in the words of the question bank. Nothing is guessed or aggregated."""
