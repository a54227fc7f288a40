"""Proactive customer service as a durable, accountable system: the vocabulary, the rules and the adapters."""

__version__ = "0.1.0"
