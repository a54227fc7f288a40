"""What may be said, to whom, by whom: playbooks are data; this package reads, checks and renders them."""
