import { noise } from '@chainsafe/libp2p-noise';
import type { ConnectionEncrypter } from '@libp2p/interface';
import { type HandshakeCrypto, quickHandshakeCrypto, signingOnce } from './libp2p-noise-crypto.ts';

type Noise = ReturnType<typeof noise>;

/** How the library finds the end of a frame; private there. */
interface Framed {
  readonly decoder: { lengthDecoder: LengthDecoder };
}

interface Bytes {
  readonly byteLength: number;
}

type LengthDecoder = (bytes: Bytes) => number;

const LENGTH_BYTES = 2;

/** One for all times: making an error, with its stack, costs more than decrypting a short frame. */
const NOT_THERE_YET = new RangeError('the length of the next frame has not come yet');

/**
 * Noise, but for what its handshakes cost ({@link quickHandshakeCrypto}), and for how it learns that it has read all frames that are there. The
 * library tries to read one more and catches the error, once or more for each chunk that comes; here that error is made once.
 */
export function leanNoise(): Noise {
  const make = noise();
  return (components) => {
    const privateKey = signingOnce(components.privateKey);
    const encrypter = make(Object.create(components, { privateKey: { value: privateKey } }));
    const { crypto } = encrypter as unknown as { readonly crypto: HandshakeCrypto };
    Object.assign(crypto, quickHandshakeCrypto());
    const { secureInbound, secureOutbound } = encrypter;
    encrypter.secureInbound = async (...args) => lean(await secureInbound.apply(encrypter, args));
    encrypter.secureOutbound = async (...args) => lean(await secureOutbound.apply(encrypter, args));
    return encrypter;
  };
}

function lean<S extends Awaited<ReturnType<ConnectionEncrypter['secureInbound']>>>(secured: S): S {
  const { decoder } = secured.connection as unknown as Framed;
  const { lengthDecoder } = decoder;
  decoder.lengthDecoder = (bytes) => {
    if (bytes.byteLength < LENGTH_BYTES) throw NOT_THERE_YET;
    return lengthDecoder(bytes);
  };
  return secured;
}
