import { silentLogger } from '../../../src/base/index.ts';
import {
  createMemoryDuplexPair,
  type LineDuplex,
  type RpcHandler,
  RpcPeer,
  type RpcPeerOptions,
} from '../../../src/rpc/index.ts';

export interface RawEnd {
  readonly duplex: LineDuplex;
  /** Values that arrived, in order. */
  readonly received: unknown[];
  readonly hasEnded: () => boolean;
  send(text: string): void;
}

/** One end speaks JSON-RPC, the other is driven by hand. */
export function rawAgainstPeer(
  handle: RpcHandler,
  options: RpcPeerOptions = {},
): { raw: RawEnd; peer: RpcPeer } {
  const [duplex, ours] = createMemoryDuplexPair();
  const peer = new RpcPeer({ duplex: ours, logger: silentLogger, handle }, options);
  const received: unknown[] = [];
  let text = '';
  let ended = false;
  duplex.onData((chunk) => {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() as string;
    received.push(...lines.map((line) => JSON.parse(line)));
  });
  duplex.onEnd(() => {
    ended = true;
  });
  return { peer, raw: { duplex, received, hasEnded: () => ended, send: (line) => void duplex.write(line) } };
}

export function peerPair(left: RpcHandler, right: RpcHandler): readonly [RpcPeer, RpcPeer] {
  const [one, other] = createMemoryDuplexPair();
  return [
    new RpcPeer({ duplex: one, logger: silentLogger, handle: left }),
    new RpcPeer({ duplex: other, logger: silentLogger, handle: right }),
  ];
}

/** Lets all promises that can go on do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}
