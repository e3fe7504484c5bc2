import type { QueryContext } from './machine/index.ts';

/**
 * For what is looked at again and again though it seldom changes.
 * @param read depends on agreed tables and nothing else, not on the time either.
 * @returns the same, asked again only where a command was applied since; positions are never used twice, also over a recovery.
 */
export function onceApplied<T>(read: (context: QueryContext) => T): (context: QueryContext) => T {
  let known: { readonly position: number; readonly value: T } | undefined;
  return (context) => {
    const { position } = context;
    if (known?.position !== position) known = { position, value: read(context) };
    return known.value;
  };
}
