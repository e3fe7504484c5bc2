import { AspenError } from '../base/index.ts';
import { socketPathOf } from '../rpc/os-client.ts';

export interface ConnectOptions {
  /** Data directory of the agent; its socket is in it. One of `dataDir` and `socketPath` must be given. */
  readonly dataDir?: string;
  /** The socket itself; goes before `dataDir`. */
  readonly socketPath?: string;
  /**
   * How long a call waits for its answer, reconnecting if it must and, where this is given, trying again while there is no quorum.
   * Unit: ms. @default 30_000, without trying again
   */
  readonly timeoutMs?: number;
}

/** @throws AspenError INVALID_PARAMS when neither is given. */
export function socketOf({ socketPath, dataDir }: Pick<ConnectOptions, 'dataDir' | 'socketPath'>): string {
  const path = socketPath ?? (dataDir === undefined ? undefined : socketPathOf(dataDir));
  if (path === undefined) throw new AspenError('INVALID_PARAMS', 'give dataDir or socketPath');
  return path;
}
