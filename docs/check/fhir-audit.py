"""Validates files against FHIR with fhir.resources. Exit code 1 if one does not hold, or if a spoilt copy of it does."""

import importlib.metadata
import json
import sys

from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle

VERSION = importlib.metadata.version("fhir.resources")


def faults(kind, document):
    try:
        kind.model_validate(document)
    except ValueError as error:
        return [str(error)]
    return []


bad = 0
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    events = [entry["resource"] for entry in document.get("entry", [])]
    found = faults(Bundle, document)
    for event in events:
        found += faults(AuditEvent, event)
    for fault in found:
        print(fault, file=sys.stderr)
    # The validator is one: it refuses what lacks a mandatory element.
    spoilt = {k: v for k, v in events[0].items() if k != "agent"} if events else {}
    refuses = bool(faults(AuditEvent, spoilt))
    bad += len(found) + (not refuses)
    print(
        f"fhir.resources {VERSION}: {document['type']} of {len(events)} AuditEvents, "
        f"{len(found)} issues; without agent: {'refused' if refuses else 'ACCEPTED'}"
    )
sys.exit(1 if bad else 0)
