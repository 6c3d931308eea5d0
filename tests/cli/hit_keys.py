"""The keys of each hit that ``--json`` prints."""

HIT_KEYS = {
    "source",
    "page_number",
    "score",
    "page_label",
    "total_pages",
    "page_ref",
    "text",
    "page_id",
    "score_kind",
}
