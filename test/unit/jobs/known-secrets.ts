import type { MachineModule } from '../../../src/lease/machine/index.ts';
import { textKey } from '../../../src/storage/index.ts';

/** Secrets as the machine keeps them, as far as jobs look at them. */
export const knownSecrets: MachineModule = {
  name: 'secrets',
  tables: ['secrets'],
  queries: {},
  commands: {
    put: {
      since: 1,
      parse: (body) => body,
      apply: (body, context) => {
        const { name, readers } = body as { name: string; readers: readonly string[] };
        context.table('secrets').put(textKey(name), { grants: readers.map((peerId) => ({ peerId })) });
        context.emit({ type: 'changed', name });
        return null;
      },
    },
    set: {
      since: 1,
      parse: (body) => body,
      apply: (body, context) => {
        const { name, grants } = body as { name: string; grants: readonly { readonly peerId: string }[] };
        context.table('secrets').put(textKey(name), { grants });
        return null;
      },
    },
    delete: {
      since: 1,
      parse: (body) => body,
      apply: (body, context) => {
        context.table('secrets').delete(textKey((body as { name: string }).name));
        return null;
      },
    },
  },
};
