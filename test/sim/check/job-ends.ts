import type { Observation, Observer } from './observers.ts';

/** What happened to a job at positions of the group's history. */
interface Story {
  /** How it ended there. */
  readonly ends: Map<number, string>;
  /** Where it was new, or was asked to run once more. */
  readonly openings: Set<number>;
}

/**
 * A job has one outcome for each time that it was asked for: once when it was submitted, once more for each redrive. Clients are told of
 * outcomes that the group agreed on, and of no others.
 */
export class JobsEndOnce implements Observer {
  readonly name = 'jobs end once';
  readonly #stories = new Stories();
  readonly #told = new Map<string, Set<string>>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    const first = this.#stories.observe(event);
    if (event.type === 'ended' && first !== event.state)
      this.#broken.push(`${event.job} ended ${first} and ${event.state} at position ${event.position}`);
    if (event.type === 'toldOfEnd') {
      const states = this.#told.get(event.job) ?? new Set();
      this.#told.set(event.job, states.add(event.state));
    }
  }

  check(): readonly string[] {
    return [
      ...this.#broken,
      ...this.#stories.flatMap(endsTwice),
      ...[...this.#told].flatMap(([job, states]) => toldWrongly(job, states, this.#stories.of(job))),
    ];
  }
}

export class EveryAcceptedJobEnds implements Observer {
  readonly name = 'every accepted job ends';
  readonly #accepted = new Set<string>();
  readonly #stories = new Stories();

  observe(event: Observation): void {
    this.#stories.observe(event);
    if (event.type === 'accepted') this.#accepted.add(event.job);
  }

  /** Accepted jobs that have not ended. */
  open(): string[] {
    return [...this.#accepted].filter((job) => isOpen(this.#stories.of(job)));
  }

  check(): readonly string[] {
    return this.open().map((job) => `${job} was accepted and never ended`);
  }
}

class Stories {
  readonly #stories = new Map<string, Story>();

  /** @returns for an end: how the job ended at that position as it was told first. */
  observe(event: Observation): string | undefined {
    if (event.type === 'opened') this.of(event.job).openings.add(event.position);
    if (event.type !== 'ended') return undefined;
    const { ends } = this.of(event.job);
    const first = ends.get(event.position) ?? event.state;
    ends.set(event.position, first);
    return first;
  }

  of(job: string): Story {
    const story = this.#stories.get(job) ?? { ends: new Map(), openings: new Set() };
    this.#stories.set(job, story);
    return story;
  }

  flatMap(tell: (job: string, story: Story) => string[]): string[] {
    return [...this.#stories].flatMap(([job, story]) => tell(job, story));
  }
}

function isOpen({ ends, openings }: Story): boolean {
  return ends.size === 0 || Math.max(...openings) > Math.max(...ends.keys());
}

/** Between two ends it must have been asked for again. */
function endsTwice(job: string, { ends, openings }: Story): string[] {
  const positions = [...ends.keys()].sort((left, right) => left - right);
  return positions.slice(1).flatMap((position, at) => {
    const before = positions[at] as number;
    const isAsked = [...openings].some((opening) => opening > before && opening <= position);
    if (isAsked) return [];
    return [`${job} ended ${ends.get(before)} at ${before} and ${ends.get(position)} at ${position}`];
  });
}

function toldWrongly(job: string, told: ReadonlySet<string>, { ends }: Story): string[] {
  const agreed = new Set(ends.values());
  return [...told]
    .filter((state) => !agreed.has(state))
    .map((state) => `a client was told that ${job} is ${state}, which nobody agreed on`);
}
