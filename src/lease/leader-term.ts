import { AspenError, type Clock, encode, fromWireError, type Term } from '../base/index.ts';
import type { LeaderRequest, Leadership, Proposal, Proposed } from './group.ts';
import { COMMAND_BYTES_LIMIT, type Command, type Fact, type QueryContext } from './machine/index.ts';
import type { Hurry } from './raft/index.ts';
import type { Submission } from './submission.ts';

/** What a leadership needs of the replica that leads. */
export interface LeadingReplica {
  readonly machineVersion: number;
  submit(submission: Submission): void;
  read(module: string): QueryContext;
  onFacts(callback: (facts: readonly Fact[]) => void): Disposable;
  onProposed(callback: (proposed: Proposed) => void): Disposable;
  confirm(hurry?: Hurry): Promise<void>;
}

/** One leadership of this node, from the moment every earlier entry is applied to its end. */
export class LeaderTerm implements Leadership {
  readonly term: Term;
  readonly #replica: LeadingReplica;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #handlers = new Map<string, (request: LeaderRequest) => unknown>();
  readonly #parts: Disposable[] = [];
  readonly #applied = { module: (name: string) => this.#replica.read(name) };
  readonly #groupMsAtStart: number;
  readonly #startedAtMs: number;

  constructor(
    { replica, clock }: { readonly replica: LeadingReplica; readonly clock: Clock },
    { term, groupMs }: { readonly term: Term; readonly groupMs: number },
  ) {
    this.term = term;
    this.#replica = replica;
    this.#clock = clock;
    this.#groupMsAtStart = groupMs;
    this.#startedAtMs = clock.monotonicMs();
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get version(): number {
    return this.#replica.machineVersion;
  }

  /** Goes on from the last one applied, by the monotonic clock. */
  groupMs(): number {
    return Math.floor(this.#groupMsAtStart + this.#clock.monotonicMs() - this.#startedAtMs);
  }

  propose<R = unknown>(proposal: Proposal): Promise<R> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) throw this.#over();
      this.#replica.submit({
        command: commandOf(proposal),
        given: proposal.body,
        onOutcome: (outcome) =>
          outcome.ok ? resolve(outcome.result as R) : reject(fromWireError(outcome.error)),
        onFailure: reject,
      });
    });
  }

  read<T>(reader: (context: { module(name: string): QueryContext }) => T): T {
    if (this.signal.aborted) throw this.#over();
    return reader(this.#applied);
  }

  onFacts(callback: (facts: readonly Fact[]) => void): Disposable {
    const subscription = this.#replica.onFacts(callback);
    this.#parts.push(subscription);
    return subscription;
  }

  onProposed(callback: (proposed: Proposed) => void): Disposable {
    const subscription = this.#replica.onProposed(callback);
    this.#parts.push(subscription);
    return subscription;
  }

  async confirm(hurry: Hurry = 'now'): Promise<void> {
    if (this.signal.aborted) throw this.#over();
    await this.#replica.confirm(hurry);
    if (this.signal.aborted) throw this.#over();
  }

  serve(method: string, handler: (request: LeaderRequest) => unknown): Disposable {
    if (this.#handlers.has(method)) throw new AspenError('CONFLICT', `${method} is served already`);
    this.#handlers.set(method, handler);
    return { [Symbol.dispose]: () => void this.#handlers.delete(method) };
  }

  /** @throws AspenError METHOD_NOT_FOUND, or what the handler throws. */
  answer(method: string, request: LeaderRequest): unknown {
    const handler = this.#handlers.get(method);
    if (handler === undefined) throw new AspenError('METHOD_NOT_FOUND', `the leader serves no ${method}`);
    return handler(request);
  }

  /** Keeps a part that lives as long as this leadership. */
  hold(part: Disposable): void {
    if (this.signal.aborted) part[Symbol.dispose]();
    else this.#parts.push(part);
  }

  end(): void {
    this.#abort.abort(this.#over());
    for (const part of this.#parts.splice(0)) part[Symbol.dispose]();
    this.#handlers.clear();
  }

  #over(): AspenError {
    return new AspenError('NOT_LEADER', `the leadership of term ${this.term} is over`, {
      details: { leader: null },
    });
  }
}

/** @throws AspenError RESOURCE_EXHAUSTED when the body is too long for the log. */
export function commandOf({ module, kind, body, requestId }: Proposal): Command {
  const bytes = encode(body ?? null);
  if (bytes.length > COMMAND_BYTES_LIMIT) {
    throw new AspenError(
      'RESOURCE_EXHAUSTED',
      `${module}.${kind}: a body of ${bytes.length} bytes exceeds ${COMMAND_BYTES_LIMIT}`,
      { details: { limit: 'COMMAND_BYTES_LIMIT' } },
    );
  }
  return { module, kind, body: bytes, request: null, requestId: requestId ?? null };
}
