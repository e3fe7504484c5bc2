import type { Connection } from '@libp2p/interface';
import { AspenError, type Clock, type Logger, type PeerId } from '../base/index.ts';
import type { Libp2pParts } from './libp2p-node.ts';
import { loadQuic, type QuicLibrary } from './libp2p-quic.ts';
import { Libp2pQuicHoles } from './libp2p-quic-holes.ts';
import type { HolePart, QuicState, UdpHole } from './transport.ts';

export interface QuicWaysComponents {
  readonly setting: 'auto' | 'off';
  /** Of the node while it runs. */
  readonly parts: () => Libp2pParts | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onInitiated: (peerId: PeerId, connection: Connection, signal: AbortSignal) => Promise<void>;
}

const LOADED = 'its package is loaded, for holes where TCP gets nothing through';

/** QUIC where its library is there and the owner lets it. It is loaded when somebody needs it: most nodes never do. */
export class Libp2pQuicWays {
  readonly #components: QuicWaysComponents;
  #library: Promise<QuicLibrary | string> | undefined;
  #holes: Libp2pQuicHoles | undefined;

  constructor(components: QuicWaysComponents) {
    this.#components = components;
  }

  async state(): Promise<QuicState> {
    const isWanted = this.#components.setting !== 'off';
    const library = isWanted ? await this.#load() : 'turned off by the setting quic';
    const isSo = typeof library !== 'string';
    return { isSo, isWanted, detail: isSo ? LOADED : library };
  }

  /** @throws AspenError UNAVAILABLE where there is none. */
  async open(part: HolePart): Promise<UdpHole> {
    const { setting, parts, clock, log, onInitiated } = this.#components;
    const library = setting === 'off' ? 'it is turned off' : await this.#load();
    if (typeof library === 'string') throw noQuic(library);
    const components = parts()?.components;
    if (components === undefined) throw noQuic('the transport is not running');
    const { privateKey, logger, upgrader } = components;
    this.#holes ??= new Libp2pQuicHoles({ library, privateKey, logger, upgrader, clock, log, onInitiated });
    return await this.#holes.open(part);
  }

  async stop(): Promise<void> {
    const holes = this.#holes;
    this.#holes = undefined;
    await holes?.stop();
  }

  async #load(): Promise<QuicLibrary | string> {
    this.#library ??= loadQuic();
    const library = await this.#library;
    if (typeof library === 'string') this.#components.log.debug({ reason: library }, 'there is no QUIC');
    return library;
  }
}

function noQuic(why: string): AspenError {
  return new AspenError('UNAVAILABLE', `no QUIC: ${why}`, { outcome: 'not-applied' });
}
