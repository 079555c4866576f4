"""Stage 2, validation: take identifiers out, judge every row and cell by fixed rules, tell the partner why."""
