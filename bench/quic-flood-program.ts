/** Sends datagrams that begin a connection by QUIC, or look as if they did, to a port of this machine until its parent is gone. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { type Initial, sealInitial } from '../test/e2e/harness/quic-initial.ts';

export interface QuicFloodOrder {
  readonly port: number;
  readonly kind: 'random' | 'false-beginnings' | 'half-open';
  readonly perSecond: number;
  /** What a handshake begins with. */
  readonly hello: Initial;
}

const TURN_MS = 10;
const DATAGRAM_BYTES = 1_200;
const socket = createSocket('udp4');
let sent = 0;

process.on('message', (message: QuicFloodOrder | 'how many') => {
  if (message === 'how many') process.send?.({ sent });
  else setInterval(() => turn(message), TURN_MS);
});
process.on('disconnect', () => process.exit(0));
socket.on('message', () => undefined); // what it is answered is not read

function turn(order: QuicFloodOrder): void {
  for (let count = 0; count < (order.perSecond * TURN_MS) / 1_000; count += 1) {
    socket.send(datagram(order), order.port, '127.0.0.1');
    sent += 1;
  }
}

function datagram({ kind, hello }: QuicFloodOrder): Uint8Array {
  if (kind === 'random') return randomBytes(DATAGRAM_BYTES);
  return sealInitial(kind === 'half-open' ? hello : { ...hello, frames: new Uint8Array(0) });
}
