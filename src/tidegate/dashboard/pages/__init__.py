"""One module a page: read by the functions of `query/`, make plain dicts, render. No page knows SQL or sockets."""
