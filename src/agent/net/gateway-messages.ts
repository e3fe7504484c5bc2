/**
 * What is said to a router that opens a port when asked: PCP (RFC 6887) and NAT-PMP (RFC 6886), IPv4 and TCP only. Both at the same port of the
 * router, and a router of the one kind tells a question of the other kind that it does not know it.
 */

export const GATEWAY_PORT = 5_351;
export const NONCE_BYTES = 12;

/** What a router gave. */
export interface Grant {
  readonly externalHost: string;
  readonly externalPort: number;
  /** 0 when it was given back. Unit: s. */
  readonly lifetimeS: number;
}

/** An answer, or why there is none; undefined stands for bytes that are no answer to the question. */
export type GatewayAnswer<T> =
  | { readonly isOk: true; readonly value: T }
  | { readonly isOk: false; readonly code: number; readonly reason: string };

const PCP = { version: 2, map: 1, response: 0x80, headerBytes: 24, bytes: 60, tcp: 6 };
const PMP = { version: 0, externalAddress: 0, mapTcp: 2, response: 128 };
const UNSUPPORTED_VERSION = 1;
const MAPPED_PREFIX = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
const HOST_AT = { client: 8, external: 44 };

const PCP_REASONS: Readonly<Record<number, string>> = {
  1: 'it does not speak PCP',
  2: 'it does not allow that',
  3: 'it does not understand the question',
  8: 'it has no room for another port',
  11: 'it has no room for another port',
};
const PMP_REASONS: Readonly<Record<number, string>> = {
  1: 'it does not speak NAT-PMP',
  2: 'it does not allow that',
  3: 'it has no address outside',
  4: 'it has no room for another port',
};

export interface PortWish {
  /** Of this machine, as the router knows it. */
  readonly localHost: string;
  readonly localPort: number;
  /** The port to have outside, where it is free. */
  readonly externalPort: number;
  /** 0 to give it back. Unit: s. */
  readonly lifetimeS: number;
}

/** @param nonce names the mapping: who knows it may change it. */
export function pcpMapRequest(wish: PortWish, nonce: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(PCP.bytes);
  bytes.writeUInt8(PCP.version, 0);
  bytes.writeUInt8(PCP.map, 1);
  bytes.writeUInt32BE(wish.lifetimeS, 4);
  writeHost(bytes, HOST_AT.client, wish.localHost);
  bytes.set(nonce, PCP.headerBytes);
  bytes.writeUInt8(PCP.tcp, 36);
  bytes.writeUInt16BE(wish.localPort, 40);
  bytes.writeUInt16BE(wish.externalPort, 42);
  writeHost(bytes, HOST_AT.external, '0.0.0.0');
  return bytes;
}

/** @param bytes foreign. @param asked what it must be the answer to. */
export function readPcpMap(
  bytes: Uint8Array,
  asked: { readonly nonce: Uint8Array; readonly localPort: number },
): GatewayAnswer<Grant> | undefined {
  const answer = Buffer.from(bytes);
  if (answer.length < 4) return undefined;
  if (answer.readUInt8(0) === PMP.version)
    return { isOk: false, code: UNSUPPORTED_VERSION, reason: 'it speaks NAT-PMP only' };
  if (answer.length < PCP.bytes || answer.readUInt8(1) !== (PCP.map | PCP.response)) {
    const isRefusal = answer.readUInt8(1) === (PCP.map | PCP.response);
    return isRefusal ? refusal(answer.readUInt8(3), PCP_REASONS) : undefined;
  }
  const code = answer.readUInt8(3);
  if (code !== 0) return refusal(code, PCP_REASONS);
  const isOurs =
    answer.readUInt8(0) === PCP.version &&
    Buffer.compare(answer.subarray(PCP.headerBytes, PCP.headerBytes + NONCE_BYTES), asked.nonce) === 0 &&
    answer.readUInt8(36) === PCP.tcp &&
    answer.readUInt16BE(40) === asked.localPort;
  const externalHost = readHost(answer, HOST_AT.external);
  if (!isOurs || externalHost === undefined) return undefined;
  const lifetimeS = answer.readUInt32BE(4);
  return { isOk: true, value: { externalHost, externalPort: answer.readUInt16BE(42), lifetimeS } };
}

export function pmpMapRequest({ localPort, externalPort, lifetimeS }: PortWish): Uint8Array {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt8(PMP.version, 0);
  bytes.writeUInt8(PMP.mapTcp, 1);
  bytes.writeUInt16BE(localPort, 4);
  bytes.writeUInt16BE(lifetimeS === 0 ? 0 : externalPort, 6);
  bytes.writeUInt32BE(lifetimeS, 8);
  return bytes;
}

/** As {@link readPcpMap}; NAT-PMP tells the address outside in an answer of its own. */
export function readPmpMap(
  bytes: Uint8Array,
  asked: { readonly localPort: number },
): GatewayAnswer<Omit<Grant, 'externalHost'>> | undefined {
  const answer = Buffer.from(bytes);
  const code = pmpCode(answer, PMP.mapTcp);
  if (code === undefined) return undefined;
  if (code !== 0) return refusal(code, PMP_REASONS);
  if (answer.length < 16 || answer.readUInt16BE(8) !== asked.localPort) return undefined;
  return { isOk: true, value: { externalPort: answer.readUInt16BE(10), lifetimeS: answer.readUInt32BE(12) } };
}

export function pmpAddressRequest(): Uint8Array {
  return Buffer.from([PMP.version, PMP.externalAddress]);
}

export function readPmpAddress(bytes: Uint8Array): GatewayAnswer<string> | undefined {
  const answer = Buffer.from(bytes);
  const code = pmpCode(answer, PMP.externalAddress);
  if (code === undefined) return undefined;
  if (code !== 0) return refusal(code, PMP_REASONS);
  if (answer.length < 12) return undefined;
  return { isOk: true, value: [...answer.subarray(8, 12)].join('.') };
}

function pmpCode(answer: Buffer, operation: number): number | undefined {
  if (answer.length < 8 || answer.readUInt8(0) !== PMP.version) return undefined;
  return answer.readUInt8(1) === operation + PMP.response ? answer.readUInt16BE(2) : undefined;
}

function refusal(code: number, reasons: Readonly<Record<number, string>>): GatewayAnswer<never> {
  return { isOk: false, code, reason: reasons[code] ?? `it answers with code ${code}` };
}

function writeHost(bytes: Buffer, at: number, host: string): void {
  bytes.set(MAPPED_PREFIX, at);
  bytes.set(host.split('.').map(Number), at + MAPPED_PREFIX.length);
}

function readHost(bytes: Buffer, at: number): string | undefined {
  const end = at + MAPPED_PREFIX.length;
  if (Buffer.compare(bytes.subarray(at, end), MAPPED_PREFIX) !== 0) return undefined;
  return [...bytes.subarray(end, end + 4)].join('.');
}
