"""The mapping languages: models, reading, linting and expressions. No data lives here: it is in indicator_mappings/."""
