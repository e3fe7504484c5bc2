import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jobsModule } from '../../../src/jobs/module.ts';
import { packSpec } from '../../../src/jobs/packing.ts';
import { isPlainInput } from '../../../src/jobs/plain-input.ts';
import {
  isPlainAssign,
  isPlainAssignMessage,
  isPlainPackedAssign,
  isPlainSettle,
  isPlainSubmit,
  quickly,
} from '../../../src/jobs/quick-checks.ts';
import { resolveJobSpec } from '../../../src/jobs/spec-input.ts';
import { assignMessageSchema } from '../../../src/jobs/wire.ts';
import { parseWith } from '../../../src/lease/machine/index.ts';
import { checkParams } from '../../../src/rpc/index.ts';

const odd = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.string(),
  fc.constant(null),
  fc.constant(undefined),
  fc.constant('complete'),
  fc.boolean(),
);
/** Mostly what belongs there, sometimes anything. */
const mostly = (usual: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: odd });
const name = fc.string({ minLength: 1, maxLength: 12 });
const ref = {
  jobId: mostly(name),
  attempt: mostly(fc.integer({ min: 0, max: 5 })),
  fencingToken: mostly(fc.nat()),
};
const stray = { stray: odd };
const plain = { noNullPrototype: true };
const record = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> => {
  const [, ...allButFirst] = Object.keys(fields);
  return fc.oneof(
    { weight: 8, arbitrary: fc.record(fields, plain) },
    { weight: 1, arbitrary: fc.record(fields, { ...plain, requiredKeys: allButFirst }) },
    { weight: 1, arbitrary: fc.record({ ...fields, ...stray }, plain) },
  );
};
const outcome = (work: () => unknown): unknown => {
  try {
    return { value: work() };
  } catch (error) {
    return { error: (error as Error).message };
  }
};

/** The same answer by the quick way and by the schema, which a field that nobody knows leads to. */
function agree(parse: (body: unknown) => unknown, body: object): void {
  assert.deepEqual(
    outcome(() => parse(body)),
    outcome(() => parse({ ...body, stray: 1 })),
  );
}

describe('quick checks', () => {
  const kind = (at: 'submit' | 'settle' | 'assign') => {
    const { parse } = jobsModule.commands[at] as (typeof jobsModule.commands)[string];
    return parse;
  };

  it('let through only submits that the schema leaves as they are', () => {
    const id = mostly(fc.oneof(fc.constant('job_1'), fc.constant('job_a-b_C'), fc.constant('job_'), name));
    const job = fc.oneof(
      { weight: 12, arbitrary: fc.tuple(id, fc.constant(packSpec(resolveJobSpec({ type: 'x' })))) },
      { weight: 1, arbitrary: fc.array(odd, { maxLength: 3 }) },
      { weight: 1, arbitrary: odd },
    );
    let quick = 0;
    fc.assert(
      fc.property(record({ jobs: mostly(fc.array(job, { maxLength: 2 })) }), (body) => {
        if (isPlainSubmit(body)) quick += 1;
        agree(kind('submit'), body);
      }),
      { numRuns: 500 },
    );
    assert.ok(quick > 50);
  });

  it('let through only reports that the schema leaves as they are', () => {
    const item = record({ kind: mostly(fc.constant('complete')), ...ref, result: fc.jsonValue() });
    let quick = 0;
    const body = fc.record({ items: fc.array(item, { minLength: 0, maxLength: 2 }) }, plain);
    fc.assert(
      fc.property(body, (items) => {
        if (isPlainSettle(items)) quick += 1;
        agree(kind('settle'), items);
      }),
      { numRuns: 500 },
    );
    assert.ok(quick > 50);
  });

  it('let through only assignments that the schema leaves as they are', () => {
    const pool = mostly(fc.option(name));
    const item = record({ jobId: mostly(name), peerId: mostly(name), sessionId: mostly(name), pool });
    let quick = 0;
    fc.assert(
      fc.property(fc.record({ assignments: fc.array(item, { maxLength: 2 }) }, plain), (body) => {
        if (isPlainAssign(body)) quick += 1;
        agree(kind('assign'), body);
      }),
      { numRuns: 500 },
    );
    assert.ok(quick > 50);
  });

  it('let through only packed assignments that the schema leaves as they are', () => {
    const place = fc.oneof(fc.tuple(mostly(name), mostly(name), mostly(fc.option(name))), fc.array(odd));
    const job = fc.oneof(fc.tuple(mostly(name), mostly(fc.nat(1))), fc.tuple(name, fc.nat(1), fc.nat(1)));
    const places = fc.array(place, { minLength: 1, maxLength: 2 });
    let quick = 0;
    fc.assert(
      fc.property(record({ places, jobs: fc.array(job, { maxLength: 2 }) }), (body) => {
        if (isPlainPackedAssign(body)) quick += 1;
        agree(kind('assign'), body);
      }),
      { numRuns: 500 },
    );
    assert.ok(quick > 50);
  });

  it('let through only messages of assignments that the schema leaves as they are', () => {
    const parse = quickly(isPlainAssignMessage, parseWith(assignMessageSchema));
    const timeout = mostly(fc.option(fc.nat()));
    const fields = {
      ...ref,
      sessionId: mostly(name),
      pool: mostly(fc.option(name)),
      type: mostly(name),
      payload: fc.jsonValue(),
      timeoutMs: timeout,
      heartbeatTimeoutMs: timeout,
      traceparent: mostly(fc.constant(null)),
      holdMs: mostly(fc.nat()),
    };
    const rest = mostly(fc.oneof(fc.dictionary(name, fc.jsonValue(), plain), fc.array(odd)));
    const item = fc.oneof(record(fields), record({ ...fields, rest }));
    let quick = 0;
    fc.assert(
      fc.property(fc.record({ assignments: fc.array(item, { maxLength: 2 }) }, plain), (body) => {
        if (isPlainAssignMessage(body)) quick += 1;
        agree(parse, body);
      }),
      { numRuns: 500 },
    );
    assert.ok(quick > 50);
  });

  it('lead to the spec that the schema would have made, and to the same refusals', () => {
    const input = record({
      type: mostly(fc.oneof(name, fc.constant('x'.repeat(129)))),
      payload: mostly(fc.jsonValue()),
      queue: mostly(name),
      priority: mostly(fc.integer({ min: 0, max: 11 })),
    });
    let quick = 0;
    fc.assert(
      fc.property(input, (given) => {
        if (isPlainInput(given)) quick += 1;
        const bySchema = { ...(given as object), labels: undefined };
        assert.deepEqual(
          outcome(() => resolveJobSpec(given)),
          outcome(() => resolveJobSpec(bySchema)),
        );
        const json = JSON.parse(JSON.stringify(given)) as object;
        const check = (spec: object) => outcome(() => JSON.stringify(checkParams('job.submit', spec)));
        assert.deepEqual(check(json), check({ ...json, labels: undefined }));
      }),
      { numRuns: 500 },
    );
    assert.ok(quick > 50);
  });
});
