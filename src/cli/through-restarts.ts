import { AspenError } from '../base/index.ts';
import type { CommandContext } from './command.ts';

/** So long a command that stays with a job waits for its agent, which may be starting anew. */
const AWAY_MS = 60_000;
const PAUSE_MS = 250;
/** Whoever was answered for so long had found the agent: being away counts anew. */
const THERE_MS = 10_000;

/**
 * Does something that may be done again, also when its agent goes away and comes back meanwhile: the job goes on without it.
 * @throws AspenError UNAVAILABLE, once it was told how to go on, when the agent stays away; whatever else `work` throws.
 */
export async function throughRestarts<T>(
  { tell }: Pick<CommandContext, 'tell'>,
  id: string,
  work: () => Promise<T>,
): Promise<T> {
  for (let awaySinceMs: number | undefined; ; ) {
    const beganMs = performance.now();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof AspenError) || error.code !== 'UNAVAILABLE') throw error;
      const nowMs = performance.now();
      if (awaySinceMs === undefined || nowMs - beganMs > THERE_MS) {
        awaySinceMs = nowMs;
        tell(`aspen-agent: the agent is away; ${id} goes on without it, waiting for it to come back`);
      }
      if (nowMs - awaySinceMs > AWAY_MS) {
        tell(
          `aspen-agent: left ${id}, which may go on; to come back to it: aspen-agent job wait ${id} --propagate-exit`,
        );
        throw error;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
