import { setTimeout as pause } from 'node:timers/promises';
import type { KvInput, KvOutput, Operation, TransactionInput } from '../../sim/check/index.ts';
import { transactionOutput, transactionParams } from '../../sim/world/kv-calls.ts';
import { brokenTransactions } from '../checks.ts';
import { LabClient } from '../client.ts';
import type { Random } from '../random.ts';
import type { Workload, WorkloadContext } from '../workload.ts';

const KEYS = 3;
const CALL_CAP_MS = 4_000;
const PAUSE_MS = 60;

type Recorded = Operation<KvInput, KvOutput>;
interface Answered {
  readonly succeeded: boolean;
  readonly responses: readonly unknown[];
}

/** One client an agent reads a few keys at one moment, and then changes two of them if one of them is as it was. */
export function startTransactions(context: WorkloadContext): Workload {
  const { agents, prefix, random } = context;
  const keys = Array.from({ length: KEYS }, (_, number) => `${prefix}t${number}`);
  const history: Recorded[] = [];
  const clients = agents.map((agent) => new LabClient(agent));
  const stopping = new AbortController();
  let unknown = 0;

  /** @returns the answer, where there was one. */
  async function transact(client: LabClient, input: TransactionInput): Promise<KvOutput | undefined> {
    const calledMs = performance.now();
    const answer = await client.call<Answered>('kv.txn', transactionParams(input), CALL_CAP_MS);
    const call = { client: client.agent.name, input, calledMs };
    if (answer.type === 'unknown') unknown += 1;
    if (answer.type === 'unknown' && isChanging(input)) history.push(call);
    if (answer.type !== 'ok') return undefined;
    const output = transactionOutput(input, answer.value);
    history.push({ ...call, result: { output, atMs: performance.now() } });
    return output;
  }

  async function work(client: LabClient): Promise<void> {
    for (let at = 0; !stopping.signal.aborted; at += 1) {
      const seen = await transact(client, readAll(keys));
      if (seen !== undefined)
        await transact(client, change(keys, seen, `${client.agent.name}#${at}`, random));
      await pause(PAUSE_MS);
    }
    client[Symbol.dispose]();
  }

  const ended = Promise.all(clients.map(work));
  return {
    writes: [],
    stop: async () => {
      stopping.abort();
      await ended;
    },
    check: () =>
      Promise.resolve({
        workload: 'transactions',
        acknowledged: history.filter(({ result }) => result !== undefined).length,
        unknown,
        lost: 0,
        stale: 0,
        violations: [...brokenTransactions(history), ...clients.flatMap(({ surprises }) => surprises)],
      }),
  };
}

function readAll(keys: readonly string[]): TransactionInput {
  const success = keys.map((key) => ({ type: 'get', key }) as const);
  return { type: 'transaction', compare: [], success, failure: [] };
}

/** Most reads see the newest value, so most changes hold unless somebody else was faster. */
function change(keys: readonly string[], seen: KvOutput, value: string, random: Random): TransactionInput {
  const at = random.below(keys.length);
  const key = keys[at] as string;
  const other = keys[(at + 1 + random.below(keys.length - 1)) % keys.length] as string;
  return {
    type: 'transaction',
    compare: [{ key, value: seen.responses?.[at]?.value ?? null }],
    success: [
      { type: 'put', key, value },
      random.below(5) === 0 ? { type: 'delete', key: other } : { type: 'put', key: other, value },
    ],
    failure: [{ type: 'get', key: other }],
  };
}

function isChanging({ success, failure }: TransactionInput): boolean {
  return [...success, ...failure].some(({ type }) => type !== 'get');
}
