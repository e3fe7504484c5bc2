import type { Clock } from '../base/index.ts';

/**
 * The clock that holds are counted by: every process of a machine reads the same, it is not set by anybody, and it goes on while the machine
 * sleeps.
 */
export interface BootClock extends Clock {
  /** Since the machine was started. Unit: ms; exact to some 10 ms. */
  bootMs(): number;
}
