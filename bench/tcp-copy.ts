/**
 * Gives one file to whoever connects, as plain bytes: `node bench/tcp-copy.ts FILE` prints its port.
 */
import { createReadStream } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { pipeline } from 'node:stream';

const [file = ''] = process.argv.slice(2);
const server = createServer((socket) => {
  pipeline(createReadStream(file, { highWaterMark: 2 ** 18 }), socket, () => server.close());
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
