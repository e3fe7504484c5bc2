import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTlsIdentity } from '../../../src/agent/os-tls-identity.ts';
import { selfSigned } from '../../../src/mesh/libp2p-self-signed.ts';
import { failureOf } from '../mesh/support.ts';

describe('a certificate from files', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'aspen-tls-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const refusal = async (tlsCertificate: string, tlsKey: string) =>
    String(await failureOf(readTlsIdentity({ tlsCertificate, tlsKey })));

  it('is read with its key, and none where none is set', async () => {
    const identity = selfSigned(Date.UTC(2026, 0));
    const [tlsCertificate, tlsKey] = [write('c.pem', identity.certificate), write('k.pem', identity.key)];
    assert.deepEqual(await readTlsIdentity({ tlsCertificate, tlsKey }), identity);
    assert.equal(await readTlsIdentity({ tlsCertificate: 'none', tlsKey: 'none' }), undefined);
  });

  it('is refused by the name of the setting, and nothing of a key is told', async () => {
    const identity = selfSigned(Date.UTC(2060, 0));
    const certificate = write('c.pem', identity.certificate);
    const key = write('k.pem', identity.key);
    const other = write('o.pem', selfSigned(0).key);
    const nonsense = write('n.pem', 'nothing');
    assert.match(await refusal(certificate, 'none'), /tls\.key: is missing/);
    assert.match(await refusal('none', key), /tls\.certificate: is missing/);
    assert.match(
      await refusal(join(directory, 'absent'), key),
      /tls\.certificate: cannot read .*absent: ENOENT/,
    );
    assert.match(await refusal(nonsense, key), /tls\.certificate: .*n\.pem is not in PEM/);
    assert.match(await refusal(certificate, nonsense), /tls\.key: .*n\.pem is not in PEM/);
    assert.match(await refusal(certificate, other), /tls\.key: .*o\.pem is not the key of .*c\.pem/);
  });
});
