import { AspenError, Histogram, type MetricFamily, type MetricSample } from '../base/index.ts';

/** Every so many calls of a method one is timed: reading the clock twice for each would cost the hot path more than counting. */
const TIMED_EVERY = 8;

/** Told once how a call ended; without an error it ended well. */
export type EndCall = (error?: unknown) => void;

interface Method {
  ok: number;
  calls: number;
  readonly failures: Map<string, number>;
  readonly seconds: Histogram;
  readonly end: EndCall;
}

/**
 * Calls of the socket, by method and what came of them. Both come from closed sets: names that are no method are counted together, and codes
 * are those of the table of errors.
 */
export class CallCounts {
  readonly #methods = new Map<string, Method>();
  readonly #nowMs: () => number;
  #unknown = 0;
  /** Connections now. */
  connectionCount = 0;

  /** @param nowMs monotonic. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  unknownMethod(): void {
    this.#unknown += 1;
  }

  /** @param name of a method of the table. */
  begin(name: string): EndCall {
    const method = this.#at(name);
    method.calls += 1;
    if (method.calls % TIMED_EVERY !== 1) return method.end;
    const startedAtMs = this.#nowMs();
    return (error) => {
      method.seconds.observe((this.#nowMs() - startedAtMs) / 1_000);
      method.end(error);
    };
  }

  families(): MetricFamily[] {
    const methods = [...this.#methods];
    return [
      {
        name: 'aspen_rpc_connections',
        help: 'Open connections of the local socket.',
        type: 'gauge',
        samples: [{ labels: {}, value: this.connectionCount }],
      },
      {
        name: 'aspen_rpc_requests_total',
        help: 'Requests of the local socket that were answered, by method and code.',
        type: 'counter',
        samples: [
          ...methods.flatMap(([name, method]) => samplesOf(name, method)),
          { labels: { method: '(unknown)', code: 'METHOD_NOT_FOUND' }, value: this.#unknown },
        ],
      },
      {
        name: 'aspen_rpc_request_duration_seconds',
        help: `How long requests took, of one in ${TIMED_EVERY}.`,
        type: 'histogram',
        samples: methods.map(([name, { seconds }]) => seconds.sample({ method: name })),
      },
    ];
  }

  #at(name: string): Method {
    const known = this.#methods.get(name);
    if (known !== undefined) return known;
    const method: Method = {
      ok: 0,
      calls: 0,
      failures: new Map(),
      seconds: new Histogram(),
      end: (error) => {
        if (error === undefined) method.ok += 1;
        else method.failures.set(codeOf(error), (method.failures.get(codeOf(error)) ?? 0) + 1);
      },
    };
    this.#methods.set(name, method);
    return method;
  }
}

function samplesOf(name: string, { ok, failures }: Method): MetricSample[] {
  return [
    { labels: { method: name, code: 'OK' }, value: ok },
    ...[...failures].map(([code, value]) => ({ labels: { method: name, code }, value })),
  ];
}

function codeOf(error: unknown): string {
  return error instanceof AspenError ? error.code : 'INTERNAL';
}
