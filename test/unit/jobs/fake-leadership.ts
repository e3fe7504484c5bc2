import { AspenError, fromWireError, Listeners, type PeerId, type Term } from '../../../src/base/index.ts';
import type { KeptSession, LeaderRequest, Leadership, Proposal, Proposed } from '../../../src/lease/index.ts';
import { commandOf } from '../../../src/lease/leader-term.ts';
import type { CommandOutcome, Fact, QueryContext } from '../../../src/lease/machine/index.ts';
import { type CommandSpec, entryOf } from '../lease/machine/support.ts';
import type { ManualClock } from '../lease/manual-clock.ts';
import { JobsBench } from './jobs-bench.ts';

/** A machine whose facts can be heard, and whose group time is what the clock says when a command comes. */
export class ToldBench extends JobsBench {
  readonly facts = new Listeners<readonly Fact[]>();
  readonly applied: CommandSpec[] = [];
  clock: ManualClock | undefined;

  override applyAll(specs: readonly CommandSpec[]): readonly CommandOutcome[] {
    this.groupMs = Math.max(this.groupMs, Math.floor(this.clock?.monotonicMs() ?? 0));
    const { groupMs, wallMs } = this;
    const entry = entryOf(this.machine.appliedIndex + 1, specs, { groupMs, wallMs });
    const { outcomes, facts } = this.machine.applyEntry(entry);
    this.applied.push(...specs);
    if (facts.length > 0) this.facts.emit(facts);
    return outcomes;
  }
}

/** Leads alone: what is proposed is applied a moment later, unless it is cut off. */
export class FakeLeadership implements Leadership {
  readonly term = 1 as Term;
  readonly #bench: ToldBench;
  readonly #clock: ManualClock;
  readonly #abort = new AbortController();
  readonly #parts: Disposable[] = [];
  readonly #proposed = new Listeners<Proposed>();
  readonly handlers = new Map<string, (request: LeaderRequest) => unknown>();
  /** Proposals are refused with this while it is set. */
  refusal: AspenError | undefined;
  /** Proposals are applied only when this has come, while it is set. */
  held: Promise<void> | undefined;
  /** Thrown by every read while it is set. */
  damage: Error | undefined;
  /** How often the applied state was read. */
  readCount = 0;

  constructor(bench: ToldBench, clock: ManualClock) {
    this.#bench = bench;
    this.#clock = clock;
    bench.clock = clock;
  }

  get version(): number {
    return this.#bench.machine.version;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  groupMs(): number {
    return Math.max(this.#bench.groupMs, Math.floor(this.#clock.monotonicMs()));
  }

  /** What is proposed in answer to a proposal is applied after it. */
  propose<R = unknown>(proposal: Proposal): Promise<R> {
    const agreed = this.#agree<R>(proposal);
    if (!this.signal.aborted) this.#announce(proposal);
    return agreed;
  }

  /** As the replica does for what it lets in. */
  #announce(proposal: Proposal): void {
    const { module, kind } = proposal;
    const { machine } = this.#bench;
    const command = commandOf(proposal);
    try {
      machine.admit(command);
    } catch (error) {
      if (error instanceof AspenError) return; // refused when its turn comes
      throw error;
    }
    this.#proposed.emit({ module, kind, body: machine.admittedBody(command) });
  }

  async #agree<R>({ module, kind, body }: Proposal): Promise<R> {
    await (this.held ?? Promise.resolve());
    if (this.signal.aborted) throw new AspenError('NOT_LEADER', 'over');
    if (this.refusal !== undefined) throw this.refusal;
    const outcome = this.#bench.apply({ module, kind, body });
    if (outcome.ok) return outcome.result as R;
    throw fromWireError(outcome.error);
  }

  read<T>(reader: (context: { module(name: string): QueryContext }) => T): T {
    if (this.signal.aborted) throw new AspenError('NOT_LEADER', 'over');
    if (this.damage !== undefined) throw this.damage;
    this.readCount += 1;
    return reader({ module: (name) => this.#bench.machine.read(name) });
  }

  onProposed(callback: (proposed: Proposed) => void): Disposable {
    const subscription = this.#proposed.add(callback);
    this.#parts.push(subscription);
    return subscription;
  }

  onFacts(callback: (facts: readonly Fact[]) => void): Disposable {
    const subscription = this.#bench.facts.add(callback);
    this.#parts.push(subscription);
    return subscription;
  }

  async confirm(): Promise<void> {
    if (this.signal.aborted) throw new AspenError('NOT_LEADER', 'over');
  }

  serve(method: string, handler: (request: LeaderRequest) => unknown): Disposable {
    this.handlers.set(method, handler);
    return { [Symbol.dispose]: () => void this.handlers.delete(method) };
  }

  end(): void {
    this.#abort.abort(new AspenError('NOT_LEADER', 'over'));
    for (const part of this.#parts) part[Symbol.dispose]();
  }
}

type Reporter = (peerId: PeerId, sessionId: string, report: unknown) => unknown;

/** Sessions as a keeper shows them, set by the test. */
export class FakeSessions {
  readonly #kept = new Map<PeerId, KeptSession>();
  readonly #changes = new Listeners<KeptSession>();
  readonly #clock: ManualClock;
  reporter: Reporter = () => null;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  onReport(reporter: Reporter): void {
    this.reporter = reporter;
  }

  find(peerId: PeerId): KeptSession | undefined {
    return this.#kept.get(peerId);
  }

  onChange(callback: (session: KeptSession) => void): Disposable {
    return this.#changes.add(callback);
  }

  keep(peerId: PeerId, sessionId: string, isSuspect = false): void {
    const lastRenewalMs = isSuspect
      ? (this.#kept.get(peerId)?.lastRenewalMs ?? 0)
      : this.#clock.monotonicMs();
    const session = { peerId, sessionId, incarnation: 'inc', lastRenewalMs, isSuspect };
    this.#kept.set(peerId, session);
    this.#changes.emit(session);
  }

  forget(peerId: PeerId): void {
    const session = this.#kept.get(peerId);
    this.#kept.delete(peerId);
    if (session !== undefined) this.#changes.emit(session);
  }
}
