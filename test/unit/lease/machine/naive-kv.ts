/** What kv should do, in a Map, slowly and obviously: values, times, leases, transactions, and every change in order. */

export interface NaiveEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly value: string | null;
  readonly revision: number;
  readonly version: number;
  readonly previous?: { readonly value: string; readonly revision: number; readonly version: number };
}

export interface NaiveEntry {
  readonly value: string;
  readonly revision: number;
  readonly version: number;
  readonly createRevision: number;
  readonly leaseId?: string;
}

interface Held extends NaiveEntry {
  readonly expiresAtMs: number;
}

export interface NaiveOperation {
  readonly op: 'get' | 'put' | 'delete';
  readonly key?: string;
  readonly prefix?: string;
  readonly value?: string;
  readonly ttlMs?: number;
  readonly leaseId?: string;
}

export interface NaiveCompare {
  readonly key: string;
  readonly target: 'value' | 'version' | 'createRevision' | 'modRevision' | 'lease';
  readonly op: '=' | '!=' | '>' | '<';
  readonly value: string | number | null;
}

const inBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

export class NaiveKv {
  readonly held = new Map<string, Held>();
  readonly leases = new Map<string, number>();
  readonly events: NaiveEvent[] = [];
  groupMs = 0;
  revision = 0;

  get(key: string): NaiveEntry | null {
    const held = this.held.get(key);
    if (held === undefined || held.expiresAtMs <= this.groupMs) return null;
    const { expiresAtMs: _, ...entry } = held;
    return entry;
  }

  keys(prefix: string): string[] {
    const alive = [...this.held.keys()].filter((key) => key.startsWith(prefix) && this.get(key) !== null);
    return alive.sort(inBytes);
  }

  put(key: string, value: string, { ttlMs, leaseId }: { ttlMs?: number; leaseId?: string } = {}): void {
    const was = this.get(key);
    const entry = {
      value,
      revision: this.revision,
      version: (was?.version ?? 0) + 1,
      createRevision: was?.createRevision ?? this.revision,
      ...(leaseId !== undefined && { leaseId }),
    };
    const expiresAtMs = ttlMs === undefined ? Number.POSITIVE_INFINITY : this.groupMs + ttlMs;
    this.held.set(key, { ...entry, expiresAtMs });
    this.#told('put', key, was, entry);
  }

  /** @returns whether it was there. */
  delete(key: string): boolean {
    const was = this.get(key);
    if (was !== null) this.#remove(key, was);
    return was !== null;
  }

  endLease(leaseId: string): void {
    this.leases.delete(leaseId);
    for (const key of [...this.held.keys()].sort(inBytes)) {
      const held = this.held.get(key) as Held;
      if (held.leaseId === leaseId) this.#remove(key, held);
    }
  }

  endLeases(): void {
    const due = [...this.leases].filter(([, deadlineMs]) => deadlineMs <= this.groupMs);
    for (const [leaseId] of due.sort((a, b) => a[1] - b[1] || inBytes(a[0], b[0]))) this.endLease(leaseId);
  }

  expire(): void {
    const due = [...this.held].filter(([, { expiresAtMs }]) => expiresAtMs <= this.groupMs);
    const inOrder = due.sort((a, b) => a[1].expiresAtMs - b[1].expiresAtMs || inBytes(a[0], b[0]));
    for (const [key, held] of inOrder) this.#remove(key, held);
  }

  /** @returns which branch was taken; undefined when it must be refused. */
  txn(
    compare: readonly NaiveCompare[],
    success: readonly NaiveOperation[],
    failure: readonly NaiveOperation[],
  ) {
    const succeeded = compare.every((each) => this.#holds(each));
    const operations = succeeded ? success : failure;
    if (operations.some(({ leaseId }) => leaseId !== undefined && !this.leases.has(leaseId)))
      return undefined;
    const responses = operations.map((each) => this.#do(each));
    return { succeeded, responses, revision: this.revision };
  }

  #do({ op, key, prefix, value, ttlMs, leaseId }: NaiveOperation): unknown {
    const { revision } = this;
    if (op === 'put') {
      const life = { ...(ttlMs !== undefined && { ttlMs }), ...(leaseId !== undefined && { leaseId }) };
      this.put(key as string, value as string, life);
      return { revision };
    }
    if (op === 'get') {
      if (key !== undefined) return this.get(key);
      return { entries: this.keys(prefix as string).map((each) => ({ key: each, ...this.get(each) })) };
    }
    if (key !== undefined) return { deleted: this.delete(key), revision };
    const keys = this.keys(prefix as string);
    for (const each of keys) this.delete(each);
    return { deleted: keys.length > 0, deletedCount: keys.length, revision };
  }

  #holds({ key, target, op, value }: NaiveCompare): boolean {
    const held = this.get(key);
    const actual = {
      value: held?.value ?? null,
      lease: held?.leaseId ?? null,
      version: held?.version ?? 0,
      createRevision: held?.createRevision ?? 0,
      modRevision: held?.revision ?? 0,
    }[target];
    if (op === '=') return actual === value;
    if (op === '!=') return actual !== value;
    if (actual === null || value === null) return false;
    const order = typeof actual === 'number' ? actual - (value as number) : inBytes(actual, value as string);
    return op === '>' ? order > 0 : order < 0;
  }

  #remove(key: string, was: NaiveEntry): void {
    this.held.delete(key);
    this.#told('delete', key, was, { value: null, version: 0 });
  }

  #told(
    type: 'put' | 'delete',
    key: string,
    was: NaiveEntry | null,
    now: { readonly value: string | null; readonly version: number },
  ): void {
    const previous = was && { value: was.value, revision: was.revision, version: was.version };
    const { value, version } = now;
    const event = { type, key, value, revision: this.revision, version };
    this.events.push(previous === null ? event : { ...event, previous });
  }
}
