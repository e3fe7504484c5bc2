/**
 * A proxy that lets through by CONNECT, as in an office. `node connect-proxy-program.ts PORT USER:PASSWORD PLACE...`; a place is `host:port`.
 * It writes one line for each request, and ends with its input.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';

const [port = '', credentials = '', ...places] = process.argv.slice(2);
const shown = `Basic ${Buffer.from(credentials).toString('base64')}`;

function answer(socket: Socket, status: string, target: string): void {
  process.stdout.write(`${status.slice(0, 3)} ${target}\n`);
  if (!status.startsWith('200')) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
  else socket.write(`HTTP/1.1 ${status}\r\n\r\n`);
}

function letThrough({ url: target = '', headers }: IncomingMessage, socket: Socket): void {
  socket.on('error', () => socket.destroy());
  if (headers['proxy-authorization'] !== shown) answer(socket, '407 Proxy Authentication Required', target);
  else if (!places.includes(target)) answer(socket, '403 Forbidden', target);
  else join(socket, target);
}

function join(socket: Socket, target: string): void {
  const [host = '', to = ''] = target.split(':');
  const onward = connect({ host, port: Number(to) }, () => {
    answer(socket, '200 Connection established', target);
    onward.pipe(socket);
    socket.pipe(onward);
  });
  onward.on('error', () => socket.destroy());
  onward.on('close', () => socket.destroy());
  socket.on('close', () => onward.destroy());
}

const server = createServer((_request, response) => response.writeHead(405).end());
server.on('connect', (request: IncomingMessage, socket: Socket) => letThrough(request, socket));
server.listen(Number(port), () => process.stdout.write('listening\n'));
process.stdin.resume().on('end', () => process.exit(0));
