"""The web process: webhooks, the pages of customers, the inbox of an app, and a health check."""
