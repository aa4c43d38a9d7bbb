"""One module for each provider: `DOUBLE`, the facts about its API."""
