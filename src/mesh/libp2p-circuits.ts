import type { Connection, Libp2p, Stream, Upgrader } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import {
  AspenError,
  type Clock,
  type Logger,
  type MeshId,
  type PeerId,
  Tasks,
  withDeadline,
} from '../base/index.ts';
import { circuitAddress, isCircuit, parseCircuit, withoutTarget } from './circuit-address.ts';
import {
  CIRCUIT_MESSAGE_LIMIT,
  type CircuitOpening,
  decodeAnswer,
  decodeOpening,
  encodeAnswer,
  encodeOpening,
} from './circuit-messages.ts';
import { CIRCUITS_PER_PEER_LIMIT, refusalOf } from './circuit-rules.ts';
import { CarriedCircuit } from './libp2p-carried-circuit.ts';
import { streamAsConnection } from './libp2p-stream-connection.ts';
import { RelayShares, type RelaySharesOptions } from './relay-shares.ts';
import type { Standing } from './transport.ts';

export interface CircuitsComponents {
  readonly self: PeerId;
  readonly node: Libp2p;
  readonly upgrader: Upgrader;
  readonly clock: Clock;
  readonly log: Logger;
  readonly standingOf: (peerId: PeerId) => Standing;
  /** The connection of the channel to a peer, where that is a direct one. */
  readonly directTo: (peerId: string) => Connection | undefined;
}

export interface CircuitsOptions {
  readonly meshId: MeshId;
  readonly shares?: RelaySharesOptions;
}

/** How long each step of making a circuit may take. Unit: ms. */
const STEP_TIMEOUT_MS = 5_000;

type Messages = ReturnType<typeof lpStream<Stream>>;

/**
 * Circuits through members: asked for, accepted, and carried for others. A circuit is a stream to the relay, joined there with a stream to
 * the target; on it the two ends make a connection of their own, whose keys the relay never has.
 */
export class Libp2pCircuits {
  /** Whether this node carries circuits for members (Y3). */
  isOffered = false;
  readonly #components: CircuitsComponents;
  readonly #protocol: string;
  readonly #log: Logger;
  readonly #shares: RelayShares;
  readonly #carried = new Set<CarriedCircuit>();
  readonly #tasks: Tasks;

  constructor(components: CircuitsComponents, { meshId, shares }: CircuitsOptions) {
    this.#components = components;
    this.#log = components.log.child({ part: 'circuits' });
    this.#protocol = `/aspen/${meshId}/circuit/1`;
    this.#shares = new RelayShares(shares);
    this.#tasks = new Tasks((err) => this.#log.error({ err }, 'a circuit failed in an unknown way'));
  }

  get carriedCount(): number {
    return this.#carried.size;
  }

  async start(): Promise<void> {
    const limits = {
      maxInboundStreams: CIRCUITS_PER_PEER_LIMIT,
      maxOutboundStreams: CIRCUITS_PER_PEER_LIMIT,
    };
    await this.#components.node.handle(
      this.#protocol,
      (stream, connection) => this.#onStream(stream, connection),
      limits,
    );
  }

  async stop(): Promise<void> {
    for (const circuit of this.#carried) circuit.end(new Error('the relay is stopping'));
    await this.#tasks.stop();
  }

  /** Ends what is carried for a peer that is no longer admitted. */
  endFor(peerId: PeerId): void {
    for (const circuit of this.#carried)
      if (circuit.isOf(peerId)) circuit.end(new Error(`${peerId} is not admitted`));
  }

  /**
   * @param address a well formed circuit over a relay that is linked directly.
   * @throws AspenError UNAVAILABLE with the relay's reason; whatever the handshake with the target ends with.
   */
  async dial(target: PeerId, address: string, signal: AbortSignal): Promise<Connection> {
    const { relay } = parseCircuit(address) ?? {};
    const connection = relay === undefined ? undefined : this.#components.directTo(relay);
    if (relay === undefined || connection === undefined) throw noCircuit(target, 'the relay is not linked');
    const stream = await connection.newStream(this.#protocol, { signal });
    try {
      const messages = lpStream(stream, { maxDataLength: CIRCUIT_MESSAGE_LIMIT });
      await messages.write(encodeOpening({ kind: 'to', peerId: target }), { signal });
      const answer = decodeAnswer((await messages.read({ signal })).subarray());
      if (!answer.isOk) throw noCircuit(target, `${relay} answers: ${answer.reason}`);
      const wire = streamAsConnection(messages.unwrap(), {
        remoteAddress: `${address}/p2p/${target}`,
        direction: 'outbound',
      });
      return await this.#components.upgrader.upgradeOutbound(wire, { signal });
    } catch (error) {
      stream.abort(asError(error));
      throw error;
    }
  }

  #onStream(stream: Stream, connection: Connection): void {
    const peerId = connection.remotePeer.toString() as PeerId;
    const isNested = isCircuit(connection.remoteAddr.toString());
    if (this.#components.standingOf(peerId) !== 'member' || isNested) {
      stream.abort(new Error('no circuits for strangers, and none over circuits')); // T2, Y1
      return;
    }
    this.#tasks.run(async (signal) => {
      try {
        const messages = lpStream(stream, { maxDataLength: CIRCUIT_MESSAGE_LIMIT });
        const opening = await this.#step('reading who wants a circuit', signal, async (over) =>
          decodeOpening((await messages.read({ signal: over })).subarray()),
        );
        if (opening.kind === 'to') await this.#carry(messages, peerId, opening, signal);
        else await this.#accept(messages, connection, opening, signal);
      } catch (err) {
        stream.abort(asError(err));
        this.#log.debug({ err, peerId }, 'no circuit was made');
      }
    });
  }

  /** As the relay. */
  async #carry(messages: Messages, source: PeerId, { peerId: target }: CircuitOpening, signal: AbortSignal) {
    const { self, standingOf, directTo, clock } = this.#components;
    const end = (peerId: PeerId) => ({
      peerId,
      standing: standingOf(peerId),
      isLinkedDirectly: directTo(peerId) !== undefined,
    });
    const refusal = refusalOf({
      self,
      isOffered: this.isOffered,
      source: end(source),
      target: end(target),
      countOf: (peerId) => [...this.#carried].filter((circuit) => circuit.isOf(peerId)).length,
      totalCount: this.#carried.size,
    });
    const onward = refusal === undefined ? await this.#onward(source, target, signal) : refusal;
    const isOk = typeof onward !== 'string';
    const answer = encodeAnswer(isOk ? { isOk } : { isOk, reason: onward });
    await this.#step('answering', signal, (over) => messages.write(answer, { signal: over }));
    if (!isOk) {
      this.#log.debug({ source, target, reason: onward }, 'a circuit was refused');
      await messages.unwrap().close({ signal });
      return;
    }
    const circuit: CarriedCircuit = new CarriedCircuit({
      clock,
      shares: this.#shares,
      source: { peerId: source, stream: messages.unwrap() },
      target: { peerId: target, stream: onward.unwrap() },
      onEnd: () => this.#carried.delete(circuit),
    });
    this.#carried.add(circuit);
    this.#log.debug({ source, target }, 'a circuit is carried');
  }

  /** @returns the stream to the target, ready to be joined, or why there is none. */
  async #onward(source: PeerId, target: PeerId, signal: AbortSignal): Promise<Messages | string> {
    const connection = this.#components.directTo(target);
    if (connection === undefined) return 'not-linked';
    let stream: Stream | undefined;
    try {
      return await this.#step('asking the target', signal, async (over) => {
        stream = await connection.newStream(this.#protocol, { signal: over });
        const messages = lpStream(stream, { maxDataLength: CIRCUIT_MESSAGE_LIMIT });
        await messages.write(encodeOpening({ kind: 'from', peerId: source }), { signal: over });
        const answer = decodeAnswer((await messages.read({ signal: over })).subarray());
        return answer.isOk ? messages : 'target-refuses';
      });
    } catch (err) {
      stream?.abort(asError(err));
      this.#log.debug({ err, source, target }, 'the target of a circuit did not answer');
      return 'target-silent';
    }
  }

  /** As the target: a member brings somebody, who is then treated like anybody who knocks at the door. */
  async #accept(messages: Messages, connection: Connection, opening: CircuitOpening, signal: AbortSignal) {
    const { self, standingOf, upgrader } = this.#components;
    const isWelcome = opening.peerId !== self && standingOf(opening.peerId) !== 'refused'; // T2
    const answer = encodeAnswer(isWelcome ? { isOk: true } : { isOk: false, reason: 'not-admitted' });
    await this.#step('answering', signal, (over) => messages.write(answer, { signal: over }));
    if (!isWelcome) {
      await messages.unwrap().close({ signal });
      return;
    }
    const relay = connection.remotePeer.toString() as PeerId;
    const relayAddress = withoutTarget(connection.remoteAddr.toString());
    const wire = streamAsConnection(messages.unwrap(), {
      remoteAddress: `${circuitAddress({ relay, relayAddress })}/p2p/${opening.peerId}`,
      direction: 'inbound',
    });
    await upgrader.upgradeInbound(wire, { signal });
  }

  #step<T>(what: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withDeadline({ clock: this.#components.clock, timeoutMs: STEP_TIMEOUT_MS, what, signal }, work);
  }
}

function noCircuit(target: PeerId, why: string): AspenError {
  return new AspenError('UNAVAILABLE', `no circuit to ${target}: ${why}`, { outcome: 'not-applied' });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
