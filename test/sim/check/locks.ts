import type { Observation, Observer } from './observers.ts';

interface Tenure {
  readonly token: number;
  readonly client: string;
  /** When its client was told that it holds the lock. Unit: ms of virtual time, as all here. */
  readonly fromMs: number;
  /** Until when it was told that it may rely on that, or when it began to give the lock back. */
  untilMs: number;
}

/**
 * Whoever was told to hold a lock holds it alone for as long as it was told, unless it gives it back before; and of two holders the later
 * has the greater fencing token. Told from outside: by what clients were answered and when.
 */
export class LocksExclude implements Observer {
  readonly name = 'locks exclude';
  readonly #tenures = new Map<string, Map<number, Tenure>>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    // An answer may come when what it tells is over: then it tells nothing.
    if (event.type === 'holds' && event.fromMs < event.untilMs) this.#hold(event);
    if (event.type === 'givesBack') {
      const tenure = this.#of(event.lock).get(event.token);
      if (tenure !== undefined) tenure.untilMs = Math.min(tenure.untilMs, event.atMs);
    }
  }

  check(): readonly string[] {
    return [
      ...this.#broken,
      ...[...this.#tenures].flatMap(([lock, tenures]) => overlaps(lock, [...tenures.values()])),
    ];
  }

  #hold({ lock, token, client, fromMs, untilMs }: Extract<Observation, { type: 'holds' }>): void {
    const tenures = this.#of(lock);
    const known = tenures.get(token);
    if (known === undefined) tenures.set(token, { token, client, fromMs, untilMs });
    else if (known.client !== client)
      this.#broken.push(`${lock} is held with ${token} by ${known.client} and ${client}`);
    else known.untilMs = Math.max(known.untilMs, untilMs);
  }

  #of(lock: string): Map<number, Tenure> {
    const tenures = this.#tenures.get(lock) ?? new Map<number, Tenure>();
    this.#tenures.set(lock, tenures);
    return tenures;
  }
}

/** By token, each must be over when the next one begins; whoever was told too late never held it. */
function overlaps(lock: string, tenures: readonly Tenure[]): string[] {
  const inOrder = tenures
    .filter(({ fromMs, untilMs }) => fromMs < untilMs)
    .sort((left, right) => left.token - right.token);
  const broken: string[] = [];
  let last: Tenure | undefined;
  for (const tenure of inOrder) {
    if (last !== undefined && last.untilMs > tenure.fromMs) {
      broken.push(
        `${lock} is held with ${tenure.token} by ${tenure.client} from ${tenure.fromMs} ms, and with ${last.token} by ${last.client} until ${last.untilMs} ms`,
      );
    }
    if (last === undefined || tenure.untilMs > last.untilMs) last = tenure;
  }
  return broken;
}
