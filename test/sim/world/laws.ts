import { allObservers, EveryAcceptedJobEnds, type Observation, type Observer } from '../check/index.ts';
import { LawBroken } from './outcome.ts';

/** Observers whose law speaks of the end of a run: before it, what was promised may still come. */
const PROMISES: ReadonlySet<string> = new Set([
  'acknowledged writes survive',
  'every accepted job ends',
  'registries converge',
]);

/** The law of a world: all observers, and breaches that only the one who asked could see. */
export class Laws {
  readonly #observers: readonly Observer[] = allObservers();
  readonly #jobs = new EveryAcceptedJobEnds();
  readonly #breaches: string[] = [];
  readonly #counts = new Map<Observation['type'], number>();

  observe(event: Observation): void {
    this.#counts.set(event.type, (this.#counts.get(event.type) ?? 0) + 1);
    this.#jobs.observe(event);
    for (const observer of this.#observers) observer.observe(event);
  }

  breach(what: string): void {
    this.#breaches.push(what);
  }

  /** Accepted jobs that have not ended. */
  openJobs(): readonly string[] {
    return this.#jobs.open();
  }

  /** How much happened, for people. */
  get tally(): string {
    return [...this.#counts].map(([type, count]) => `${count} ${type}`).join(', ');
  }

  /** What must hold at every moment. @throws LawBroken */
  checkSafety(): void {
    this.#check(({ name }) => !PROMISES.has(name));
  }

  /** Also what was promised: at the end of a run. @throws LawBroken */
  checkAll(): void {
    this.#check(() => true);
  }

  #check(isAsked: (observer: Observer) => boolean): void {
    const broken = this.#observers
      .filter(isAsked)
      .flatMap((observer) => observer.check().map((what) => `${observer.name}: ${what}`));
    const all = [...this.#breaches, ...broken];
    if (all.length > 0) throw new LawBroken(all);
  }
}
