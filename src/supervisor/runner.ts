import type { Ask } from './confinement.ts';
import type { StoppedBy } from './limit-verdict.ts';

/** What to start. With `shell`, `command` and `args` joined by spaces are one line for `/bin/sh -c`. */
export interface ProcessRequest {
  readonly command: string;
  /** What people are told that it is. @default `command` */
  readonly title?: string;
  readonly args: readonly string[];
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to standard input, which is then closed; without it standard input is empty. */
  readonly stdin?: Uint8Array;
  readonly shell: boolean;
  /** What it wants to be held by; absent where that is nobody's concern. */
  readonly ask?: Ask;
  /** A directory of the attempt's own, which it may read wherever it runs. */
  readonly ownDirectory?: string;
}

export type OutputStream = 'stdout' | 'stderr';

export interface ProcessExit {
  /** null when a signal ended it or it never started. */
  readonly exitCode: number | null;
  /** e.g. `SIGTERM`; null when it ended by itself. */
  readonly signal: string | null;
  /** Set when the process could not be started; code is the system's, e.g. `ENOENT`, `EACCES`. */
  readonly spawnError?: { readonly code: string; readonly message: string };
  /** Set when a limit ended it. */
  readonly stoppedBy?: StoppedBy;
}

export interface RunningProcess {
  /** Absent when it could not be started, and in memory. */
  readonly pid?: number;
  /** One listener, to be set in the same turn as `start`; what arrives before it is kept. */
  onOutput(callback: (stream: OutputStream, bytes: Uint8Array) => void): void;
  /** Resolves once, never rejects, after the last output was given to the listener. */
  readonly exited: Promise<ProcessExit>;
  /** SIGTERM to the group, after `graceMs` SIGKILL to the group. Resolves when the process is gone; calling it again is harmless. */
  stop(graceMs: number): Promise<void>;
  /** Stops reading the output, so that a fast writer blocks. */
  pause?(): void;
  resume?(): void;
  /** Numbers of all its processes, wherever they went, where a layer keeps them together. */
  members?(): ReadonlySet<number>;
}

/**
 * Starts processes, each the leader of its own group, so that what it began can be ended with it.
 *
 * R1 Nothing is thrown out of band: whatever keeps a process from starting is in `exited`.
 * R2 The group ends with its leader: what a leader left behind in its group is killed when it has exited.
 * R3 `exited` waits for the leader, and only shortly for the pipes: a descendant that left the group cannot hold it up.
 */
export interface Runner {
  start(request: ProcessRequest): RunningProcess;
}
