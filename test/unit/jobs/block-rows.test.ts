import assert from 'node:assert/strict';
import { BlockRows } from '../../../src/jobs/block-rows.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import { SPEC_BASE } from '../../../src/jobs/spec.ts';

type Context = Parameters<BlockRows['write']>[0];

describe('rows of blocks', () => {
  it('mark each end in its own rows, by block, state and beat, whichever job came before (L1)', () => {
    const together = new Map<string, unknown>();
    const rows = new BlockRows();
    const oneByOne = new Map<string, number>();
    for (let offset = 0; offset < 100; offset += 1) {
      const [live, ended] = jobAt(offset);
      rows.move(live, ended);
      const alone = new BlockRows();
      alone.move(live, ended);
      alone.write(
        tablesOf((key, bits) => oneByOne.set(key, ((oneByOne.get(key) ?? 0) | (bits as number)) >>> 0)),
        0,
      );
    }
    rows.write(
      tablesOf((key, bits) => together.set(key, bits)),
      0,
    );
    assert.ok(together.size > 8);
    assert.deepEqual([...together].sort(), [...oneByOne].sort());
  });
});

function jobAt(offset: number): readonly [live: JobRecord, ended: JobRecord] {
  const live = {
    id: `job-${offset}`,
    spec: { ...SPEC_BASE, type: 'x' },
    state: 'running',
    position: 7,
    offset,
  };
  const state = offset % 7 < 5 ? 'succeeded' : 'cancelled';
  const ended = { ...live, state, expiresGroupMs: 1_000 + offset };
  return [live as unknown as JobRecord, ended as unknown as JobRecord];
}

function tablesOf(put: (key: string, value: unknown) => void): Context {
  const table = (name: string) => ({
    get: () => undefined,
    put: (key: string, value: unknown) => put(`${name} ${key}`, value),
    delete: () => undefined,
  });
  return { table } as unknown as Context;
}
