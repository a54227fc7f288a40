"""Who said yes, and to exactly what: canonical documents, SSH signatures, the approver registry, audience digests."""
