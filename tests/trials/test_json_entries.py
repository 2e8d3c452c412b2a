"""JSON files that people bring."""

import json
from pathlib import Path

from archsearch.trials.json_entries import json_entries


def test_ends_of_lines_inside_a_text_end_no_line_of_json():
    texts = ["two\u2028parts", "x\x85y", "plain"]
    text = "\n".join(json.dumps({"sequence": each, "label": 1}, ensure_ascii=False) for each in texts)
    found = list(json_entries("labelled", Path("data.jsonl"), text, ("sequence", "label")))
    assert found == [(f"line {number}", each, 1) for number, each in enumerate(texts, start=1)]
