import { type PeerId, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import type { JobExplanation } from '../../../src/jobs/explain.ts';
import { Dispatcher } from '../../../src/jobs/index.ts';
import type { AttemptRef } from '../../../src/jobs/settlement.ts';
import { type Assignment, METHODS, type Orders } from '../../../src/jobs/wire.ts';
import type { MachineModule } from '../../../src/lease/machine/index.ts';
import { ManualClock } from '../lease/manual-clock.ts';
import { FakeLeadership, FakeSessions, ToldBench } from './fake-leadership.ts';

interface Sent {
  readonly to: string;
  readonly method: string;
  readonly body: { readonly assignments?: readonly Assignment[]; readonly attempts?: readonly AttemptRef[] };
}

/** One dispatcher that leads, and nodes that the test speaks for. */
export class Mesh {
  readonly clock = new ManualClock();
  readonly bench: ToldBench;
  readonly sent: Sent[] = [];
  readonly failures: unknown[] = [];
  leadership: FakeLeadership;
  sessions = new FakeSessions(this.clock);
  dispatcher: Dispatcher | undefined;
  readonly reports = new Map<string, object>();

  /** @param others modules that jobs look at. */
  constructor(others: readonly MachineModule[] = []) {
    this.bench = new ToldBench(others);
    this.leadership = new FakeLeadership(this.bench, this.clock);
  }

  lead(): this {
    this.dispatcher = new Dispatcher({
      leadership: this.leadership,
      sessions: this.sessions,
      messenger: {
        send: (to, method, body) => {
          this.sent.push({ to, method, body: body as Sent['body'] });
          return true;
        },
      },
      clock: this.clock,
      random: new SeededRandom(1),
      log: silentLogger,
      roleOf: () => 'worker',
      onFailure: (error) => this.failures.push(error),
    });
    return this;
  }

  /** Another node leads: nothing is remembered but what was agreed. */
  async changeLeader(): Promise<void> {
    this.dispatcher?.[Symbol.dispose]();
    this.leadership.end();
    this.leadership = new FakeLeadership(this.bench, this.clock);
    const before = this.sessions;
    this.sessions = new FakeSessions(this.clock);
    for (const name of this.reports.keys()) {
      const session = before.find(name as PeerId);
      if (session !== undefined) this.sessions.keep(name as PeerId, session.sessionId);
    }
    this.lead();
    await this.settle();
  }

  /** A node opens a session and reports for the first time. */
  async join(name: string, report: object = {}, sessionId = `ses_${name}`): Promise<void> {
    this.bench.openSession(name, sessionId);
    this.sessions.keep(name as PeerId, sessionId);
    await this.report(name, [], report);
  }

  async report(
    name: string,
    attempts: readonly AttemptRef[] = [],
    report: object = this.reports.get(name) ?? {},
  ): Promise<Orders> {
    this.reports.set(name, report);
    const { sessionId } = this.sessions.find(name as PeerId) as { sessionId: string };
    this.sessions.keep(name as PeerId, sessionId);
    const full = { labels: {}, types: ['echo'], slots: 2, isDraining: false, attempts, ...report };
    const orders = this.sessions.reporter(name as PeerId, sessionId, full) as Orders;
    await this.settle();
    return orders;
  }

  async settle(): Promise<void> {
    await this.clock.advance(0);
    await this.clock.advance(0);
  }

  /** Every attempt that was pushed, in order. */
  given(): (Assignment & { readonly to: string })[] {
    return this.sent.flatMap(({ to, method, body }) =>
      method === METHODS.assign ? (body.assignments ?? []).map((assignment) => ({ ...assignment, to })) : [],
    );
  }

  givenIds(): string[] {
    return this.given().map(({ jobId, to }) => `${jobId} to ${to}`);
  }

  explain(id: string): JobExplanation {
    const handler = this.leadership.handlers.get('jobs/explain');
    return handler?.({ from: 'ann' as PeerId, body: { id } }) as JobExplanation;
  }

  proposed(kind: string): number {
    return this.bench.applied.filter((command) => command.kind === kind).length;
  }
}
