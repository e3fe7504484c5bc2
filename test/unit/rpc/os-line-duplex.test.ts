import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OsLineDuplex } from '../../../src/rpc/os-line-duplex.ts';

const LINE = `${'x'.repeat(999)}\n`;

describe('a line duplex of a socket', () => {
  let directory: string;
  let server: Server;
  let reader: Socket;
  let duplex: OsLineDuplex;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'aspen-duplex-'));
    const path = join(directory, 's');
    server = createServer().listen(path);
    await once(server, 'listening');
    reader = connect(path);
    const [socket] = (await once(server, 'connection')) as [Socket];
    duplex = new OsLineDuplex(socket);
  });
  afterEach(async () => {
    duplex.destroy();
    reader.destroy();
    server.close();
    await rm(directory, { recursive: true });
  });

  const read = async (length: number): Promise<string> => {
    let text = '';
    for await (const chunk of reader.setEncoding('utf8')) {
      text += chunk;
      if (text.length >= length) break;
    }
    return text;
  };

  it('gathers what is written in one turn', async () => {
    for (let line = 0; line < 3; line += 1) duplex.write(LINE);
    assert.equal(duplex.bufferedBytes, 3 * LINE.length);
    assert.equal(await read(3 * LINE.length), LINE.repeat(3));
    assert.equal(duplex.bufferedBytes, 0);
  });

  it('lets a part of much that is written in one turn go out before its end, all of it once and in order', async () => {
    const lines = Array.from({ length: 40 }, (_, at) => `${at} ${LINE}`);
    let mostWaiting = 0;
    for (const line of lines) {
      duplex.write(line);
      mostWaiting = Math.max(mostWaiting, duplex.bufferedBytes);
    }
    assert.ok(mostWaiting < 20_000, `${mostWaiting} bytes waited for the end of the turn`);
    const text = lines.join('');
    assert.equal(await read(text.length), text);
  });
});
