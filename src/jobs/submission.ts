import type { WireError } from '../base/index.ts';
import { type PackedSpec, packSpec } from './packing.ts';
import type { JobSpec } from './spec.ts';

/** A job on its way into the log. */
export interface SubmitItem {
  readonly id: string;
  readonly spec: JobSpec;
}

export type SubmitResult =
  | { readonly id: string; readonly duplicate: boolean }
  | { readonly error: WireError };

/** The body of a submit command, with specs packed: short in the log, and quick to read. */
export interface SubmitBody {
  readonly jobs: readonly (readonly [id: string, spec: PackedSpec])[];
}

export function submitBody(jobs: readonly SubmitItem[]): SubmitBody {
  return { jobs: jobs.map(({ id, spec }) => [id, packSpec(spec)]) };
}
