"""What is written and what it is called: result schema, keys, provenance, files, settings and selections."""
