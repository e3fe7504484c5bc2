import type { Agent } from './agent.ts';
import { until } from './until.ts';

interface Peer {
  readonly peerId: string;
  readonly path: 'direct' | 'relay' | null;
}

/** How long after a fault each thing was true again. Unit: ms. */
export interface BackAgain {
  /** Linked with everybody, both ends say so, and the group has a quorum as it sees it. */
  readonly memberMs: number;
  /** A job that was meant for it has run there. */
  readonly workingMs: number;
}

/** Waits until an agent is a member like before, as it and the others see it. The caps are for slow machines. */
export async function backAgain(agent: Agent, others: readonly Agent[]): Promise<BackAgain> {
  const beganMs = performance.now();
  await until(
    async () => {
      const { session, group } = await agent.status();
      if (session.id === null || !group.hasQuorum || group.leader === null) return false;
      const links = await Promise.all(
        others.flatMap((other) => [hasPathTo(agent, other), hasPathTo(other, agent)]),
      );
      return links.every(Boolean);
    },
    { what: `${agent.name} to be linked with everybody again`, everyMs: 50 },
  );
  const memberMs = performance.now() - beganMs;
  const [other] = others as [Agent, ...Agent[]];
  const affinity = { node: { peerId: agent.peerId, mode: 'require' } };
  await until(
    async () => {
      const { id } = await other.submit({ type: 'echo', affinity });
      return (await other.waitForJob(id)).state === 'succeeded';
    },
    { what: `a job to run on ${agent.name} again`, everyMs: 50 },
  );
  return { memberMs, workingMs: performance.now() - beganMs };
}

export async function hasPathTo(from: Agent, to: Agent): Promise<boolean> {
  const { peers } = await from.call<{ readonly peers: readonly Peer[] }>('mesh.peers');
  return peers.some(({ peerId, path }) => peerId === to.peerId && path !== null);
}

/** Says how long it took where somebody wants to know: `ASPEN_E2E_TIMES=1`. */
export function tellTimes(what: string, { memberMs, workingMs }: BackAgain): void {
  if (process.env.ASPEN_E2E_TIMES !== '1') return;
  process.stderr.write(
    `      ${what}: member ${Math.round(memberMs)} ms, working ${Math.round(workingMs)} ms\n`,
  );
}
