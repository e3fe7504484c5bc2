import type { AddressPolicy } from './address-rules.ts';

/** One request, to one place: redirects are the caller's. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Absent for a request without a body. */
  readonly body?: HttpBody;
  readonly signal: AbortSignal;
}

export interface HttpBody {
  readonly sizeBytes: number;
  readonly pieces: AsyncIterable<Uint8Array>;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case; several values of one name are joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  /** To be read to its end, or returned from; either lets go of the connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Lets go of the connection, whatever was not read. */
  discard(): void;
}

/** Speaks HTTP with the world. */
export interface HttpClient {
  /**
   * W2 Connects to no address that the policy does not allow: what a name stands for is looked up once for each connection, and the very
   * address that was checked is connected to.
   * @throws AspenError DENIED when the address is not allowed; UNAVAILABLE when there is no answer; the signal's reason when it aborts.
   */
  exchange(request: HttpRequest, policy: AddressPolicy): Promise<HttpResponse>;
}
