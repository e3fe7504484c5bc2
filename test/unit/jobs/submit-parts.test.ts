import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { resolveJobSpec, type SubmitResult, submitInParts } from '../../../src/jobs/index.ts';
import type { SubmitItem } from '../../../src/jobs/submission.ts';
import { SUBMIT_PART_BYTES } from '../../../src/jobs/submit-parts.ts';

const PAYLOAD = 'x'.repeat(60_000);
const job = (id: string, dependsOn: string[] = []): SubmitItem => ({
  id,
  spec: resolveJobSpec({ type: 'echo', payload: PAYLOAD, ...(dependsOn.length > 0 && { dependsOn }) }),
});
const jobs = (count: number) => Array.from({ length: count }, (_, at) => job(`job_${at}`));
const taken = (items: readonly SubmitItem[]): SubmitResult[] =>
  items.map(({ id }) => ({ id, duplicate: false }));
const idsOf = (items: readonly { readonly id: string }[]) => items.map(({ id }) => id);

/** Remembers what each place was answered with, as the group does by request id. */
class Group {
  readonly parts: (readonly SubmitItem[])[] = [];
  readonly #answered = new Map<number, readonly SubmitResult[]>();

  readonly propose = async (part: readonly SubmitItem[], at: number): Promise<readonly SubmitResult[]> => {
    const known = this.#answered.get(at);
    if (known !== undefined) return known;
    this.parts.push(part);
    this.#answered.set(at, taken(part));
    return taken(part);
  };
}

describe('a submit that is too long for one command', () => {
  it('goes as several, none too long, in its order, and is answered as one', async () => {
    const group = new Group();
    const given = jobs(200);
    assert.deepEqual(await submitInParts(given, group.propose), taken(given));
    assert.deepEqual(idsOf(group.parts.flat()), idsOf(given));
    assert.ok(group.parts.length > 1);
    for (const part of group.parts) assert.ok(part.length * PAYLOAD.length <= SUBMIT_PART_BYTES);
  });

  it('has parents before their children, wherever they stand', async () => {
    const group = new Group();
    const chain = jobs(100).map(({ id }, at) => job(id, at === 99 ? [] : [`job_${at + 1}`]));
    assert.deepEqual(await submitInParts(chain, group.propose), taken(chain), 'answered in the order given');
    assert.deepEqual(idsOf(group.parts.flat()), idsOf(chain.toReversed()));
  });

  it('refuses what waits for itself, and takes the others', async () => {
    const group = new Group();
    const given = [job('job_a', ['job_b']), job('job_b', ['job_a']), job('job_c')];
    const [a, , c] = await submitInParts(given, group.propose);
    assert.match(JSON.stringify(a), /job_a → job_b → job_a|job_b → job_a → job_b/);
    assert.deepEqual(c, { id: 'job_c', duplicate: false });
    assert.deepEqual(idsOf(group.parts.flat()), ['job_c']);
  });

  it('that fails at once is an error, later the outcome of what was not taken', async () => {
    const gone = new AspenError('NO_QUORUM', 'nobody leads');
    await assert.rejects(
      submitInParts(jobs(100), () => Promise.reject(gone)),
      { code: 'NO_QUORUM' },
    );
    const results = await submitInParts(jobs(100), (part, at) =>
      at === 0 ? Promise.resolve(taken(part)) : Promise.reject(gone),
    );
    const firstFailed = results.findIndex((result) => 'error' in result);
    assert.ok(firstFailed > 0 && results.length === 100);
    assert.ok(
      results.slice(firstFailed).every((result) => 'error' in result && result.error.code === 'NO_QUORUM'),
    );
  });

  it('J9: that is repeated takes nothing twice, even where its parts had other ends', async () => {
    const group = new Group();
    const given = jobs(100);
    await group.propose(given.slice(0, 7), 0);
    assert.deepEqual(await submitInParts(given, group.propose), taken(given));
    assert.deepEqual(await submitInParts(given, group.propose), taken(given));
    assert.deepEqual(idsOf(group.parts.flat()), idsOf(given), 'each once');
  });
});
