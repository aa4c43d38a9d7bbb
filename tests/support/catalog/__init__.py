"""Doubles of the APIs in the catalog: each answers on a socket as the documentation of the real API says it does.

A double does not know the provider file in `src/tidegate/providers/`. It is written from the documentation of the
API, so that a wrong fact in one of the two makes a test fail. `tests/catalog/` polls every resource of every provider
file from its double through 200 random changes, and runs every operation. It fails for a change that is missed,
invented or repeated, for a parameter that the API does not have, and for a poll that reads everything although it
asks for changes.

To add a provider
-----------------
1. Write the API half of `src/tidegate/providers/NAME.toml`, with `tested_with = "double"`.
2. Write `doubles/NAME_WITH_UNDERSCORES.py` with `DOUBLE = Double(...)`. `github.py` is the model for REST,
   `hubspot.py` for searches in POST, `stripe.py` for forms and feeds, `graphql.py` for GraphQL, `salesforce.py` for a
   query language.
3. Run `.venv/bin/python -m pytest tests/catalog -k NAME`. Break a fact of the provider file once to see it red.

What a data file says
---------------------
`Double` (`shape.py`)
    name and `sources` (where each fact can be read); `base`, the path of the base URL; `auth` (`auth.py`: bearer,
    basic, header, query, either); `needs`, required headers; `quotas`; `error`, the body of an error by its kind,
    with `statuses` for kinds that have another status here; `values` for `with`; `tables`, `calls`; `resources`: name
    in the provider file -> table, or `-table` for a list of what was deleted; `unseen`: resource -> what the API
    cannot show, and why; `operations`: name -> `Test`; `ignored`: parameters that the API has and the double does
    nothing with; `settings`: more keys of `[sources.X.api]`.
`Table` (`shape.py`)
    `row`: a function from a `State` to the JSON of a row. It must write `state.mark` into a text field that the
    resource reads: the test finds the state of a record by it. `ident`: number -> id in paths. `resolution_us`: how
    exactly the API stores times. `changes`: which of c, u, d happen. `tombstone`: the row when it is deleted and
    still shown. `lag_seconds`: how late an index shows a change (with `late=True` on the list). `kept_seconds`: how
    long deleted rows are shown. `parent`: its rows belong to rows of that table (name that table first). `log_of`:
    its rows are the changes of that table; `state.of` is the state that changed. `fields`: what filters and orders
    may name.
`Listing` (`calls.py`)
    `put`, the member with the rows; `pages` (`pages.py`: `Pager` for one page, `Numbered`, `Offsets`, `Tokens`), with
    `default`, `maximum`, and `served` for a smaller page so that tokens are used; `where` (`where.py`): `param(name,
    op, field, reader)` with a strict reader of `times.py`, `needed`, `hides_gone`, `only_gone`, or a function from
    the request to conditions; `order`, fixed or from a parameter; `late`, `cap`, `wrap`, `extra`, `parent`,
    `no_rows`.
`Synced` (`sync.py`)
    a list that ends with a sync token or a delta link: everything at first, then only changes with deleted rows, and
    "expired" for a token that the test let expire.
`Item`, `Write` (`calls.py`)
    one row by its id, with what a deleted one answers; a create, update, upsert or delete with the fields that it
    needs, what must be unique, and the place of an idempotency key. A form body is read as an object: `a[b]=1` is
    `body:a.b`.
`Quota` (`limits.py`)
    a window or a leaky bucket with the answer over it, and the headers or members of each answer. Say what is
    documented, in requests and seconds, also when a test never gets there: the test uses it up at random.

When an API is unlike all others
--------------------------------
`Custom(path=..., run=function)` answers what the function returns: it has the request (`Ask`) and the `World`, whose
`rows(table)` has `visible()`, `find(id)`, `create`, `update` and `delete`. Raise `Refused(kind, message)` for an
error. GraphQL: `graphql.run` with a resolver for each field. Prefer a small function in the data file to a new option
of the engine; add an option when a third API needs it.

Facts that could not be confirmed go to `unconfirmed` of the provider file; the double then does what is worse for a
poll (exclusive rather than inclusive, seconds rather than milliseconds, an index that lags).
"""
