"""The web process: delivery receipts and a health check."""
