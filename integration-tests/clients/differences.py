"""Compares what a driver printed for Kafka's worker and for ours, call by call: differences.py KAFKAS OURS. What
docs/COMPAT.md lists may differ: our own words in documentation, plug-ins that we do not have, and how a request is refused
that Kafka's worker falls over, or its server does not let through."""

import json
import re
import sys

STATUS_LINE = re.compile(r" \d{3} [A-Z][A-Za-z ]+$")
FELL_OVER = re.compile(r'is null|contains no connector type|error_code":500|HTTP 500|\(500\)|400 Bad Request|500 Server Error')


def calls(file):
    """What each call brought, by its name and how often it has been made before."""
    seen, found = {}, {}
    for line in open(file):
        call, _, answer = line.rstrip("\n").partition(": ")
        if "FileStream" in answer and call.endswith("GetConnectorPlugins"):
            continue
        call = STATUS_LINE.sub("", call)  # the Go clients' status lines; the answer tells them, too
        seen[call] = seen.get(call, 0) + 1
        found[call, seen[call]] = comparable(answer)
    return found


def comparable(answer):
    if "available connectors are" in answer:
        return "error no such class"
    try:
        return json.dumps(without_words(json.loads(answer)), sort_keys=True)
    except ValueError:
        return answer


def without_words(value):
    if isinstance(value, list):  # nobody promises an order
        kept = [without_words(one) for one in value if not (isinstance(one, dict) and "FileStream" in str(one.get("class")))]
        return sorted(kept, key=str)
    if isinstance(value, dict):
        if value.get("state") in ("UNASSIGNED", "RESTARTING"):  # seen on its way after a restart, by one and not the other
            value = value | {"state": "RUNNING"}
        hidden = ("documentation", "version") if "state" in value else ("documentation",)
        return {key: without_words(one) for key, one in value.items() if key not in hidden}
    return value


kafkas, ours = (calls(file) for file in sys.argv[1:3])
different = refused = 0
for call in sorted(kafkas.keys() | ours.keys()):
    theirs, our = kafkas.get(call, "not called"), ours.get(call, "not called")
    if theirs == our:
        continue
    if theirs.startswith("error") and our.startswith("error") and FELL_OVER.search(theirs):
        refused += 1
        continue
    different += 1
    print(f"{call[0]}\n  Kafka {theirs[:400]}\n  we    {our[:400]}")
print(f"{len(ours)} lines, {different} differ; {refused} requests were refused in another way")
sys.exit(1 if different else 0)
