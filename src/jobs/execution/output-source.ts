import { z } from 'zod';
import { AspenError, type Clock, type PeerId } from '../../base/index.ts';
import type { Requester } from '../../mesh/index.ts';
import { OUTPUT_METHOD, type OutputRequest, outputNotFound } from './output-server.ts';
import type { OutputPage, OutputStore } from './output-store.ts';

/** What a request may take beyond the wait that it asks for. Unit: ms. */
const ANSWER_WITHIN_MS = 5_000;

const pageSchema = z.object({
  chunks: z.array(
    z.object({
      stream: z.enum(['stdout', 'stderr']),
      offset: z.int().nonnegative(),
      data: z.instanceof(Uint8Array),
    }),
  ),
  nextOffset: z.int().nonnegative(),
  isEnded: z.boolean(),
  firstOffset: z.int().nonnegative(),
});

/**
 * Reads a page of an attempt's output, from this node's own store or from another node's.
 * @throws AspenError NOT_FOUND when that node does not have it; what the messenger throws; the signal's reason.
 */
export async function pullOutput(
  components: { readonly messenger: Requester; readonly store: OutputStore; readonly clock: Clock },
  node: PeerId,
  request: OutputRequest,
  signal: AbortSignal,
): Promise<OutputPage> {
  const { messenger, store, clock } = components;
  if (node === messenger.self) {
    const page = await store.waitForMore(request, clock, signal);
    if (page === null) throw outputNotFound(request);
    return page;
  }
  const timeoutMs = request.waitMs + ANSWER_WITHIN_MS;
  const answer = await messenger.request(node, OUTPUT_METHOD, request, { timeoutMs, signal });
  const parsed = pageSchema.safeParse(answer);
  if (!parsed.success) throw new AspenError('UNAVAILABLE', `${node} answered with malformed output`);
  return parsed.data;
}
