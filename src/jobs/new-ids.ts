import type { QueryContext } from './machine-port.ts';

/** How ids begin that agents draw: what follows grows with time. */
const DRAWN_PREFIX = 'job_';
/** After every drawn id. */
const DRAWN_END = 'job`';
/** Last digits of an id: those that agents count up while they draw no new ones. */
const COUNTED_DIGITS = 4;
/** Runs of one generation; two are remembered one by one. */
const GENERATION_RUNS = 4_096;

/** Ids that differ in their last digits alone: one agent drew the first of them and counted on. */
interface Run {
  readonly begin: string;
  /** The greatest that a job has. */
  last: string;
}

/**
 * Knows of most ids that no job has them, without a look at the tables: agents draw ids that grow, so a new one is greater than all but the
 * latest, and of those the runs are remembered.
 *
 * - J4 Whatever is called new here is the id of no job. Not every new id is called so.
 */
export class NewIds {
  /** Not below any drawn id that a job has, those of the runs excepted. */
  #floor: string;
  #young = new Map<string, Run>();
  #old = new Map<string, Run>();
  #youngMost = '';
  #oldMost = '';
  /** The run that the latest id belongs to: so does the next, nearly always. */
  #latest: Run | undefined;

  /** @param floor not below any drawn id that a job has; '' where there is none. */
  constructor(floor = '') {
    this.#floor = floor;
  }

  isNew(id: string): boolean {
    if (!isDrawn(id) || id <= this.#floor) return false;
    if (id > this.#youngMost && id > this.#oldMost) return true; // nearly always, and quicker than to ask for its run
    const begin = beginOf(id);
    return !isWithin(this.#young.get(begin), id) && !isWithin(this.#old.get(begin), id);
  }

  /** A job of this id is there, or is about to be. */
  note(id: string): void {
    if (!isDrawn(id)) return;
    if (this.#latest === undefined || !belongs(id, this.#latest)) this.#latest = this.#runOf(id);
    if (id > this.#latest.last) this.#latest.last = id;
    if (id > this.#youngMost) this.#youngMost = id;
  }

  #runOf(id: string): Run {
    const begin = beginOf(id);
    const known = this.#young.get(begin);
    if (known !== undefined) return known;
    if (this.#young.size >= GENERATION_RUNS) this.#turn();
    const run = { begin, last: id };
    this.#young.set(begin, run);
    return run;
  }

  #turn(): void {
    if (this.#oldMost > this.#floor) this.#floor = this.#oldMost;
    this.#old = this.#young;
    this.#oldMost = this.#youngMost;
    this.#young = new Map();
    this.#youngMost = '';
  }
}

function beginOf(id: string): string {
  return id.slice(0, -COUNTED_DIGITS);
}

function belongs(id: string, { begin }: Run): boolean {
  return id.length === begin.length + COUNTED_DIGITS && id.startsWith(begin);
}

function isWithin(run: Run | undefined, id: string): boolean {
  return run !== undefined && id <= run.last;
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
