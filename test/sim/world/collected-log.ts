import type { Logger } from '../../../src/base/index.ts';
import type { Scheduler, SimProcess } from '../ground/index.ts';

/** What all agents said, as lines of the world's trace; a dead process says nothing. */
export class CollectedLog {
  readonly of: (process: SimProcess) => Logger;
  readonly #tell: (line: string) => void;

  constructor(_scheduler: Scheduler, tell: (line: string) => void) {
    this.#tell = tell;
    this.of = (process) => this.#logger(process, '');
  }

  #logger(process: SimProcess, part: string): Logger {
    const say = (level: string) => (fields: object, message: string) => {
      if (process.isAlive) this.#tell(`${process.name} ${level} ${part} ${message} ${factsOf(fields)}`);
    };
    return {
      debug: say('debug'),
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      child: (fields) => this.#logger(process, fields.part),
    };
  }
}

function factsOf(fields: object): string {
  return JSON.stringify(fields, (_key, value: unknown) => {
    if (value instanceof Error) return `${value.name}: ${value.message}`;
    return typeof value === 'bigint' || value instanceof Uint8Array ? String(value) : value;
  });
}
