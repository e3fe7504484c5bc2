import { z } from 'zod';
import { AspenError, type Clock, type Crypto, withDeadline } from '../base/index.ts';
import {
  type AttemptContext,
  DELIVERY_TYPE,
  type ExecutionResult,
  type Executor,
  HOOK_TARGET,
  type HookTarget,
} from '../jobs/index.ts';
import type { GroupClient } from '../lease/index.ts';
import type { AddressPolicy } from './address-rules.ts';
import { attempted } from './failures.ts';
import { bytesSource } from './http-body.ts';
import type { HttpClient } from './http-client.ts';
import { exchange } from './http-exchange.ts';
import { isStatusIn } from './http-payload.ts';
import { payloadCheck } from './payload-check.ts';
import { retryAfterMs } from './redirects.ts';
import { signatureOf } from './signing.ts';

export interface HookComponents {
  readonly client: HttpClient;
  readonly policy: AddressPolicy;
  readonly group: Pick<GroupClient, 'askLeader'>;
  readonly clock: Clock;
  readonly crypto: Crypto;
}

/** A receiver that takes longer has its delivery sent again. Unit: ms. */
const ANSWER_TIMEOUT_MS = 15_000;
const GONE = 410;

const targetSchema = z.object({ url: z.string(), secret: z.string().nullable() });
const parsePayload = payloadCheck(
  DELIVERY_TYPE,
  z.object({
    hook: z.string(),
    event: z.looseObject({ id: z.string(), type: z.string() }),
  }),
);

/** Delivers events of hooks. */
export class HookExecutor implements Executor {
  readonly type = DELIVERY_TYPE;
  readonly #components: HookComponents;

  constructor(components: HookComponents) {
    this.#components = components;
  }

  async execute(attempt: AttemptContext): Promise<ExecutionResult> {
    const executed = await attempted(attempt, parsePayload, ({ event }) => this.#deliver(attempt, event));
    if (executed.ok || executed.error.code !== 'DENIED') return executed;
    return { ...executed, error: { ...executed.error, retryable: true } }; // another node may be allowed to
  }

  async #deliver(
    attempt: AttemptContext,
    event: { readonly id: string; readonly type: string },
  ): Promise<ExecutionResult> {
    const { clock } = this.#components;
    const target = await this.#targetOf(attempt);
    if (target === undefined) return { ok: true, result: { skipped: 'the hook was removed' } };
    const { host } = new URL(target.url);
    const options = { clock, timeoutMs: ANSWER_TIMEOUT_MS, what: `POST ${host}`, signal: attempt.signal };
    return withDeadline(options, (signal) => this.#post(target, { attempt, event, signal }));
  }

  /** @returns undefined when there is no such hook any more. */
  async #targetOf({ jobId, fencingToken }: AttemptContext): Promise<HookTarget | undefined> {
    try {
      return targetSchema.parse(await this.#components.group.askLeader(HOOK_TARGET, { jobId, fencingToken }));
    } catch (error) {
      if (error instanceof AspenError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  async #post(
    { url, secret }: HookTarget,
    {
      attempt,
      event,
      signal,
    }: {
      readonly attempt: AttemptContext;
      readonly event: { readonly id: string; readonly type: string };
      readonly signal: AbortSignal;
    },
  ): Promise<ExecutionResult> {
    const { clock, crypto } = this.#components;
    const startMs = clock.monotonicMs();
    const wallMs = clock.wallMs();
    const body = JSON.stringify({ ...event, delivery: { id: attempt.jobId, attempt: attempt.attempt } });
    const { response } = await exchange(this.#components, {
      method: 'POST',
      url: new URL(url),
      headers: {
        'content-type': 'application/json',
        'user-agent': 'aspen-agent',
        'aspen-event': event.type,
        'aspen-event-id': event.id,
        ...(secret !== null && { 'aspen-signature': signatureOf(crypto, { secret, body, wallMs }) }),
      },
      body: bytesSource(new TextEncoder().encode(body)),
      maxRedirects: 0,
      signal,
    });
    response.discard();
    const durationMs = Math.round(clock.monotonicMs() - startMs);
    return verdict(response, { host: new URL(url).host, wallMs, durationMs });
  }
}

/** Only what says that it has taken the event has; what is there no more is not asked again. */
function verdict(
  { status, headers }: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
  {
    host,
    wallMs,
    durationMs,
  }: { readonly host: string; readonly wallMs: number; readonly durationMs: number },
): ExecutionResult {
  const result = { status, durationMs };
  if (isStatusIn(['2xx'], status)) return { ok: true, result };
  const pauseMs = retryAfterMs(headers['retry-after'], wallMs);
  const error = {
    code: 'HTTP_STATUS',
    message: `${host} answered with ${status}`,
    retryable: status !== GONE,
    ...(pauseMs !== undefined && { retryAfterMs: pauseMs }),
  };
  return { ok: false, error, result };
}
