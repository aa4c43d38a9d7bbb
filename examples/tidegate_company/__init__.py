"""The sample company: seven small systems, one gateway between them, and a page that tells the story.

Each system is a program of its own (`python -m tidegate_company.shop --port N`). This package imports nothing of the
gateway: it starts `tidegate serve` as a separate process, as a user would. The data of the systems is in memory or in
the data directory; without one, a temporary directory is used and removed.
"""
