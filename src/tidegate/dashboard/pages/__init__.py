"""One module a page: read by the functions of `answer/`, make plain dicts, render. No page knows SQL or sockets."""
