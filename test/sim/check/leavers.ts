import type { Observation, Observer } from './observers.ts';

/** Who left in good order has handed over all it had to do, and does nothing afterwards: it starts nothing, leads nothing and applies nothing. */
export class LeaversActNoMore implements Observer {
  readonly name = 'leavers act no more';
  /** By node, what runs there: job and token. */
  readonly #running = new Map<string, Set<string>>();
  readonly #left = new Set<string>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    if (event.type === 'runs') this.#runs(event.node, `${event.job} with token ${event.token}`);
    if (event.type === 'stopped')
      this.#running.get(event.node)?.delete(`${event.job} with token ${event.token}`);
    if (event.type === 'leader' && this.#left.has(event.node))
      this.#broken.push(`${event.node} leads term ${event.term} after it has left`);
    if (event.type === 'applied' && this.#left.has(event.node))
      this.#broken.push(`${event.node} applies position ${event.position} after it has left`);
    if (event.type !== 'left') return;
    this.#left.add(event.node);
    for (const attempt of this.#running.get(event.node) ?? [])
      this.#broken.push(`${event.node} has left, and still runs ${attempt}`);
  }

  check(): readonly string[] {
    return this.#broken;
  }

  #runs(node: string, attempt: string): void {
    if (this.#left.has(node)) this.#broken.push(`${node} runs ${attempt} after it has left`);
    const running = this.#running.get(node) ?? new Set();
    this.#running.set(node, running.add(attempt));
  }
}
