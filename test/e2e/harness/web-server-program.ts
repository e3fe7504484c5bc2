/**
 * A web server that ends TLS and hands WebSockets on, as before many programs. `node web-server-program.ts PORT CERTIFICATE KEY ONWARD_PORT`, the
 * middle two in PEM. It hands on nothing but `/aspen`, tells for whom, writes one line for each, and ends with its input.
 */
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { connect, type Socket } from 'node:net';

const [port = '', cert = '', key = '', onwardPort = ''] = process.argv.slice(2);

function handOn({ url, headers, socket: { remoteAddress = '' } }: IncomingMessage, socket: Socket): void {
  process.stdout.write(`${url} ${remoteAddress}\n`);
  socket.on('error', () => socket.destroy());
  if (url !== '/aspen') {
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
    return;
  }
  const lines = Object.entries({ ...headers, 'x-forwarded-for': remoteAddress }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  const onward = connect({ host: '127.0.0.1', port: Number(onwardPort) });
  onward.write(`GET ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  onward.on('error', () => onward.destroy());
  onward.on('close', () => socket.destroy());
  socket.on('close', () => onward.destroy());
  onward.pipe(socket);
  socket.pipe(onward);
}

const server = createServer({ cert, key }, (_request, response) => response.writeHead(404).end());
server.on('upgrade', handOn);
server.listen(Number(port), '0.0.0.0', () => process.stdout.write('listening\n'));
process.stdin.resume().on('end', () => process.exit(0));
