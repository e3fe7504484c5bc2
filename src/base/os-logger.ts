import { type DestinationStream, destination, type Level, pino } from 'pino';
import type { Logger } from './logger.ts';

/** JSON lines on standard error (or to `sink`), written synchronously so that the last words of a dying process are kept. */
export function createOsLogger(options: {
  readonly level: Level;
  readonly sink?: DestinationStream;
}): Logger {
  return pino({ level: options.level, base: null }, options.sink ?? destination({ dest: 2, sync: true }));
}
