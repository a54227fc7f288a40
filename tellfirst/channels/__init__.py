"""How a message leaves: one adapter per provider behind the protocol of `base`."""
