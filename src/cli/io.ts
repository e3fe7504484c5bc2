import type { Readable } from 'node:stream';
import type { Result } from '../rpc/index.ts';
import type { StartAgent } from './agent-start.ts';
import type { RestoreBackup } from './backup-restore.ts';

export interface CliOutput {
  write(text: string | Uint8Array): void;
  readonly isTTY: boolean;
  /** Resolves when more may be written without piling up. @default at once */
  drained?(): Promise<void>;
}

/** What asks a command to end: Ctrl-C, whoever ends programs, a terminal that is closed. */
export type Interrupt = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** The world around the command line: the process's own, or a test's. */
export interface CliIo {
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  readonly stdin: Readable;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls back on each of them, until disposed; where nobody listens that ends the process. */
  onInterrupt(callback: (signal: Interrupt) => void): Disposable;
  /** Calls back once when standard output takes no more, until disposed; where nobody listens that ends the process. @default it never happens */
  onOutputLost?(callback: (reason: string) => void): Disposable;
  /** Ends the process, for the person who has asked twice. */
  exitNow(code: number): void;
  /** The agent, loaded when it is needed: clients never pay for it. */
  readonly startAgent: StartAgent;
  readonly restoreBackup: RestoreBackup;
  /** Looks at a ticket as far as that goes without a mesh. @throws AspenError INVALID_PARAMS or DENIED when nobody can join with it. */
  readonly checkTicket: (text: string) => Promise<void>;
  /** The settings that an agent of this directory would start with, from its file and the environment. @throws AspenError INVALID_PARAMS naming what is wrong. */
  readonly readSettings: (dataDir: string) => Promise<Result<'config.show'>>;
  /** How to start this very program again, e.g. `[node, main.ts]`. */
  readonly self: readonly string[];
}
