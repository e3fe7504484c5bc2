import { AspenError, type Clock, type Logger, OneByOne, type PeerId, sleep, Tasks } from '../base/index.ts';
import type { Messenger } from './messenger.ts';
import type { HolePart, Transport, UdpHole } from './transport.ts';
import { seenAt } from './udp-ear.ts';
import { earsFor, hostOfIp4, mappedAddress, otherPart, PARTS, parseMapped } from './udp-hole-rules.ts';

export interface UdpPuncherComponents {
  readonly transport: Transport;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly log: Logger;
}

const METHOD = 'mesh.punch-udp';
const ASK_TIMEOUT_MS = 12_000;
/** A peer may ask for one part once in this time. Unit: ms. */
const ASKED_EVERY_MS = 2_000;
const ASKED_LIMIT = 1_024;
/** Who was asked to call waits so long: its answer is under way meanwhile, and makes the asker open its own router. Unit: ms. */
const CALL_AFTER_MS = 300;

/**
 * Holes by QUIC, for routers that let no TCP connection through that was begun outside: one end calls from a port whose outside place a
 * member has seen, the other one has sent a few datagrams to that place from a port of its own and listens there.
 *
 * - U3 Only peers that are linked over a circuit do so, and the smaller peer id begins; both ends try each part once.
 * - U4 A port listens only for the peer that the hole is for and only while it is waited for: half-open handshakes of others take some of a
 *   bounded number of places there, and hold up nothing but that hole.
 *
 * Whom the hole leads to is proved by the handshake on it.
 */
export class UdpPuncher implements Disposable {
  readonly #components: UdpPuncherComponents;
  readonly #log: Logger;
  readonly #tasks: Tasks;
  readonly #askedMs = new Map<string, number>();
  /** A member has one ear for each peer. */
  readonly #showing = new OneByOne();
  readonly #handling: Disposable;

  constructor(components: UdpPuncherComponents) {
    this.#components = components;
    this.#log = components.log.child({ part: 'udp-puncher' });
    this.#tasks = new Tasks((err) => this.#log.error({ err }, 'a hole by QUIC failed in an unknown way'));
    this.#handling = components.messenger.handle(METHOD, ({ from, body }) => this.#onAsked(from, body));
  }

  [Symbol.dispose](): void {
    this.#handling[Symbol.dispose]();
  }

  async stop(): Promise<void> {
    await this.#tasks.stop();
  }

  /**
   * Moves the link to a direct path. The caller sees to it that one of both ends begins (U3).
   * @throws AspenError UNAVAILABLE when there is no QUIC, nobody to ask, or the routers do not let it through; as a request otherwise.
   */
  async punch(peerId: PeerId, signal: AbortSignal): Promise<void> {
    const failures: unknown[] = [];
    for (const part of PARTS) {
      try {
        return await this.#try(peerId, part, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof AspenError)) throw error;
        failures.push(error);
      }
    }
    throw noHole(peerId, failures.map(String).join('; '), failures.at(-1));
  }

  async #try(peerId: PeerId, part: HolePart, signal: AbortSignal): Promise<void> {
    const { messenger } = this.#components;
    using hole = await this.#hole(peerId, part);
    const address = await this.#showing.run(() => this.#mappingOf(hole, { peerId, part, signal }));
    const body = { part: otherPart(part), address };
    const answer = await messenger.request(peerId, METHOD, body, { timeoutMs: ASK_TIMEOUT_MS, signal });
    await hole.through(peerId, placeIn(answer), signal);
  }

  async #onAsked(from: PeerId, body: unknown): Promise<{ readonly address: string }> {
    const place = placeIn(body);
    const part = partIn(body);
    const link = this.#components.transport.links().find(({ peerId }) => peerId === from);
    if (link?.path !== 'relay') throw noHole(from, 'it is not linked over a circuit'); // U3
    this.#note(from, part);
    const { signal } = this.#tasks;
    const hole = await this.#hole(from, part);
    try {
      const address = await this.#showing.run(() => this.#mappingOf(hole, { peerId: from, part, signal }));
      this.#tasks.run(async () => {
        using _hole = hole;
        try {
          if (part === 'calls') await sleep(this.#components.clock, CALL_AFTER_MS, signal);
          await hole.through(from, place, signal);
        } catch (err) {
          if (signal.aborted) return;
          if (!(err instanceof AspenError)) throw err;
          this.#log.debug({ err, peerId: from }, 'no hole was punched by QUIC');
        }
      });
      return { address };
    } catch (error) {
      hole[Symbol.dispose]();
      throw error;
    }
  }

  #note(from: PeerId, part: HolePart): void {
    const nowMs = this.#components.clock.monotonicMs();
    const key = `${from} ${part}`;
    if (nowMs - (this.#askedMs.get(key) ?? Number.NEGATIVE_INFINITY) < ASKED_EVERY_MS)
      throw noHole(from, 'it asked a moment ago');
    if (this.#askedMs.size >= ASKED_LIMIT) this.#askedMs.clear();
    this.#askedMs.set(key, nowMs);
  }

  async #hole(peerId: PeerId, part: HolePart): Promise<UdpHole> {
    const open = this.#components.transport.reach?.openUdpHole;
    if (open === undefined) throw noHole(peerId, 'there is no QUIC here');
    return await open(part);
  }

  /** Asks one member after the other; the first that sees the port tells where. */
  async #mappingOf(
    hole: UdpHole,
    { peerId, part, signal }: { peerId: PeerId; part: HolePart; signal: AbortSignal },
  ): Promise<string> {
    const ears = earsFor(this.#components.transport.links());
    const failures: unknown[] = [];
    for (const ear of ears) {
      try {
        const seen = await seenAt(
          this.#components,
          { peerId: ear.peerId, host: hostOfIp4(ear.address) as string },
          { kind: part === 'calls' ? ['quic', 4] : 4, show: (at) => hole.show(at), signal },
        );
        if (seen !== undefined) return mappedAddress(seen);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof AspenError)) throw error; // an older version, or it went away
        failures.push(error);
      }
    }
    const why =
      ears.length === 0 ? 'no member with a public address is linked to ask' : 'no member saw a datagram';
    throw noHole(peerId, why, failures.at(-1));
  }
}

/** @throws AspenError INVALID_PARAMS */
function placeIn(body: unknown) {
  const place = parseMapped(typeof body === 'object' && body !== null && 'address' in body && body.address);
  if (place === undefined)
    throw new AspenError('INVALID_PARAMS', `${METHOD}: not a public address of a UDP port`);
  return place;
}

/** @throws AspenError INVALID_PARAMS */
function partIn(body: unknown): HolePart {
  const part = typeof body === 'object' && body !== null && 'part' in body ? body.part : undefined;
  if (part !== 'calls' && part !== 'answers') throw new AspenError('INVALID_PARAMS', `${METHOD}: not a part`);
  return part;
}

function noHole(peerId: PeerId, why: string, cause?: unknown): AspenError {
  return new AspenError('UNAVAILABLE', `no hole by QUIC towards ${peerId}: ${why}`, {
    outcome: 'not-applied',
    ...(cause !== undefined && { cause }),
  });
}
