import { AuditLog } from '../audit/index.ts';
import { AspenError, type Crypto } from '../base/index.ts';
import type { AttemptContext, ExecutionResult, Executor, RecoveredAttempt } from '../jobs/index.ts';
import type { AuditMode } from './config.ts';
import type { Platform } from './platform.ts';

/** The one type of built-in jobs that touches nothing: its payload is its result. */
const TOUCHES_NOTHING = 'echo';

/** Opens the audit log of this machine. @returns undefined where its owner wants none, or there is no place for one. */
export async function openAudit(platform: Platform, mode: AuditMode): Promise<AuditLog | undefined> {
  const { auditFiles: files, clock, crypto, logger } = platform;
  if (files === undefined || mode === 'off') return undefined;
  return AuditLog.open({ files, clock, crypto, log: logger.child({ part: 'audit' }) });
}

/** @throws AspenError UNAVAILABLE where this agent keeps none. */
export function requireAudit(audit: AuditLog | undefined): AuditLog {
  if (audit !== undefined) return audit;
  throw new AspenError('UNAVAILABLE', 'this agent keeps no audit log: its setting `audit` is off', {
    outcome: 'not-applied',
  });
}

/**
 * An executor whose executions are in the audit log: that one began before it is begun, how it ended before anybody hears of it.
 * @returns the executor itself where it is not audited.
 */
export function auditedExecutor(executor: Executor, { audit, crypto, mode }: AuditedOptions): Executor {
  if (audit === undefined || mode === 'off') return executor;
  if (executor.type === TOUCHES_NOTHING && mode !== 'all') return executor;
  return new AuditedExecutor(executor, audit, crypto);
}

export interface AuditedOptions {
  readonly audit: AuditLog | undefined;
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly mode: AuditMode;
}

class AuditedExecutor implements Executor {
  readonly type: string;
  readonly recover?: () => Promise<readonly RecoveredAttempt[]>;
  readonly settled?: NonNullable<Executor['settled']>;
  readonly #executor: Executor;
  readonly #audit: AuditLog;
  readonly #crypto: Pick<Crypto, 'sha256'>;

  constructor(executor: Executor, audit: AuditLog, crypto: Pick<Crypto, 'sha256'>) {
    this.type = executor.type;
    this.#executor = executor;
    this.#audit = audit;
    this.#crypto = crypto;
    if (executor.recover !== undefined) this.recover = () => this.#recover();
    if (executor.settled !== undefined) this.settled = (ref) => executor.settled?.(ref);
  }

  execute(attempt: AttemptContext): Promise<ExecutionResult> {
    this.#note('execution.start', attempt, commandFacts(this.#crypto, this.type, attempt.payload));
    return this.#followed(attempt, this.#executor.execute(attempt));
  }

  async #recover(): Promise<readonly RecoveredAttempt[]> {
    const recovered = (await this.#executor.recover?.()) ?? [];
    return recovered.map((one) => ({
      ...one,
      resume: (attempt: AttemptContext) => {
        this.#note('execution.takenOver', attempt, {});
        return this.#followed(attempt, one.resume(attempt));
      },
    }));
  }

  async #followed(attempt: AttemptContext, running: Promise<ExecutionResult>): Promise<ExecutionResult> {
    try {
      const result = await running;
      this.#note('execution.end', attempt, endFacts(result));
      return result;
    } catch (error) {
      const code = error instanceof Error ? error.name : 'unknown';
      this.#note('execution.end', attempt, { ok: false, code });
      throw error;
    }
  }

  #note(kind: string, { jobId, attempt, fencingToken }: AttemptContext, facts: object): void {
    this.#audit.record({ kind, jobId, attempt, fencingToken, type: this.type, ...facts });
  }
}

/**
 * What tells one command from another, without what may be secret in it: the program, and a digest over program, arguments and directory.
 * Of the environment, standard input and other payloads there is only what their names give away.
 */
export function commandFacts(crypto: Pick<Crypto, 'sha256'>, type: string, payload: unknown): object {
  const fields = (typeof payload === 'object' && payload !== null ? payload : {}) as Record<string, unknown>;
  if (type !== 'shell') return { digest: digestOf(crypto, payload) };
  const { command, args = [], cwd = null, shell = false, env = {} } = fields;
  return {
    ...(shell !== true && typeof command === 'string' && { program: command.slice(0, 256) }),
    digest: digestOf(crypto, [command, args, cwd, shell]),
    variables: Object.keys(Object(env)).slice(0, 64),
  };
}

function digestOf(crypto: Pick<Crypto, 'sha256'>, value: unknown): string {
  return Buffer.from(crypto.sha256(Buffer.from(JSON.stringify(value) ?? ''))).toString('hex');
}

function endFacts(ended: ExecutionResult): object {
  const { exitCode = null, signal = null } = (ended.result ?? {}) as Record<string, unknown>;
  const how = { ...(exitCode !== null && { exitCode }), ...(signal !== null && { signal }) };
  return ended.ok ? { ok: true, ...how } : { ok: false, code: ended.error.code, ...how };
}
