"""The order of things: durable, deterministic, branching only on recorded values."""
