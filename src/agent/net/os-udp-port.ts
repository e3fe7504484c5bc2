import { createSocket } from 'node:dgram';
import { AspenError } from '../../base/index.ts';
import type { Datagram, UdpPort, UdpSocket } from './udp-port.ts';

/** UDP of this machine. */
export class OsUdpPort implements UdpPort {
  async open(family: 4 | 6, onDatagram: (datagram: Datagram) => void, wantedPort = 0): Promise<UdpSocket> {
    try {
      return await this.#bind(family, onDatagram, wantedPort);
    } catch (error) {
      if (wantedPort === 0) throw error;
      return await this.#bind(family, onDatagram, 0); // another program has it, or another ear
    }
  }

  #bind(family: 4 | 6, onDatagram: (datagram: Datagram) => void, wantedPort: number): Promise<UdpSocket> {
    const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', ipv6Only: family === 6 });
    return new Promise((resolve, reject) => {
      const onError = (cause: Error) => {
        socket.close();
        reject(new AspenError('UNAVAILABLE', `no UDP socket: ${cause.message}`, { cause }));
      };
      socket.once('error', onError);
      socket.on('message', (bytes, { address: host, port }) => onDatagram({ host, port, bytes }));
      socket.bind(wantedPort, () => {
        socket.off('error', onError);
        socket.on('error', () => socket.close()); // what was on its way is lost; whoever waits gives up
        socket.unref();
        resolve({
          port: socket.address().port,
          send: ({ host, port, bytes }) => socket.send(bytes, port, host, () => undefined),
          [Symbol.dispose]: () => void socket.close(),
        });
      });
    });
  }
}
