/** The parts of the interface's results that the stories look at, written down by hand from the contract. */

export interface AgentStatus {
  readonly peerId: string;
  readonly name: string;
  readonly meshId: string;
  readonly version: string;
  readonly uptimeMs: number;
  readonly group: {
    readonly role: string;
    readonly leader: string | null;
    readonly term: number;
    readonly commitIndex: number;
    readonly appliedIndex: number;
    readonly voters: readonly string[];
    readonly hasQuorum: boolean;
  };
  readonly session: { readonly id: string | null; readonly latestLoss: { readonly reason: string } | null };
  readonly connectivity: { readonly latestUpheaval: { readonly type: string } | null };
  readonly peers: number;
}

export interface Ticket {
  readonly ticket: string;
  readonly id: string;
  readonly expiresAt: number | string;
}

export interface Job {
  readonly id: string;
  readonly spec: { readonly type: string; readonly payload?: unknown };
  readonly state: string;
  readonly attempt: number;
  readonly node: string | null;
  readonly fencingToken: number;
  readonly submittedAt: number | string;
  readonly startedAt: number | string | null;
  readonly finishedAt: number | string | null;
  readonly result: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly history: readonly Record<string, unknown>[];
}

export interface ShellResult {
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
  readonly durationMs: number;
}

export interface Submitted {
  readonly id: string;
  readonly durability: 'mesh' | 'local';
  readonly duplicate: boolean;
}

export interface KvEntry {
  readonly value: string;
  readonly revision: number;
  readonly version: number;
}

export interface KvScan {
  readonly entries?: readonly { readonly key: string; readonly value: string }[];
  readonly cursor?: string | null;
  readonly [other: string]: unknown;
}
