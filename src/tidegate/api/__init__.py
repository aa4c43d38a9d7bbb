"""The API: one declared table of routes, and what serves it.

`routes.py` is the table; rights, routing, the OpenAPI document and the tests are made from it. HTTP ends here: what is
told stands in `query/`, what is done is done by the gateway's engines.
"""
