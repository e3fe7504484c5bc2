import type { Cluster } from './cluster.ts';

/** Generous for the slowest machine: an assertion fails by itself, this only ends what hangs. */
export const STORY_CAP_MS = 180_000;

/** Shows the agents' last words below a test that failed. Use inside a `describe`. */
export function reportFailures(cluster: () => Cluster | undefined): void {
  afterEach(function () {
    if (this.currentTest?.state === 'failed') process.stderr.write(`${cluster()?.report() ?? ''}\n`);
  });
}
