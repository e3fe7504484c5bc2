import { z } from 'zod';
import { AspenError, type Clock, type Crypto, withDeadline } from '../base/index.ts';
import {
  type AttemptContext,
  DELIVERY_TYPE,
  type ExecutionResult,
  type Executor,
  HOOK_TARGET,
  type HookTarget,
  NO_NETWORK,
  SECRET_NOT_GRANTED,
} from '../jobs/index.ts';
import type { GroupClient } from '../lease/index.ts';
import type { AddressPolicy } from './address-rules.ts';
import { attempted } from './failures.ts';
import { bytesSource } from './http-body.ts';
import type { HttpClient } from './http-client.ts';
import { exchange } from './http-exchange.ts';
import { isStatusIn } from './http-payload.ts';
import { isOwnNetworkFault } from './own-network.ts';
import { payloadCheck } from './payload-check.ts';
import { retryAfterMs } from './redirects.ts';
import { signatureOf } from './signing.ts';

export interface HookComponents {
  readonly client: HttpClient;
  readonly policy: AddressPolicy;
  readonly group: Pick<GroupClient, 'askLeader'>;
  /** @returns the value of a secret; null where this node may not read it. @throws AspenError DENIED when it cannot be opened here. */
  readonly openSecret: (name: string) => Promise<Uint8Array | null>;
  readonly clock: Clock;
  readonly crypto: Crypto;
}

/** A receiver that takes longer has its delivery sent again. Unit: ms. */
const ANSWER_TIMEOUT_MS = 15_000;
const GONE = 410;
/** Pauses after an attempt of which nothing left this node. Unit: ms. */
const NOT_SENT_LEAST_MS = 5_000;
const NOT_SENT_MOST_MS = 10 * 60_000;

const targetSchema = z.object({ url: z.string(), secretName: z.string().nullable() });
const parsePayload = payloadCheck(
  DELIVERY_TYPE,
  z.object({
    hook: z.string(),
    event: z.looseObject({ id: z.string(), type: z.string() }),
  }),
);

/**
 * Delivers events of hooks.
 *
 * - E6 What did not leave this node is told apart from what the receiver did not take.
 * - E5 What signs a delivery is opened on a node that it was granted to, for one attempt, and stands in no record.
 */
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
    const { secretName } = target;
    const key = secretName === null ? undefined : await this.#components.openSecret(secretName); // E5
    if (key === null) return notGranted(secretName ?? '');
    const options = { clock, timeoutMs: ANSWER_TIMEOUT_MS, what: `POST ${host}`, signal: attempt.signal };
    try {
      return await withDeadline(options, (signal) => this.#post(target.url, { key, attempt, event, signal }));
    } catch (error) {
      if (isOwnNetworkFault(error)) return notSent(error, attempt);
      throw error;
    }
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
    url: string,
    {
      key,
      attempt,
      event,
      signal,
    }: {
      readonly key: Uint8Array | undefined;
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
        ...(key !== undefined && { 'aspen-signature': signatureOf(crypto, { key, body, wallMs }) }),
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

/** E6 The later, the longer nothing could be sent. */
function notSent({ message }: Error, { attempt }: AttemptContext): ExecutionResult {
  const retryAfterMs = Math.min(NOT_SENT_MOST_MS, NOT_SENT_LEAST_MS * 2 ** Math.min(20, attempt - 1));
  return { ok: false, error: { code: NO_NETWORK, message, retryable: true, retryAfterMs }, result: null };
}

/** Another node may have what this one lost since the delivery was given to it. */
function notGranted(name: string): ExecutionResult {
  const message = `this node may not read secret ${name} any more`;
  return { ok: false, error: { code: SECRET_NOT_GRANTED, message, retryable: true }, result: null };
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
