import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AspenError } from '../base/index.ts';
import type { TlsIdentity } from '../mesh/libp2p-ws-listener.ts';
import type { AgentConfig } from './config.ts';

/**
 * What the owner wants shown to whoever comes by WebSocket over TLS.
 *
 * @returns undefined where nothing is set.
 * @throws AspenError INVALID_PARAMS naming the setting: one without the other, a file that cannot be read, what is no key or no certificate, or
 * a key that is not the certificate's.
 */
export async function readTlsIdentity({
  tlsCertificate,
  tlsKey,
}: Pick<AgentConfig, 'tlsCertificate' | 'tlsKey'>): Promise<TlsIdentity | undefined> {
  if (tlsCertificate === 'none' && tlsKey === 'none') return undefined;
  if (tlsCertificate === 'none') throw refused('tls.certificate', 'is missing: tls.key is set');
  if (tlsKey === 'none') throw refused('tls.key', 'is missing: tls.certificate is set');
  const certificate = await read('tls.certificate', tlsCertificate);
  const key = await read('tls.key', tlsKey);
  const leaf = parsed('tls.certificate', tlsCertificate, () => new X509Certificate(certificate));
  const secret = parsed('tls.key', tlsKey, () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(secret))
    throw refused('tls.key', `${tlsKey} is not the key of ${tlsCertificate}`);
  return { certificate, key };
}

async function read(setting: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw refused(
      setting,
      `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code ?? 'unknown'}`,
      cause,
    );
  }
}

function parsed<T>(setting: string, path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw refused(setting, `${path} is not in PEM, or needs a passphrase`, cause);
  }
}

function refused(path: string, message: string, cause?: unknown): AspenError {
  return new AspenError('INVALID_PARAMS', `setting ${path}: ${message}`, {
    cause,
    details: { issues: [{ path, message }] },
  });
}
