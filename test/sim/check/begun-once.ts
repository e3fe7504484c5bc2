import type { Observation, Observer } from './observers.ts';

interface Known {
  /** Positions of the commands that submitted it, or asked for one more run of it. */
  readonly openings: Set<number>;
  readonly begun: Set<number>;
}

/** A job that is to run at most once begins once, whoever dies, stops or is cut off; and once more for each time that somebody asks for it. */
export class OnceMeansOnce implements Observer {
  readonly name = 'what is to run at most once begins once';
  readonly #jobs = new Map<string, Known>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    if (event.type === 'opened' && event.isOnce === true) this.#of(event.job).openings.add(event.position);
    if (event.type === 'runs') this.#begins(event.job, event.token);
  }

  check(): readonly string[] {
    return this.#broken;
  }

  #begins(job: string, token: number): void {
    const known = this.#jobs.get(job);
    if (known === undefined || known.begun.has(token)) return;
    known.begun.add(token);
    if (known.begun.size > known.openings.size)
      this.#broken.push(`${job} begins with token ${token}, for the ${known.begun.size}. time`);
  }

  #of(job: string): Known {
    const known = this.#jobs.get(job) ?? { openings: new Set(), begun: new Set() };
    this.#jobs.set(job, known);
    return known;
  }
}
