import { AspenError, type Clock, hash32, sleep } from '../../../src/base/index.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../../../src/workers/index.ts';

/** Longest time that a receiver takes. Unit: ms. */
const LONGEST_MS = 200;
const FAILING_SHARE = 0.25;

/**
 * A receiver of hooks, somewhere. What becomes of a request follows from its bytes, so that nothing has to be drawn; while it is `flaky` some
 * are refused, and of some the answer is lost.
 */
export class SimReceiver {
  isFlaky = true;
  /** Events by the jobs that they are about, each as often as it arrived. */
  readonly heard: { readonly event: string; readonly job: string | null; readonly type: string }[] = [];

  /** As one node reaches it. */
  clientOf(clock: Clock): HttpClient {
    return { exchange: (request) => this.#exchange(request, clock) };
  }

  async #exchange({ body, signal, url }: HttpRequest, clock: Clock): Promise<HttpResponse> {
    const text = await textOf(body?.pieces);
    const draw = hash32(text) / 2 ** 32;
    await sleep(clock, draw * LONGEST_MS, signal);
    const isRefused = this.isFlaky && draw < FAILING_SHARE;
    if (!isRefused) this.#hear(text);
    await sleep(clock, draw * LONGEST_MS, signal);
    const isLost = this.isFlaky && draw > 1 - FAILING_SHARE;
    if (isLost) throw new AspenError('UNAVAILABLE', `${url.host}: the answer was lost`);
    return answered(isRefused ? 503 : 204);
  }

  #hear(text: string): void {
    const { id, type, job } = JSON.parse(text) as {
      readonly id: string;
      readonly type: string;
      readonly job: { readonly id: string } | null;
    };
    this.heard.push({ event: id, type, job: job?.id ?? null });
  }
}

async function textOf(pieces: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces ?? []) all.push(piece);
  return Buffer.concat(all).toString('utf8');
}

function answered(status: number): HttpResponse {
  return { status, headers: {}, body: nothing(), discard: () => undefined };
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* [];
}
