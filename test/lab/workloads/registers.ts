import { setTimeout as pause } from 'node:timers/promises';
import type { RegisterInput, RegisterOutput } from '../../sim/check/index.ts';
import { brokenRegisters, type RegisterOperation, staleReads } from '../checks.ts';
import { type Answer, LabClient } from '../client.ts';
import type { Checked, Workload, WorkloadContext } from '../workload.ts';

const KEYS = 8;
const CALL_CAP_MS = 4_000;
const PAUSE_MS = 30;

interface Answers {
  readonly get: { readonly value: string; readonly revision: number } | null;
  readonly put: { readonly revision: number };
  readonly cas: { readonly swapped: boolean; readonly current: string | null; readonly revision: number };
}
type Call = Extract<RegisterInput, { readonly type: keyof Answers }>;

/** Two clients an agent get, put and compare-and-swap a few shared keys. */
export function startRegisters(context: WorkloadContext): Workload {
  const history: RegisterOperation[] = [];
  const clients = context.agents.flatMap((agent) => [new LabClient(agent), new LabClient(agent)]);
  const stopping = new AbortController();
  let unknown = 0;

  async function work(client: LabClient, number: number): Promise<void> {
    const name = `${client.agent.name}/${number}`;
    let last: string | null = null;
    for (let at = 0; !stopping.signal.aborted; at += 1) {
      const input = nextCall(context, `${name}#${at}`, last);
      const calledMs = performance.now();
      const answer = await client.call<Answers[keyof Answers]>(
        `kv.${input.type}`,
        paramsOf(input),
        CALL_CAP_MS,
      );
      const operation = recorded(name, input, calledMs, answer);
      if (operation !== undefined) history.push(operation);
      if (answer.type === 'unknown') unknown += 1;
      if (operation?.result?.output.value !== undefined) last = operation.result.output.value;
      await pause(PAUSE_MS);
    }
    client[Symbol.dispose]();
  }

  const ended = Promise.all(clients.map(work));
  return {
    stop: async () => {
      stopping.abort();
      await ended;
    },
    check: () => Promise.resolve(judge(history, unknown, clients)),
    get writes() {
      return history.flatMap(({ input, calledMs, result }) =>
        input.type !== 'get' && result !== undefined ? [{ calledMs, atMs: result.atMs }] : [],
      );
    },
  };
}

function nextCall({ random, prefix }: WorkloadContext, value: string, last: string | null): Call {
  const key = `${prefix}r${random.below(KEYS)}`;
  const die = random.below(10);
  if (die < 4) return { type: 'get', key };
  if (die < 8) return { type: 'put', key, value };
  return { type: 'cas', key, expected: last, value };
}

function paramsOf({ type: _type, ...params }: Call): object {
  return params;
}

/** A read without an answer says nothing, and what did not happen is no part of the history. */
function recorded(
  client: string,
  input: Call,
  calledMs: number,
  answer: Answer<Answers[keyof Answers]>,
): RegisterOperation | undefined {
  if (answer.type !== 'ok')
    return answer.type === 'none' || input.type === 'get' ? undefined : { client, input, calledMs };
  return {
    client,
    input,
    calledMs,
    result: { output: outputOf(input, answer.value), atMs: performance.now() },
  };
}

function outputOf({ type }: Call, value: Answers[keyof Answers]): RegisterOutput {
  if (type === 'get') {
    const entry = value as Answers['get'];
    return entry === null ? { value: null } : { value: entry.value, revision: entry.revision };
  }
  if (type === 'put') return { revision: (value as Answers['put']).revision };
  const { swapped, revision } = value as Answers['cas'];
  return swapped ? { isDone: true, revision } : { isDone: false };
}

function judge(
  history: readonly RegisterOperation[],
  unknown: number,
  clients: readonly LabClient[],
): Checked {
  const stale = staleReads(history);
  return {
    workload: 'registers',
    acknowledged: history.filter(({ result }) => result !== undefined).length,
    unknown,
    lost: 0,
    stale: stale.length,
    violations: [...stale, ...brokenRegisters(history), ...clients.flatMap(({ surprises }) => surprises)],
  };
}
