import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

/** RFC 9001, section 5.2: what the keys of first packets of version 1 are derived with; no secret. */
const SALT = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');
const VERSION = Buffer.from([0, 0, 0, 1]);
const TAG_BYTES = 16;
const SAMPLE_BYTES = 16;
const NUMBER_BYTES = 4;
const DATAGRAM_BYTES = 1_200;

interface Keys {
  readonly key: Buffer;
  readonly iv: Buffer;
  readonly headerKey: Buffer;
}

/** What begins a connection by QUIC: the packet's frames, and the id that its sender is to be answered at. */
export interface Initial {
  readonly frames: Uint8Array;
  readonly source: Uint8Array;
}

/**
 * A datagram that begins a connection by QUIC as a client does, to an id that was never used: well encrypted, so that the other end has to look into it.
 */
export function sealInitial({ frames, source }: Initial): Buffer {
  const id = randomBytes(8);
  const keys = clientKeys(id);
  const head = Buffer.concat([
    Buffer.of(0xc3),
    VERSION,
    Buffer.of(id.length),
    id,
    Buffer.of(source.length),
    source,
    Buffer.of(0), // no token
  ]);
  const plainBytes = DATAGRAM_BYTES - head.length - 2 - NUMBER_BYTES - TAG_BYTES;
  const plain = Buffer.concat([frames, Buffer.alloc(DATAGRAM_BYTES)], plainBytes); // the rest is padding
  const length = Buffer.alloc(2);
  length.writeUInt16BE(0x4000 | (NUMBER_BYTES + plain.length + TAG_BYTES));
  const header = Buffer.concat([head, length, Buffer.alloc(NUMBER_BYTES)]); // packet 0
  const cipher = createCipheriv('aes-128-gcm', keys.key, keys.iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(header);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  const datagram = Buffer.concat([header, sealed]);
  protect(datagram, header.length - NUMBER_BYTES, keys.headerKey, { isHidden: false });
  return datagram;
}

/** @throws Error when the datagram begins no connection. */
export function openInitial(datagram: Uint8Array): Initial {
  const bytes = Buffer.from(datagram);
  const idBytes = bytes[5] as number;
  const keys = clientKeys(bytes.subarray(6, 6 + idBytes));
  const sourceAt = 7 + idBytes;
  const source = Buffer.from(bytes.subarray(sourceAt, sourceAt + (bytes[sourceAt - 1] as number)));
  const [tokenBytes, afterToken] = varint(bytes, sourceAt + source.length);
  const [length, numberAt] = varint(bytes, afterToken + tokenBytes);
  protect(bytes, numberAt, keys.headerKey, { isHidden: true });
  const numberBytes = ((bytes[0] as number) & 3) + 1;
  const header = bytes.subarray(0, numberAt + numberBytes);
  const nonce = Buffer.from(keys.iv);
  for (let index = 0; index < numberBytes; index += 1) {
    const place = nonce.length - numberBytes + index;
    nonce[place] = (nonce[place] as number) ^ (header[numberAt + index] as number);
  }
  const sealed = bytes.subarray(header.length, numberAt + length);
  const decipher = createDecipheriv('aes-128-gcm', keys.key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(header);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const frames = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
  return { frames, source };
}

function clientKeys(id: Uint8Array): Keys {
  const initial = createHmac('sha256', SALT).update(id).digest();
  const secret = expand(initial, 'client in', 32);
  return {
    key: expand(secret, 'quic key', 16),
    iv: expand(secret, 'quic iv', 12),
    headerKey: expand(secret, 'quic hp', 16),
  };
}

/** HKDF-Expand-Label of TLS 1.3, up to one block of the hash. */
function expand(secret: Buffer, label: string, bytes: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const about = Buffer.concat([Buffer.of(0, bytes, name.length), name, Buffer.of(0)]);
  return createHmac('sha256', secret).update(about).update(Buffer.of(1)).digest().subarray(0, bytes);
}

/** Puts the protection of a header on, or takes it off. The first byte says how long the packet number is, where it is not hidden. */
function protect(
  datagram: Buffer,
  numberAt: number,
  key: Buffer,
  { isHidden }: { readonly isHidden: boolean },
): void {
  const sample = datagram.subarray(numberAt + NUMBER_BYTES, numberAt + NUMBER_BYTES + SAMPLE_BYTES);
  const mask = createCipheriv('aes-128-ecb', key, null).update(sample);
  const first = datagram[0] as number;
  datagram[0] = first ^ ((mask[0] as number) & 0x0f);
  const numberBytes = ((isHidden ? datagram[0] : first) & 3) + 1;
  for (let index = 0; index < numberBytes; index += 1)
    datagram[numberAt + index] = (datagram[numberAt + index] as number) ^ (mask[index + 1] as number);
}

/** @returns the number and where it ends. */
function varint(bytes: Buffer, at: number): [number, number] {
  const size = 1 << ((bytes[at] as number) >> 6);
  let value = (bytes[at] as number) & 0x3f;
  for (let index = 1; index < size; index += 1) value = value * 256 + (bytes[at + index] as number);
  return [value, at + size];
}
