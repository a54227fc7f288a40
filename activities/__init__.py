"""One class per step of an outreach; activities touch the world, their dependencies come by constructor."""
