/**
 * A router that opens ports when asked, by PCP or NAT-PMP. `node port-router-program.ts KIND OUTSIDE`: KIND is `pcp` or `nat-pmp`, OUTSIDE its address on
 * the internet. It writes `+ PORT` and `- PORT` for what it opens and closes, and ends with its input. Run it in the namespace of the router.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';

const [kind = '', outside = ''] = process.argv.slice(2);
const EXTERNAL_BASE = 20_000;

function nft(rules: string): void {
  execFileSync('nft', ['-f', '-'], { input: rules });
}

/** Another port outside than inside, so that it shows which one was told. */
function open(host: string, port: number): number {
  const external = EXTERNAL_BASE + (port % 10_000);
  nft(`add table ip ports
    add chain ip ports pre { type nat hook prerouting priority -100; }
    flush chain ip ports pre
    add rule ip ports pre iifname "wan0" tcp dport ${external} dnat to ${host}:${port}
    insert rule ip home through ct status dnat accept`);
  process.stdout.write(`+ ${external}\n`);
  return external;
}

function close(): void {
  nft('add table ip ports\ndelete table ip ports');
  process.stdout.write('-\n');
}

function pcp(request: Buffer, host: string): Buffer {
  const answer = Buffer.from(request);
  answer.writeUInt8(0x81, 1);
  answer.writeUInt8(0, 3);
  const lifetimeS = request.readUInt32BE(4);
  if (lifetimeS === 0) {
    close();
    return answer;
  }
  answer.writeUInt16BE(open(host, request.readUInt16BE(40)), 42);
  answer.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...outside.split('.').map(Number)], 44);
  return answer;
}

function natPmp(request: Buffer, host: string): Buffer {
  if (request.readUInt8(0) !== 0) return Buffer.from([0, 0x80 + (request[1] ?? 0), 0, 1, 0, 0, 0, 1]); // another version
  if (request.readUInt8(1) === 0)
    return Buffer.from([0, 128, 0, 0, 0, 0, 0, 1, ...outside.split('.').map(Number)]);
  const answer = Buffer.alloc(16);
  answer.writeUInt8(130, 1);
  answer.writeUInt32BE(1, 4);
  answer.writeUInt16BE(request.readUInt16BE(4), 8);
  const lifetimeS = request.readUInt32BE(8);
  if (lifetimeS === 0) close();
  else answer.writeUInt16BE(open(host, request.readUInt16BE(4)), 10);
  answer.writeUInt32BE(lifetimeS, 12);
  return answer;
}

const socket = createSocket('udp4');
socket.on('message', (request, { address, port }) => {
  socket.send(kind === 'pcp' ? pcp(request, address) : natPmp(request, address), port, address);
});
socket.bind(5_351, () => process.stdout.write('listening\n'));
process.stdin.resume().on('end', () => process.exit(0));
