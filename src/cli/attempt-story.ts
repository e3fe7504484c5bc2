import type { Job, JobState } from '../rpc/index.ts';

/** What is to come after an attempt that was not the last, by the state of the job. */
const PROSPECTS: Readonly<Partial<Record<JobState, (attempt: number) => string>>> = {
  queued: (attempt) => `; it waits to run again as attempt ${attempt}`,
  scheduled: (attempt) => `; it runs again as attempt ${attempt} after a pause`,
  paused: () => '; it is paused',
};

/**
 * What became of the attempts of one job, told as its record is seen now and again: each end and each new beginning once, in their order,
 * whatever was not seen in between. How the last attempt ended is told by whoever tells how the job did.
 */
export class AttemptStory {
  /** The last attempt whose end was told, and the last of which it was told where it runs. */
  #ended = 0;
  #begun = 1;

  /** @param nameOf a node as people know it. @returns what was not told yet. */
  next(job: Job, nameOf: (peerId: string) => string): readonly string[] {
    const told = this.#ends(job, nameOf);
    if (job.state !== 'running' || job.attempt <= this.#begun) return told;
    this.#begun = job.attempt;
    return [...told, `attempt ${job.attempt} of ${job.id} runs on ${nameOf(job.node ?? 'no node')}`];
  }

  #ends(
    { id, state, attempt: latest, finishedAt, history }: Job,
    nameOf: (peerId: string) => string,
  ): string[] {
    return history.flatMap(({ attempt, node, outcome, error }) => {
      const isNews = typeof attempt === 'number' && attempt > this.#ended;
      const isTriedAgain = outcome === 'lost' || outcome === 'failed';
      if (!isNews || !isTriedAgain || (finishedAt !== null && attempt === latest)) return [];
      this.#ended = attempt;
      const { message = 'no reason is known' } = (error ?? {}) as { readonly message?: string };
      const what = outcome === 'lost' ? 'was lost' : 'failed';
      const prospect = attempt === latest ? PROSPECTS[state]?.(attempt + 1) : undefined;
      return [`attempt ${attempt} of ${id} on ${nameOf(String(node))} ${what}: ${message}${prospect ?? ''}`];
    });
  }
}
