import type { PeerId } from '../../../src/base/brand.ts';
import { type Random, randomChance, randomInt } from '../../../src/base/random.ts';
import type { EventQueue } from './event-queue.ts';

export interface Weather {
  lossChance: number;
  duplicateChance: number;
  /** Of messages that take ten times as long, and so are overtaken. */
  straggleChance: number;
  maxDelay: number;
}

export const CALM: Readonly<Weather> = { lossChance: 0, duplicateChance: 0, straggleChance: 0, maxDelay: 5 };

/** Loses, doubles, delays and reorders packets; directions between two nodes are cut one by one. */
export class Network {
  readonly #queue: EventQueue;
  readonly #random: Random;
  readonly #cuts = new Set<string>();
  weather: Weather = { ...CALM };

  constructor(queue: EventQueue, random: Random) {
    this.#queue = queue;
    this.#random = random;
  }

  cut(from: PeerId, to: PeerId): void {
    this.#cuts.add(`${from}>${to}`);
  }

  heal(): void {
    this.#cuts.clear();
  }

  send(from: PeerId, to: PeerId, deliver: () => void): void {
    const copies = randomChance(this.#random, this.weather.duplicateChance) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (randomChance(this.#random, this.weather.lossChance)) continue;
      const delay = randomInt(this.#random, { from: 1, to: this.weather.maxDelay + 1 });
      const factor = randomChance(this.#random, this.weather.straggleChance) ? 10 : 1;
      this.#queue.after(delay * factor, () => {
        if (!this.#cuts.has(`${from}>${to}`)) deliver();
      });
    }
  }
}
