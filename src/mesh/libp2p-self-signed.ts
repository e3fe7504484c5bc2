import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { TlsIdentity } from './libp2p-ws-listener.ts';

/** Names that a certificate is made out to. */
const NAME = 'aspen';
const VALID_MS = { before: 24 * 3_600_000, after: 10 * 365 * 24 * 3_600_000 };
const SERIAL_BYTES = 16;
/** Tags of DER, as X.509 needs them. */
const TAG = {
  integer: 0x02,
  bits: 0x03,
  bytes: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  shortTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
};
const OID = {
  commonName: [0x55, 0x04, 0x03],
  subjectAltName: [0x55, 0x1d, 0x11],
  ecdsaWithSha256: [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
};
const EXPLICIT = { version: 0xa0, extensions: 0xa3 };
/** dNSName of a GeneralName. */
const DNS_NAME = 0x82;

/**
 * A key and a certificate (X.509 v3, ECDSA on P-256) that nobody vouches for: TLS is what lets a connection through a network, and who answers
 * proves itself inside.
 *
 * @param nowMs wall time, in ms.
 */
export function selfSigned(nowMs: number): TlsIdentity {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(TAG.sequence, der(TAG.oid, Buffer.from(OID.ecdsaWithSha256)));
  const name = der(
    TAG.sequence,
    der(
      TAG.set,
      der(TAG.sequence, der(TAG.oid, Buffer.from(OID.commonName)), der(TAG.utf8, Buffer.from(NAME))),
    ),
  );
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40; // positive, and of this length
  const altNames = der(TAG.sequence, der(DNS_NAME, Buffer.from(NAME)));
  const facts = der(
    TAG.sequence,
    der(EXPLICIT.version, der(TAG.integer, Buffer.from([2]))),
    der(TAG.integer, serial),
    algorithm,
    name,
    der(TAG.sequence, timeOf(nowMs - VALID_MS.before), timeOf(nowMs + VALID_MS.after)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(
      EXPLICIT.extensions,
      der(
        TAG.sequence,
        der(TAG.sequence, der(TAG.oid, Buffer.from(OID.subjectAltName)), der(TAG.bytes, altNames)),
      ),
    ),
  );
  const signature = der(TAG.bits, Buffer.from([0]), sign('sha256', facts, privateKey));
  return {
    certificate: pem('CERTIFICATE', der(TAG.sequence, facts, algorithm, signature)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const lengths =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...lengths]), body]);
}

/** In UTC: with two digits of the year before 2050, with four from then on (RFC 5280, section 4.1.2.5). */
function timeOf(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return digits < '2050'
    ? der(TAG.shortTime, Buffer.from(digits.slice(2)))
    : der(TAG.time, Buffer.from(digits));
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
