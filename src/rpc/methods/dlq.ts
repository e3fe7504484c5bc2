import { z } from 'zod';
import { jobIdSchema, jobSchema } from './job.ts';
import { cursorSchema, exactObject, method, mutating, wallMsSchema } from './schema.ts';

const filterShape = {
  queue: z.string().min(1).max(128).optional(),
  type: z.string().min(1).max(128).optional(),
  reason: z.string().min(1).max(64).optional().describe('The code of the error that ended the job.'),
};

/** Dead jobs that one request moves, or one page shows, at most. */
const limitSchema = z.number().int().min(1).max(1_000);

const deadSchema = z.object({
  id: jobIdSchema,
  type: z.string(),
  queue: z.string(),
  namespace: z.string(),
  attempts: z.number().int(),
  submittedAt: wallMsSchema,
  diedAt: wallMsSchema,
  node: z.string().nullable().describe('Peer id of the node of the latest attempt.'),
  error: z.looseObject({ code: z.string(), message: z.string(), retryable: z.boolean() }).nullable(),
});

const moveShape = {
  id: jobIdSchema.optional(),
  filter: exactObject(filterShape).optional().describe('{} is every dead job.'),
  limit: limitSchema
    .optional()
    .describe('With a filter: at most so many, the first dead first. 1,000 unless told.'),
  cursor: cursorSchema.optional().describe('With a filter: go on where the answer with this cursor stopped.'),
};

/** How far it came through what the filter finds. */
const reachedShape = {
  isMore: z.boolean().describe('Whether dead jobs that fit the filter were not looked at.'),
  cursor: cursorSchema.optional().describe('Where to go on; only where there is more.'),
};

function oneOf(
  params: { readonly [name in 'id' | 'filter' | 'limit' | 'cursor']?: unknown },
  context: z.RefinementCtx,
): void {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  if (params.id === undefined && params.filter === undefined)
    issue('id', 'give an id, or a filter; {} is every dead job');
  if (params.id !== undefined && params.filter !== undefined) issue('filter', 'not together with an id');
  for (const name of ['limit', 'cursor'] as const)
    if (params.id !== undefined && params[name] !== undefined) issue(name, 'only with a filter');
}

export const dlqMethods = {
  'dlq.list': method({
    params: exactObject({ ...filterShape, limit: limitSchema.optional(), cursor: cursorSchema.optional() }),
    result: z.object({ jobs: z.array(deadSchema), cursor: cursorSchema.optional() }),
    isMutating: false,
    summary: 'Dead jobs, the latest first.',
  }),
  'dlq.inspect': method({
    params: exactObject({ id: jobIdSchema }),
    result: jobSchema,
    isMutating: false,
    summary: 'A dead job with the history of its attempts.',
  }),
  'dlq.redrive': method({
    params: mutating(moveShape).superRefine(oneOf),
    result: z.object({
      redriven: z.array(z.string()),
      refused: z.array(
        z.object({ id: z.string(), error: z.looseObject({ code: z.string(), message: z.string() }) }),
      ),
      ...reachedShape,
    }),
    isMutating: true,
    summary: 'Lets dead jobs run once more: same id, history kept, one attempt more.',
  }),
  'dlq.purge': method({
    params: mutating(moveShape).superRefine(oneOf),
    result: z.object({ purged: z.array(z.string()), ...reachedShape }),
    isMutating: true,
    summary: 'Removes dead jobs for good.',
  }),
} as const;
