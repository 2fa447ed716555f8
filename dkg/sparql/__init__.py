"""SPARQL: reading queries, and covering every triple that an answer depends on."""
