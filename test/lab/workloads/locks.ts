import { setTimeout as pause } from 'node:timers/promises';
import { LocksExclude } from '../../sim/check/index.ts';
import { LabClient } from '../client.ts';
import type { Checked, Workload, WorkloadContext } from '../workload.ts';

const LOCKS = 2;
const TTL_MS = 2_000;
/** Shorter than the faults, so that most who wait are told of the next holder. */
const WAIT_MS = 1_500;
const CALL_CAP_MS = 6_000;
const LONGEST_HOLD_MS = 900;
const RENEW_MS = 400;
const PAUSE_MS = 50;
/** One holder in so many forgets to give back what it holds: the end of its lease does. */
const FORGETS_ONE_IN = 6;

/** Somebody else has it for longer than one waits; what one held is lost. */
const REFUSALS = ['CONFLICT', 'FENCED'];

interface Held {
  readonly fencingToken: number;
  readonly leaseId: string;
  readonly validMs: number;
}

interface Tenure extends Held {
  readonly lock: string;
}

/** Two clients an agent take a few shared locks, renew them, and give most of them back. */
export function startLocks(context: WorkloadContext): Workload {
  const clients = context.agents.flatMap((agent) => [0, 1].map(() => new LabClient(agent, REFUSALS)));
  const stopping = new AbortController();
  const takers = clients.map((client, number) => new Taker(client, number, context));
  const law = new LocksExclude();
  const ended = Promise.all(takers.map((taker) => taker.run(law, stopping.signal)));
  return {
    writes: [],
    stop: async () => {
      stopping.abort();
      await ended;
    },
    check: () => Promise.resolve(judge(law, takers)),
  };
}

class Taker {
  readonly client: LabClient;
  readonly #name: string;
  readonly #context: WorkloadContext;
  acknowledged = 0;
  unknown = 0;
  readonly broken: string[] = [];

  constructor(client: LabClient, number: number, context: WorkloadContext) {
    this.client = client;
    this.#name = `${client.agent.name}/${number}`;
    this.#context = context;
  }

  async run(law: LocksExclude, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      await this.#takeOnce(law);
      await pause(PAUSE_MS);
    }
    this.client[Symbol.dispose]();
  }

  async #takeOnce(law: LocksExclude): Promise<void> {
    const { prefix, random } = this.#context;
    const lock = `${prefix}l${random.below(LOCKS)}`;
    const held = await this.#ask<Held>(law, lock, 'lock.acquire', { ttlMs: TTL_MS, waitMs: WAIT_MS });
    if (held === undefined) return;
    const tenure = { ...held, lock };
    await this.#keep(law, tenure, performance.now() + random.below(LONGEST_HOLD_MS));
    if (random.below(FORGETS_ONE_IN) === 0) return;
    law.observe({ type: 'givesBack', lock, token: held.fencingToken, atMs: performance.now() });
    await this.#call('lock.release', { name: lock, leaseId: held.leaseId });
  }

  async #keep(law: LocksExclude, { lock, leaseId, fencingToken }: Tenure, endMs: number): Promise<void> {
    while (performance.now() < endMs) {
      await pause(Math.min(RENEW_MS, Math.max(1, endMs - performance.now())));
      const renewed = await this.#ask<Held>(law, lock, 'lock.renew', { leaseId });
      if (renewed === undefined) return;
      if (renewed.fencingToken !== fencingToken)
        this.broken.push(`${lock} was renewed with ${renewed.fencingToken}, not ${fencingToken}`);
    }
  }

  /** What is valid is counted from the call: the agent, or this process, may have stood still since it was answered. */
  async #ask<H extends Held>(
    law: LocksExclude,
    lock: string,
    method: string,
    params: object,
  ): Promise<H | undefined> {
    const calledMs = performance.now();
    const held = await this.#call<H>(method, { name: lock, ...params });
    if (held === undefined) return undefined;
    const { fencingToken: token, validMs } = held;
    const fromMs = performance.now();
    law.observe({ type: 'holds', lock, token, client: this.#name, fromMs, untilMs: calledMs + validMs });
    return held;
  }

  async #call<R>(method: string, params: object): Promise<R | undefined> {
    const answer = await this.client.call<R>(method, params, CALL_CAP_MS);
    if (answer.type === 'unknown') this.unknown += 1;
    if (answer.type !== 'ok') return undefined;
    this.acknowledged += 1;
    return answer.value;
  }
}

function judge(law: LocksExclude, takers: readonly Taker[]): Checked {
  const sum = (field: 'acknowledged' | 'unknown'): number =>
    takers.reduce((total, taker) => total + taker[field], 0);
  const surprises = takers.flatMap(({ client, broken }) => [...client.surprises, ...broken]);
  return {
    workload: 'locks',
    acknowledged: sum('acknowledged'),
    unknown: sum('unknown'),
    lost: 0,
    stale: 0,
    violations: [...law.check(), ...surprises],
  };
}
