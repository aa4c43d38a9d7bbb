"""Findings about resources: polls, records, deletes, webhooks of a resource.

Rows of the table in `tidegate.core.finding_codes`: code -> severity, label, meaning, remedy. Pure data.
"""

from __future__ import annotations

from tidegate.core.finding_codes.shape import ERROR, NOTICE, WARNING, FindingCode

RESOURCES: dict[str, FindingCode] = {
    "conflict_held": FindingCode(
        WARNING,
        "conflict needs a decision",
        "Two systems changed the same fields of a record, and the operation says that a person decides. Its deliveries "
        "are not sent.",
        "open the page Conflicts, or: tidegate conflicts",
    ),
    "conflict_decided": FindingCode(
        NOTICE,
        "conflict was decided",
        "Two systems changed the same fields of a record, and `on_conflict` of the operation chose one of the values.",
        "check the values: tidegate conflicts --all",
    ),
    # -- resources
    "rows_skipped": FindingCode(
        WARNING,
        "rows skipped",
        "Rows of the source could not be read, so they have no record. Their reasons and examples are stored.",
        "set primary_key or data_selector to fit the rows, then: tidegate poll {name}",
    ),
    "duplicate_keys": FindingCode(
        WARNING,
        "key not unique",
        "Different rows of the list have the same key. One of them is the record; the others are ignored.",
        'make primary_key a list of the fields that tell rows apart, such as ["id", "location"]',
    ),
    "version_opaque": FindingCode(
        NOTICE,
        "versions without an order",
        "The versions are neither numbers nor times, so they cannot be put in order. The later read wins.",
        "nothing, if the source has no better field; else set version, or version_kind of the resource",
    ),
    "version_missing": FindingCode(
        WARNING,
        "version missing",
        "Rows have no value at `version`, so they are compared by their content.",
        "set version to a field that every row has, or remove it",
    ),
    "cursor_missing": FindingCode(
        WARNING,
        "cursor missing",
        "Rows have no value at incremental.cursor_path, so the cursor does not follow them.",
        'name fallbacks, such as cursor_path = ["updated_at", "created_at"]',
    ),
    "fetch_back_failed": FindingCode(
        WARNING,
        "fetch-back failed",
        "A single item could not be fetched or read, so what a webhook announced waits for the next poll.",
        "check item_path, item_selector and primary_key against the answer: tidegate pull {name} KEY",
    ),
    "version_went_back": FindingCode(
        WARNING,
        "version went back",
        "A record came with a lower version and other content. It is held until the source confirms it.",
        'nothing: the next poll or a fetch-back decides; set version_kind = "opaque" if lower versions are normal here',
    ),
    "version_not_ordered": FindingCode(
        WARNING,
        "version not in order",
        "The source confirmed an update with a lower version, so the update was taken.",
        'set version_kind = "opaque", or set version to a field that grows',
    ),
    "seen_after_delete": FindingCode(
        NOTICE,
        "listed after its delete",
        "A record that a webhook deleted is still in the list. It is held as deleted until it changes.",
        "nothing: lists lag behind webhooks; it counts as created again after 15 minutes",
    ),
    "copies_not_held": FindingCode(
        WARNING,
        "copies not held",
        "More records contradict their versions than are held, so some copies were ignored.",
        'set version_kind = "opaque", or set version to a field that grows',
    ),
    "shapes_differ": FindingCode(
        NOTICE,
        "two notations",
        "A webhook and the list write the same record in different ways. Fields that both have are compared by value.",
        "nothing; with item_path and no version, a webhook is only a hint, and records have the list's fields",
    ),
    "paginator_found": FindingCode(
        NOTICE,
        "paginator found",
        'The resource has paginator = { type = "auto" }; the first page showed which one fits.',
        "copy the line into the resource, so that a change of the source does not change how pages are found",
    ),
    "filter_ignored": FindingCode(
        NOTICE,
        "filter ignored",
        "The source was asked for rows from a time on, and rows came that are days older, so it may ignore the "
        "parameter. Each poll then reads the whole list.",
        "check the name and the format of incremental.param; without such a parameter, remove it",
    ),
    "row_order_broken": FindingCode(
        WARNING,
        "rows in another order",
        'The resource has row_order = "desc", and rows came in another order, so each poll reads the whole list.',
        "sort the list by the cursor, newest first, with a parameter of the source; or remove row_order",
    ),
    "parent_failed": FindingCode(
        WARNING,
        "parent without a list",
        "The source has no list for a parent record, or the parent lacks a field of `parent.with`. Others are read.",
        "check path and parent of the resource; a parent that was deleted at the source needs deletes on the parent",
    ),
    "parents_without_cursor": FindingCode(
        NOTICE,
        "too many parents for cursors",
        "There are more parents than cursors are kept for. The lists of the others are read in full by each poll.",
        "poll less often, or ask for all children by one list, if the source has one",
    ),
    "sync_token_missing": FindingCode(
        WARNING,
        "no sync token",
        "The last page has nothing at token_path or link_path, so the next poll asks from the same place again.",
        "look at the last page: tidegate pull {name}, then correct token_path or link_path",
    ),
    "page_end_unclear": FindingCode(
        WARNING,
        "end of the list unclear",
        "Signs for the end of the list contradict each other, so the run may not have read all of it.",
        "check the paginator of the resource: total_path, has_more_path, max_pages, and the parameter names",
    ),
    "pages_not_read": FindingCode(
        WARNING,
        "pages not read",
        "The only page that was read has a sign of a next page. Records of the other pages are not found.",
        "copy the paginator that the sample names into the resource; or ask for fewer rows, so that one page has all",
    ),
    "poll_interval_clamped": FindingCode(
        NOTICE,
        "poll interval clamped",
        'The resource has poll = "auto", and its bounds do not allow the interval that max_delay or its changes need.',
        "change poll_min, poll_max or max_delay of the resource, or the rate of its source",
    ),
    "shadow_ended": FindingCode(
        NOTICE,
        "comparison of both ways ended",
        "The time of `shadow` is over. It makes no more requests; what it found stays.",
        "read the result: tidegate shadow; then remove `shadow` from the resource",
    ),
    "shadow_without_version": FindingCode(
        WARNING,
        "no version to compare",
        "A change has nothing at `version`, so it cannot be found again among the changes of the other way.",
        "correct `version` of the resource, or `webhook.version`: a field that every record and webhook has",
    ),
    "shadow_sightings_dropped": FindingCode(
        NOTICE,
        "too many changes to compare",
        "More changes wait to be compared than are kept. The oldest are left out and counted.",
        "shorten `shadow.wait` of the resource, and poll more often meanwhile",
    ),
    "reconcile_interval_changed": FindingCode(
        NOTICE,
        "reconcile interval changed",
        'The resource has reconcile = "auto", and what its webhooks were measured to miss asks for another interval.',
        "to choose it yourself, set reconcile to a duration; see why, and the last intervals: tidegate stats",
    ),
    "reconcile_interval_clamped": FindingCode(
        NOTICE,
        "reconcile interval clamped",
        'The resource has reconcile = "auto", and its bounds do not allow the interval that it needs.',
        "change reconcile_min or max_delay of the resource, or the rate of its source",
    ),
    "pages_overlap": FindingCode(
        WARNING,
        "pages overlap",
        "Rows came on two pages of a list, in more than one run, so as many other rows may be on no page. The source"
        " sorts by a field that rows share, such as a time, and their order differs from page to page.",
        "sort the list by a field that is unique, such as the id, with a parameter of the source; or ask for more rows"
        " on a page",
    ),
    "partial_page": FindingCode(
        WARNING,
        "errors beside the rows",
        "The source answered rows and errors together, so rows may be missing. Nothing counts as deleted in that run.",
        "correct what the source complains about; to make such an answer a failed poll, set error_path on the resource",
    ),
    "cursor_stuck": FindingCode(
        WARNING,
        "page full of known rows",
        "A poll got a full page without a new row: more rows have one cursor, or are within `lag`, than fit on a page. "
        "The next poll begins after them, and rows that no page showed are not found.",
        "set the paginator of the resource, or raise its limit; a smaller lag helps when it holds many rows",
    ),
    "filter_missed_changes": FindingCode(
        WARNING,
        "changes missed by the filter",
        "A complete run found changes that polls with the cursor did not show, although they asked after the change.",
        "check param and value of incremental: the source must return rows at or after the cursor, not only equal ones;"
        " if rows appear late, raise lag",
    ),
    "cursor_row_left_out": FindingCode(
        WARNING,
        "row at the cursor left out",
        "A poll asked for rows from its cursor on and got none, although the source still has the row with that cursor."
        " It leaves out equal rows, or reads the time in another time zone or format, so changes can be missed.",
        "if the source returns only later rows, set incremental.exclusive = true; if it takes a time without a zone as"
        ' local time, send the zone: value = "{cursor}Z"',
    ),
    "ignore_unused": FindingCode(
        NOTICE,
        "ignored path not found",
        "No row has the path, so `ignore` has no effect there.",
        "correct ignore of the resource, or remove the path; look at a row: tidegate pull {name}",
    ),
    "place_lost": FindingCode(
        NOTICE,
        "page lost",
        "The source does not know the page where the last run stopped, so the run began again.",
        "nothing; a higher `rate` or a larger page lets one run reach the end",
    ),
    "cursor_expired": FindingCode(
        NOTICE,
        "cursor expired",
        "The source does not accept the cursor any more, so the whole list was read and compared.",
        "nothing",
    ),
    "cursor_clamped": FindingCode(
        WARNING,
        "cursor in the future",
        "A row has a cursor after the source's own time. The cursor of the resource stays at the present.",
        "correct the row at the source; until then some rows are read again by every poll",
    ),
    "cursor_unclear": FindingCode(
        NOTICE,
        "cursor unclear",
        "The only cursor seen may be a time in the future or a counter, so it was not used yet.",
        "set incremental.format of the resource: epoch_s, epoch_ms, or text for a counter",
    ),
    "cursor_too_old": FindingCode(
        WARNING,
        "cursor too old",
        "The last row that was read is older than `max_age`, so the source cannot be asked from it any more. A change"
        " between the two is in no list.",
        "nothing, if no poll failed for so long; else compare the records: tidegate baseline {name}",
    ),
    "lag_ignored": FindingCode(
        WARNING,
        "lag ignored",
        "`lag` cannot be subtracted from cursors of this format, so polls start at the cursor.",
        "set incremental.format of the resource, or remove lag",
    ),
    "list_never_seen": FindingCode(
        WARNING,
        "list never seen",
        "The answers of the source never had a list at data_selector. They count as empty lists.",
        "if the answer has the list elsewhere, set data_selector; look at it: tidegate pull {name}",
    ),
    "snapshot_empty": FindingCode(
        NOTICE,
        "no records yet",
        "No poll has found a record yet. The first one that does makes the snapshot, and no events.",
        'nothing; set initial = "events" if the first records shall make events',
    ),
    "deletes_stopped": FindingCode(
        ERROR,
        "deletes stopped",
        "A scan missed more records than max_ratio allows, so nothing was deleted.",
        "look at the source; if the records are gone: tidegate poll {name} --accept-deletes",
    ),
    "deletes_unconfirmed": FindingCode(
        WARNING,
        "deletes not confirmed",
        "The source did not answer for missing records, so it is not known whether they were deleted.",
        "check item_path; for an answer that means deleted, set gone (such as [404, 410, 403]) or gone_path",
    ),
    "unlisted_records": FindingCode(
        NOTICE,
        "records not listed",
        "The source has records that it does not list. They stay records, and each scan asks for them again.",
        "nothing, if they are archived or hidden",
    ),
    "webhooks_skipped": FindingCode(
        WARNING,
        "webhooks skipped",
        "Webhooks of the source had no record that could be read.",
        "correct webhook.record and webhook.key of the resource",
    ),
    "rate_limit_cut": FindingCode(
        WARNING,
        "rate limit cut",
        "The source asked to wait for longer than a day. Tidegate waits a day.",
        "check the rate limit headers of the source",
    ),
    "rate_limit_long": FindingCode(
        NOTICE,
        "long rate limit",
        "The source asked to wait for longer than an hour.",
        "wait, or set a lower `rate` so that the quota lasts",
    ),
    "rate_limit_unreadable": FindingCode(
        WARNING,
        "rate limit unreadable",
        "A rate limit header of the source, or what is at `wait_path`, is not plausible and was ignored.",
        "set `rate` of the source to its documented limit",
    ),
    "rate_limit_in_body": FindingCode(
        NOTICE,
        "wait in the body",
        "The source answered 429 without Retry-After, and its body has a field that looks like the time to wait.",
        "set `wait_path` of [sources.NAME.api.limits] to that field",
    ),
}
