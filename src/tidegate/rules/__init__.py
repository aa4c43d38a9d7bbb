"""Pure decisions: given values, they return values. No I/O, no clock, no store, no randomness but for new secrets."""
