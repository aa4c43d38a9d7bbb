"""The API: one declared table of routes, and the code that serves it.

`routes.py` is the table; rights, routing, the OpenAPI document and the tests are made from it. HTTP ends here:
`query/` reads, and the engines of the gateway act.
"""
