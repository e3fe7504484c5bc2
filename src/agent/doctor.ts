import { AspenError, type Clock, withDeadline } from '../base/index.ts';

/** What a look at one part of this node found; one sentence each for people. */
export interface Finding {
  /** Dotted, from the part to the detail, e.g. `sandbox.bwrap`. */
  readonly name: string;
  /** `warn`: works, with something missing. `fail`: does not work. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** The command or the change that mends it; null where nothing has to be mended. */
  readonly mend: string | null;
}

/** One look. To add one: a file in `checks/`, a line in `checks/index.ts`; what asks the system itself comes from `Platform.checks`. */
export interface Check {
  /** Names it when it does not come to an end; findings begin with it. */
  readonly name: string;
  /** May take {@link CHECK_WITHIN_MS}; whatever it throws is a finding of its own. */
  run(): Promise<readonly Finding[]>;
}

export type Worst = Finding['status'];

/** Longest look. Unit: ms. */
export const CHECK_WITHIN_MS = 10_000;
const ORDER: readonly Worst[] = ['ok', 'warn', 'fail'];

/** @returns the findings of all checks, in the order of the checks. A check that fails or hangs is a finding, and holds up no other. */
export async function runChecks(clock: Clock, checks: readonly Check[]): Promise<readonly Finding[]> {
  return (await Promise.all(checks.map((check) => runOne(clock, check)))).flat();
}

/** @returns `ok` for none. */
export function worstOf(findings: readonly Finding[]): Worst {
  return ORDER[Math.max(0, ...findings.map(({ status }) => ORDER.indexOf(status)))] as Worst;
}

async function runOne(clock: Clock, { name, run }: Check): Promise<readonly Finding[]> {
  try {
    return await withDeadline({ clock, timeoutMs: CHECK_WITHIN_MS, what: `the check ${name}` }, async () =>
      run(),
    );
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const mend =
      error instanceof AspenError && error.code === 'DEADLINE_EXCEEDED'
        ? 'aspen-agent doctor, once more'
        : null;
    return [{ name, status: 'fail', detail: `could not be looked at: ${why}`, mend }];
  }
}
