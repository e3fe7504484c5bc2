import { setTimeout as pause } from 'node:timers/promises';
import { type Agent, agreement } from '../e2e/harness/index.ts';
import type { Laboratory } from './laboratory.ts';
import type { Nemesis, NemesisContext } from './nemesis.ts';
import type { Random } from './random.ts';
import type { Checked, StartWorkload, Workload } from './workload.ts';

/** Work before the fault, and between its end and the check. Unit: ms. */
const BEFORE_MS = 1_500;
const AFTER_MS = 1_500;

export interface RoundOptions {
  readonly name: string;
  readonly nemesis: Nemesis;
  readonly workloads: readonly StartWorkload[];
  readonly faultMs: number;
  readonly random: Random;
}

export interface Round {
  readonly nemesis: string;
  readonly checked: readonly Checked[];
  /** How much the term grew from before the fault to the check, and from the end of the fault to it. */
  readonly elections: number;
  readonly electionsAfterHeal: number;
  /** From the loss of the leader to the answer of the first write that was called after it; null when none was marked. Unit: ms. */
  readonly outageMs: number | null;
  readonly violations: readonly string[];
  readonly tookMs: number;
}

/** Starts the workloads, lets the nemesis do its worst, heals, waits for agreement and checks. */
export async function runRound(laboratory: Laboratory, options: RoundOptions): Promise<Round> {
  const startedMs = performance.now();
  const { agents } = laboratory;
  const before = await agreement(agents);
  const leaderNumber = agents.findIndex(({ peerId }) => peerId === before[0]?.group.leader);
  const running = startAll(laboratory, options);
  let lostMs: number | undefined;
  const context: NemesisContext = {
    agents,
    machines: laboratory.ground.lan.machines,
    leader: agents[leaderNumber] as Agent,
    leaderNumber,
    random: options.random,
    clockFiles: laboratory.clockFiles,
    smallDisk: laboratory.smallDisk,
    faultMs: options.faultMs,
    pause: (ms) => pause(ms),
    markLoss: () => {
      lostMs = performance.now();
    },
  };
  let termAtHeal: number;
  try {
    await pause(BEFORE_MS);
    await options.nemesis.run(context);
    termAtHeal = await highestTerm(agents);
    await agreement(agents, `all to agree after ${options.nemesis.name}`);
    await pause(AFTER_MS);
  } finally {
    await Promise.all(running.map((workload) => workload.stop()));
  }
  const after = await agreement(agents, `all to agree before the check of ${options.nemesis.name}`);
  const term = Math.max(...after.map(({ group }) => group.term));
  const checked: Checked[] = [];
  for (const workload of running) checked.push(await workload.check());
  const electionsAfterHeal = term - termAtHeal;
  return {
    nemesis: options.nemesis.name,
    checked,
    elections: term - Math.max(...before.map(({ group }) => group.term)),
    electionsAfterHeal,
    outageMs: lostMs === undefined ? null : outage(running, lostMs),
    violations: [
      ...checked.flatMap(({ workload, violations }) => violations.map((broken) => `${workload}: ${broken}`)),
      ...tooManyElections(options.nemesis, electionsAfterHeal),
    ],
    tookMs: performance.now() - startedMs,
  };
}

function startAll(laboratory: Laboratory, { name, workloads, random }: RoundOptions): Workload[] {
  const { agents, ground } = laboratory;
  const directory = ground.cluster.directory;
  return workloads.map((start) => start({ agents, prefix: `${name}/`, directory, random }));
}

async function highestTerm(agents: readonly Agent[]): Promise<number> {
  const statuses = await Promise.all(agents.map((agent) => agent.status()));
  return Math.max(...statuses.map(({ group }) => group.term));
}

export function outage(running: readonly Pick<Workload, 'writes'>[], lostMs: number): number | null {
  const answered = running
    .flatMap(({ writes }) => writes)
    .filter(({ calledMs }) => calledMs >= lostMs)
    .map(({ atMs }) => atMs - lostMs);
  return answered.length === 0 ? null : answered.reduce((least, ms) => Math.min(least, ms));
}

function tooManyElections({ name, electionsAfterHeal }: Nemesis, counted: number): string[] {
  if (electionsAfterHeal === undefined || counted <= electionsAfterHeal) return [];
  return [`${counted} elections after the end of ${name}, at most ${electionsAfterHeal} allowed`];
}
