"""System events: which states of the gateway are reported, when, and as what. Pure."""
