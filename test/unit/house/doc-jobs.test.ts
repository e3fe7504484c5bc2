import assert from 'node:assert/strict';
import { parseShellPayload, resolveJobSpec } from '../../../src/jobs/index.ts';
import {
  parseBlobJob,
  parseHttpPayload,
  parseMaintenanceJob,
  parseReplicationJob,
} from '../../../src/workers/index.ts';
import { docPages, jobsOf } from './doc-pages.ts';

const CHECKS: Readonly<Record<string, (payload: unknown) => unknown>> = {
  shell: parseShellPayload,
  http: parseHttpPayload,
  blob: parseBlobJob,
  replication: parseReplicationJob,
  maintenance: parseMaintenanceJob,
};

describe('the jobs that pages show', () => {
  const shown = docPages().flatMap((page) => jobsOf(page).map((job) => ({ ...job, path: page.path })));

  it('are some, of several types', () => {
    assert.ok(new Set(shown.map(({ type }) => type)).size >= 3, JSON.stringify(shown));
  });

  for (const { path, type, payload } of shown)
    it(`${path}: ${type} ${payload} would be accepted`, () => {
      const spec = resolveJobSpec({ type, payload: JSON.parse(payload) });
      CHECKS[type]?.(spec.payload);
    });
});
