import { noise } from '@chainsafe/libp2p-noise';
import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { identify } from '@libp2p/identify';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';

export interface Knock {
  /** How the one at home ended it. */
  readonly ended: 'connection refused' | 'protocol refused' | 'stream closed' | 'left waiting';
  /** How many bytes the stranger was told. */
  readonly answerBytes: number;
}

/** How long the stranger listens at a stream that stays open. Unit: ms. */
const PATIENCE_MS = 4_000;

type StrangerNode = Libp2p<{ identify: ReturnType<ReturnType<typeof identify>>; pubsub: GossipSub }>;

/** A program that speaks libp2p well and was never invited. */
export class Stranger implements AsyncDisposable {
  readonly #node: StrangerNode;

  private constructor(node: StrangerNode) {
    this.#node = node;
  }

  static async arrive(): Promise<Stranger> {
    const node = await createLibp2p({
      addresses: { listen: [] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      services: { identify: identify(), pubsub: gossipsub({ allowPublishToZeroTopicPeers: true }) },
    });
    return new Stranger(node);
  }

  /** Opens a stream of this protocol, says something, and listens for what comes. */
  async knock(address: string, protocol: string, words: Uint8Array): Promise<Knock> {
    let connection: Connection;
    try {
      connection = await this.#node.dial(multiaddr(address));
    } catch {
      return { ended: 'connection refused', answerBytes: 0 }; // a gate may refuse as early as it likes
    }
    let stream: Stream;
    try {
      stream = await connection.newStream(protocol, { signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch {
      return { ended: 'protocol refused', answerBytes: 0 };
    }
    return await listen(stream, words);
  }

  /** How many peers have let the stranger into their gossip. */
  gossipPeers(): number {
    return this.#node.services.pubsub.getPeers().length;
  }

  /** @returns how many peers took the message. */
  async publish(topic: string, message: Uint8Array): Promise<number> {
    this.#node.services.pubsub.subscribe(topic);
    const { recipients } = await this.#node.services.pubsub.publish(topic, message);
    return recipients.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node.stop();
  }
}

function listen(stream: Stream, words: Uint8Array): Promise<Knock> {
  return new Promise((resolve) => {
    let answerBytes = 0;
    const timer = setTimeout(() => finish('left waiting'), PATIENCE_MS);
    const finish = (ended: Knock['ended']): void => {
      clearTimeout(timer);
      resolve({ ended, answerBytes });
      if (stream.status === 'open') stream.abort(new Error('the stranger goes'));
    };
    stream.addEventListener('message', (event) => {
      answerBytes += event.data.byteLength;
    });
    stream.addEventListener('remoteCloseWrite', () => finish('stream closed'));
    stream.addEventListener('close', () => finish('stream closed'));
    if (stream.remoteWriteStatus === 'closed') finish('stream closed'); // before anybody listened
    try {
      stream.send(words);
    } catch {
      finish('stream closed'); // it was closed between the opening and the first word
    }
  });
}
