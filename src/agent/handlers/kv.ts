import type { GroupClient, LabelledReads } from '../../lease/index.ts';
import type { Handlers, Params, Result } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { KvWatches } from './kv-watches.ts';

type KvHandlers = Pick<
  Handlers,
  `kv.${'get' | 'put' | 'delete' | 'cas' | 'txn' | 'scan' | 'watch' | 'unwatch'}`
>;
type Consistency = 'linearizable' | 'lease' | 'stale';
type Compare = NonNullable<Params<'kv.txn'>['compare']>[number];

/** The agreed key-value store, as the socket offers it. */
export function kvHandlers(daemon: Daemon): KvHandlers {
  const watches = new KvWatches(daemon);
  const group = (): { readonly client: GroupClient; readonly reads: LabelledReads } => daemon.node.group;
  const propose = <R>(
    kind: string,
    { requestId, ...body }: { readonly requestId?: string | undefined; readonly [field: string]: unknown },
  ): Promise<R> =>
    group().client.propose<R>({ module: 'kv', kind, body, ...(requestId !== undefined && { requestId }) });
  const read = <R>(kind: string, body: object, consistency: Consistency | undefined): Promise<R> =>
    consistency === undefined || consistency === 'linearizable'
      ? group().client.query<R>({ module: 'kv', kind, body })
      : labelled<R>(group().reads, { kind, body, consistency });
  return {
    'kv.get': ({ key, consistency }) => read<Result<'kv.get'>>('get', { key }, consistency),
    'kv.put': (params) => propose<Result<'kv.put'>>('put', params),
    'kv.delete': (params) => propose<Result<'kv.delete'>>('delete', params),
    'kv.cas': (params) => propose<Result<'kv.cas'>>('cas', params),
    'kv.txn': ({ compare = [], ...params }) =>
      propose<Result<'kv.txn'>>('txn', { ...params, compare: compare.map(comparison) }),
    'kv.scan': ({ consistency, ...body }) => read<Result<'kv.scan'>>('scan', body, consistency),
    'kv.watch': ({ key, prefix = '', fromRevision }, connection) =>
      watches.open({ filter: key === undefined ? { prefix } : { key }, fromRevision }, connection),
    'kv.unwatch': async ({ subscription }, connection) => watches.close(subscription, connection),
  };
}

/** An absent key stays null, as the contract has it, and so goes without a label. */
async function labelled<R>(
  reads: LabelledReads,
  {
    kind,
    body,
    consistency,
  }: { readonly kind: string; readonly body: object; readonly consistency: Consistency },
): Promise<R> {
  const { value, label } = await reads.read<object | null>({ module: 'kv', kind, body, consistency });
  return (value === null ? null : { ...value, ...label }) as R;
}

/** One comparison as the machine takes it: with the target by name, and `==` for what it is. */
function comparison({ key, op = '=', target, ...operands }: Compare) {
  const named =
    target ?? (Object.keys(operands).find((name) => isGiven(operands, name)) as keyof typeof operands);
  const value = target === undefined ? operands[named as keyof typeof operands] : operands.value;
  return { key, target: named, op: op === '==' ? '=' : op, value };
}

function isGiven(operands: Readonly<Record<string, unknown>>, name: string): boolean {
  return operands[name] !== undefined;
}
