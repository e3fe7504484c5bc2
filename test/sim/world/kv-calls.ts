import type {
  Change,
  KvInput,
  KvOutput,
  RegisterInput,
  RegisterOutput,
  TransactionInput,
} from '../check/index.ts';
import type { SimNode } from './sim-node.ts';

/** How a read is to be answered; both promise the same while clocks keep their bounds. */
export type Consistency = 'linearizable' | 'lease';

interface Entry {
  readonly value: string;
  readonly revision: number;
}

/** Calls the method that an input of the model stands for. @returns what the model should have answered. */
export async function performKv(
  node: SimNode,
  input: KvInput,
  consistency: Consistency = 'linearizable',
): Promise<KvOutput> {
  return input.type === 'transaction' ? transact(node, input) : change(node, input, consistency);
}

/** @returns what the answer to an input says of changes. */
export function changesOf(input: KvInput, { isDone, revision, responses }: KvOutput): Change[] {
  if (input.type === 'transaction')
    return (isDone ? input.success : input.failure).flatMap((part, at) =>
      changesOf(part, responses?.[at] ?? {}),
    );
  if (revision === undefined || input.type === 'get') return [];
  return [{ key: input.key, revision, value: input.type === 'delete' ? null : input.value }];
}

async function change(
  node: SimNode,
  input: RegisterInput,
  consistency: Consistency,
): Promise<RegisterOutput> {
  const { key } = input;
  switch (input.type) {
    case 'get':
      return read(await node.call('kv.get', { key, consistency }));
    case 'put': {
      const { revision } = await node.call('kv.put', { key, value: input.value });
      return { revision };
    }
    case 'delete':
      return deleted(await node.call('kv.delete', { key }));
    case 'cas': {
      const { expected, value } = input;
      const { swapped, revision } = await node.call('kv.cas', { key, expected, value });
      return swapped ? { isDone: true, revision } : { isDone: false };
    }
    case 'casRevision':
      throw new Error('no method compares revisions');
  }
}

async function transact(node: SimNode, input: TransactionInput): Promise<KvOutput> {
  return transactionOutput(input, await node.call('kv.txn', transactionParams(input)));
}

/** @returns the params of `kv.txn` that an input of the model stands for. */
export function transactionParams({ compare, success, failure }: TransactionInput) {
  const wire = (branch: TransactionInput['success']) =>
    branch.map(({ type, ...rest }) => ({ op: type, ...rest }));
  return {
    compare: compare.map(({ key, value }) => ({ key, target: 'value' as const, value })),
    success: wire(success),
    failure: wire(failure),
  };
}

/** @returns what the model should have answered where `kv.txn` did. */
export function transactionOutput(
  { success, failure }: TransactionInput,
  answer: { readonly succeeded: boolean; readonly responses: readonly unknown[] },
): KvOutput {
  const done = answer.succeeded ? success : failure;
  const responses = done.map(({ type }, at) => {
    const response = answer.responses[at];
    if (type === 'get') return read(response as Entry | null);
    if (type === 'delete') return deleted(response as { deleted: boolean; revision: number });
    return { revision: (response as { revision: number }).revision };
  });
  return { isDone: answer.succeeded, responses };
}

function read(found: Entry | null): RegisterOutput {
  return found === null ? { value: null } : { value: found.value, revision: found.revision };
}

function deleted({
  deleted: isDone,
  revision,
}: {
  readonly deleted: boolean;
  readonly revision: number;
}): RegisterOutput {
  return isDone ? { isDone, revision } : { isDone };
}
