import type { QueryContext } from './machine-port.ts';

/** How ids begin that agents draw: what follows grows with time. */
const DRAWN_PREFIX = 'job_';
/** After every drawn id. */
const DRAWN_END = 'job`';
/** Ids of one generation; two are remembered one by one. */
const GENERATION_IDS = 4_096;

/**
 * Knows of most ids that no job has them, without a look at the tables: agents draw ids that grow, so a new one is greater than all but the
 * latest, and those are remembered.
 *
 * - J4 Whatever is called new here is the id of no job. Not every new id is called so.
 */
export class NewIds {
  /** Not below any drawn id that a job has, those remembered excepted. */
  #floor: string;
  #young = new Set<string>();
  #old = new Set<string>();
  #youngMost = '';
  #oldMost = '';

  /** @param floor not below any drawn id that a job has; '' where there is none. */
  constructor(floor = '') {
    this.#floor = floor;
  }

  isNew(id: string): boolean {
    if (!isDrawn(id) || id <= this.#floor) return false;
    if (id > this.#youngMost && id > this.#oldMost) return true; // nearly always, and quicker than to ask for it
    return !this.#young.has(id) && !this.#old.has(id);
  }

  /** A job of this id is there, or is about to be. */
  note(id: string): void {
    if (!isDrawn(id)) return;
    if (this.#young.size >= GENERATION_IDS) this.#turn();
    this.#young.add(id);
    if (id > this.#youngMost) this.#youngMost = id;
  }

  #turn(): void {
    if (this.#oldMost > this.#floor) this.#floor = this.#oldMost;
    this.#old = this.#young;
    this.#oldMost = this.#youngMost;
    this.#young = new Set();
    this.#youngMost = '';
  }
}

/** @param tables with a row in `jobs` for each job there is. */
export function readNewIds(tables: Pick<QueryContext, 'table'>): NewIds {
  const last = { from: DRAWN_PREFIX, to: DRAWN_END, reverse: true, limit: 1 };
  for (const [id] of tables.table('jobs').range(last)) return new NewIds(id);
  return new NewIds();
}

function isDrawn(id: string): boolean {
  return id.startsWith(DRAWN_PREFIX);
}
