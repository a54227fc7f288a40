"""Whether the outreach helped: assignment, windows and estimators, pure functions of recorded rows."""
