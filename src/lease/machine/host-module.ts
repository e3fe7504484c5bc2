import { AspenError } from '../../base/index.ts';
import type { MachineModule } from './module.ts';
import type { MachineState } from './state.ts';

/** Name of the host's own part; also the prefix of its tables, which no other module can have. */
export const HOST_MODULE = 'machine';

/** The commands by which the host itself is changed. Its state is no table: it is written with every flush. */
export function hostModule(state: MachineState): MachineModule {
  return {
    name: HOST_MODULE,
    tables: [],
    commands: {
      /** Every voter and standby understands `version`: commands of it may enter the log from here on. */
      raise: {
        since: 1,
        isLeadersOnly: true,
        parse: parseVersion,
        apply: (version: number) => {
          state.version = Math.max(state.version, version);
          return { version: state.version };
        },
      },
      /** Moves group time on when nothing else does, so that what waits for it can be decided. */
      advance: {
        since: 1,
        isLeadersOnly: true,
        parse: () => null,
        apply: (_body, { groupMs }) => ({ groupMs }),
      },
    },
    queries: {
      state: {
        parse: () => null,
        run: (_body, { position, groupMs }) => ({ position, groupMs, version: state.version }),
      },
    },
  };
}

function parseVersion(body: unknown): number {
  const version = (body as { version?: unknown } | null)?.version;
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    throw new AspenError('INVALID_PARAMS', 'version must be a whole number above 0');
  }
  return version as number;
}
