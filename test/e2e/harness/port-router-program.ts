/**
 * A router that opens ports when asked. `node port-router-program.ts KIND OUTSIDE`: KIND is `pcp`, `nat-pmp` or `upnp`, OUTSIDE its address on
 * the internet. It writes `+ PORT` and `- PORT` for what it opens and closes, and ends with its input. Run it in the namespace of the router.
 */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

const [kind = '', outside = ''] = process.argv.slice(2);
const EXTERNAL_BASE = 20_000;
const SSDP_PORT = 1_900;

function nft(rules: string): void {
  execFileSync('nft', ['-f', '-'], { input: rules });
}

/** Another port outside than inside, so that it shows which one was told. */
function open(host: string, port: number, external = EXTERNAL_BASE + (port % 10_000)): number {
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

/** The first port that is wanted is taken, and no lease has an end, as with many. */
let isTaken = true;
function upnp(action: string, body: string): { status: number; answer: string } {
  const value = (name: string) => new RegExp(`<${name}>([^<]*)<`).exec(body)?.[1] ?? '';
  const error = (code: number) => ({
    status: 500,
    answer: `<UPnPError><errorCode>${code}</errorCode></UPnPError>`,
  });
  if (action === 'GetExternalIPAddress')
    return { status: 200, answer: `<NewExternalIPAddress>${outside}</NewExternalIPAddress>` };
  if (action === 'DeletePortMapping') {
    close();
    return { status: 200, answer: '<ok/>' };
  }
  if (value('NewLeaseDuration') !== '0') return error(725);
  if (isTaken) {
    isTaken = false;
    return error(718);
  }
  open(value('NewInternalClient'), Number(value('NewInternalPort')), Number(value('NewExternalPort')));
  return { status: 200, answer: '<ok/>' };
}

const SERVICE = 'urn:schemas-upnp-org:service:WANIPConnection:1';
const DESCRIPTION = `<?xml version="1.0"?><root><device><serviceList>
  <service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/l3</controlURL></service>
  <service><serviceType>${SERVICE}</serviceType><controlURL>/control</controlURL></service></serviceList></device></root>`;

function listenForUpnp(): void {
  const search = createSocket('udp4');
  search.on('message', (_request, { address, port }) => {
    const host = address.replace(/\.\d+$/, '.1');
    search.send(
      `HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: http://${host}:5000/root.xml\r\n\r\n`,
      port,
      address,
    );
  });
  const control = createServer(async (request, response) => {
    if (request.url === '/root.xml') {
      response.end(DESCRIPTION);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const action = String(request.headers['soapaction']).split('#')[1]?.replace('"', '') ?? '';
    const { status, answer } = upnp(action, Buffer.concat(chunks).toString());
    response
      .writeHead(status, { 'content-type': 'text/xml' })
      .end(`<s:Envelope><s:Body>${answer}</s:Body></s:Envelope>`);
  });
  control.listen(5_000, () => search.bind(SSDP_PORT, () => process.stdout.write('listening\n')));
}

function listenForDatagrams(): void {
  const socket = createSocket('udp4');
  socket.on('message', (request, { address, port }) => {
    socket.send(kind === 'pcp' ? pcp(request, address) : natPmp(request, address), port, address);
  });
  socket.bind(5_351, () => process.stdout.write('listening\n'));
}

if (kind === 'upnp') listenForUpnp();
else listenForDatagrams();
process.stdin.resume().on('end', () => process.exit(0));
