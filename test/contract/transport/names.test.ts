import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { parseDnsName, resolveDnsName } from '../../../src/discovery/dnsaddr.ts';
import { OsNameLookup } from '../../../src/discovery/os-dns.ts';
import { failureOf, identityOf } from '../../unit/mesh/support.ts';

const { peerId } = identityOf(1);

/** Answers TXT questions from a table, and says of all other names that there are none. */
class NameServer {
  readonly #records: Readonly<Record<string, readonly string[]>>;
  readonly #socket: Socket = createSocket('udp4');

  constructor(records: Readonly<Record<string, readonly string[]>>) {
    this.#records = records;
    this.#socket.on('message', (question, { address, port }) => {
      const answer = this.#answer(question);
      if (answer !== undefined) this.#socket.send(answer, port, address);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#socket.bind(0, '127.0.0.1', resolve));
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  close(): void {
    this.#socket.close();
  }

  #answer(question: Buffer): Buffer | undefined {
    const labels: string[] = [];
    let at = 12;
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const name = labels.join('.');
    if (name.startsWith('_dnsaddr.silent')) return undefined;
    const records = this.#records[name];
    const head = Buffer.alloc(12);
    question.copy(head, 0, 0, 2);
    head.writeUInt16BE(records === undefined ? 0x8183 : 0x8180, 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(records?.length ?? 0, 6);
    const asked = question.subarray(12, at + 5);
    return Buffer.concat([head, asked, ...(records ?? []).map((text) => this.#record(text))]);
  }

  /** In pieces, as long records are. */
  #record(text: string): Buffer {
    const bytes = Buffer.from(text, 'latin1');
    const pieces = [bytes.subarray(0, 40), bytes.subarray(40)].filter(({ length }) => length > 0);
    const data = Buffer.concat(pieces.flatMap((piece) => [Buffer.from([piece.length]), piece]));
    const head = Buffer.from([0xc0, 0x0c, 0, 16, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 0xff]);
    return Buffer.concat([head, data]);
  }
}

describe('names, at a name server on loopback', () => {
  let server: NameServer;
  let lookup: OsNameLookup;
  before(async () => {
    server = new NameServer({
      '_dnsaddr.mesh.example.org': ['dnsaddr=/dnsaddr/eu.example.org', 'v=spf1 -all'],
      '_dnsaddr.eu.example.org': [`dnsaddr=/ip4/203.0.113.7/tcp/4100/p2p/${peerId}`],
    });
    lookup = new OsNameLookup({ servers: [await server.listen()] });
  });
  after(() => server.close());

  it('lead to the addresses in their TXT records, over other names', async () => {
    const from = parseDnsName('/dnsaddr/mesh.example.org');
    assert.ok(from !== undefined);
    const places = await resolveDnsName(lookup, from, new AbortController().signal);
    assert.deepEqual(places, [{ peerId, address: '/ip4/203.0.113.7/tcp/4100' }]);
  });

  it('that are not there have no records', async () => {
    assert.deepEqual(await lookup.txt('_dnsaddr.nobody.example.org', new AbortController().signal), []);
  });

  it('that nobody answers for are given up with the signal', async () => {
    const abort = new AbortController();
    const asking = failureOf(lookup.txt('_dnsaddr.silent.example.org', abort.signal));
    abort.abort(new Error('waited long enough'));
    assert.match(String(await asking), /waited long enough/);
  });
});
