import { z } from 'zod';
import { exactObject, method } from './schema.ts';

const labelsSchema = z.record(z.string(), z.string()).readonly();
const sampleSchema = z.object({ labels: labelsSchema, value: z.number() });
const histogramSchema = z.object({
  labels: labelsSchema,
  buckets: z
    .array(z.tuple([z.number(), z.number()]).readonly())
    .readonly()
    .describe('Upper bound, and how many observations were at most that.'),
  sum: z.number(),
  count: z.number(),
});

export const metricFamilySchema = z.object({
  name: z.string(),
  help: z.string(),
  type: z.enum(['counter', 'gauge', 'histogram']),
  samples: z.union([z.array(sampleSchema).readonly(), z.array(histogramSchema).readonly()]),
});

export const metricsMethods = {
  'metrics.get': method({
    params: exactObject({
      format: z.enum(['json', 'text']).default('json').describe('`text` is what Prometheus reads.'),
      prefix: z.string().min(1).max(128).optional().describe('Only families whose names begin so.'),
    }),
    result: z.looseObject({
      families: z.array(metricFamilySchema).readonly().optional(),
      text: z.string().optional(),
    }),
    isMutating: false,
    summary: 'Every number that this node can tell of itself.',
  }),
} as const;
