import { formatDuration } from '../base/index.ts';
import type { Result } from '../rpc/index.ts';
import type { CommandContext } from './command.ts';
import type { Output } from './output.ts';
import { formatFields, formatTable } from './table.ts';

type Resource = Result<'lock.get'>;
type Claim = Resource['holders'][number];

/** One thing that is held or waited for. */
export function resourceOutput(schema: string, resource: Resource): Output {
  return {
    schema,
    value: resource,
    ids: [resource.name],
    text: (isWide) => {
      const claims = [...resource.holders, ...resource.waiters];
      return (
        formatFields(fieldsOf(resource)) + (claims.length === 0 ? '' : `\n${claimsTable(claims, isWide)}`)
      );
    },
  };
}

/** A page of them. */
export function resourcesOutput(
  { tell }: Pick<CommandContext, 'tell'>,
  schema: string,
  page: Result<'lock.list'>,
): Output {
  if (page.cursor !== undefined) tell(`there is more; go on with --cursor ${page.cursor}`);
  return {
    schema,
    value: page,
    items: 'items',
    ids: page.items.map(({ name }) => name),
    text: () =>
      formatTable(
        ['name', 'used', 'holders', 'waiting', 'first holder', 'token'],
        page.items.map(({ name, used, capacity, holderCount, waiterCount, holders: [first] }) => [
          name,
          `${used}/${capacity}`,
          `${holderCount}`,
          `${waiterCount}`,
          first?.leaseId ?? '-',
          `${first?.fencingToken ?? '-'}`,
        ]),
      ),
  };
}

function fieldsOf({ name, used, capacity, holderCount, waiterCount }: Resource) {
  return [
    ['name', name],
    ['state', holderCount === 0 ? 'free' : 'held'],
    ['used', capacity === 1 ? undefined : `${used} of ${capacity}`],
    ['holders', `${holderCount}`],
    ['waiting', `${waiterCount}`],
  ] as const;
}

function claimsTable(claims: readonly Claim[], isWide: boolean): string {
  return formatTable(
    ['lease', 'state', 'token', 'ends in', 'node', ...(isWide ? ['units', 'value'] : [])],
    claims.map(({ leaseId, fencingToken, remainingMs, owner, units, value }) => [
      leaseId,
      fencingToken === null ? 'waits' : 'holds',
      `${fencingToken ?? '-'}`,
      remainingMs === null ? '-' : formatDuration(remainingMs),
      owner,
      ...(isWide ? [`${units}`, value ?? '-'] : []),
    ]),
  );
}
