"""How conditions are seen in operational data: rows in, findings out, always read-only."""
