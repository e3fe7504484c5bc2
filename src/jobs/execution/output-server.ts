import { z } from 'zod';
import { AspenError, type Clock } from '../../base/index.ts';
import type { Messenger } from '../../mesh/index.ts';
import type { OutputStore } from './output-store.ts';

export const OUTPUT_METHOD = 'jobs/output';
/** Longest wait of one request for more output. Unit: ms. */
export const OUTPUT_WAIT_LIMIT_MS = 10_000;
/** Most output in one answer. Unit: bytes. */
export const OUTPUT_PAGE_LIMIT_BYTES = 256 * 1024;
/** Requests that wait at one time; a further one is answered at once with what is there. */
const WAITING_LIMIT = 1_024;

const requestSchema = z.strictObject({
  jobId: z.string().min(1).max(256),
  attempt: z.int().positive(),
  fromOffset: z.int().nonnegative(),
  bytesLimit: z.int().positive().max(OUTPUT_PAGE_LIMIT_BYTES),
  waitMs: z.int().nonnegative().max(OUTPUT_WAIT_LIMIT_MS),
});

export type OutputRequest = z.infer<typeof requestSchema>;

/** Answers other nodes' requests for the output of this node's attempts; NOT_FOUND where it has none. */
export function serveOutput(components: {
  readonly messenger: Messenger;
  readonly store: OutputStore;
  readonly clock: Clock;
}): Disposable {
  const { messenger, store, clock } = components;
  let waitingCount = 0;
  return messenger.handle(OUTPUT_METHOD, async ({ body }) => {
    const request = checked(body);
    const waitMs = waitingCount < WAITING_LIMIT ? request.waitMs : 0;
    waitingCount += 1;
    try {
      const page = await store.waitForMore({ ...request, waitMs }, clock);
      if (page === null) throw outputNotFound(request);
      return page;
    } finally {
      waitingCount -= 1;
    }
  });
}

export function outputNotFound({ jobId, attempt }: Pick<OutputRequest, 'jobId' | 'attempt'>): AspenError {
  return new AspenError('NOT_FOUND', `this node has no output of attempt ${attempt} of ${jobId}`);
}

function checked(body: unknown): OutputRequest {
  const parsed = requestSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  throw new AspenError('INVALID_PARAMS', 'a malformed request for output', { details: { issues } });
}
