"""The configuration: what a user may write (`model`), and how a file becomes it (`load`, `shape`, `checks`).

`export` writes it back, `schema` describes it to editors, `diff` compares two. It knows neither the store nor
HTTP. Invariant: nothing of a configuration is accepted and then ignored.
"""
