"""Types and values that every other folder uses. Imports no other part of Tidegate."""
