import { AspenError, type PeerId } from '../base/index.ts';
import { readersOf } from '../lease/machine/index.ts';
import { REFERENCES_LIMIT, secretsInShellPayload } from '../secrets/index.ts';
import type { ApplyContext, QueryContext } from './machine-port.ts';
import type { JobSpec } from './spec.ts';

/** The one type of jobs that may name secrets. */
const SHELL = 'shell';

/**
 * Notes the secrets that a job names where it is placed by.
 * @returns the spec itself when it names none. @throws AspenError INVALID_PARAMS when it names too many.
 */
export function withNamedSecrets(spec: JobSpec): JobSpec {
  if (spec.type !== SHELL) return spec;
  const secrets = secretsInShellPayload(spec.payload);
  if (secrets.length === 0) return spec;
  if (secrets.length > REFERENCES_LIMIT) {
    const message = `names ${secrets.length} secrets, of at most ${REFERENCES_LIMIT}`;
    throw new AspenError('INVALID_PARAMS', `job spec: payload: ${message}`, {
      details: { issues: [{ path: 'payload', message }] },
    });
  }
  return Object.freeze({ ...spec, affinity: { ...spec.affinity, secrets } });
}

/**
 * - N1 A job that names a secret which is not there is refused in the command that submits it. One whose secret is granted to no node that is
 *   there, or is taken away later, waits; no node that may not read all it names is given it.
 * @throws AspenError NOT_FOUND naming the secret and how to set it.
 */
export function checkNamedSecrets({ affinity: { secrets } }: JobSpec, context: ApplyContext): void {
  if (secrets === undefined) return;
  for (const name of secrets) {
    if (readersOf(context, name) !== undefined) continue;
    const message = `there is no secret "${name}"; set it first: aspen-agent secret set ${name} --grant NODE`;
    throw new AspenError('NOT_FOUND', message, { details: { path: 'payload' } });
  }
}

/** N1 @returns for each node the secrets among `names` that it may read. */
export function secretReaders(
  names: ReadonlySet<string>,
  context: Pick<QueryContext, 'read'>,
): (peerId: PeerId) => ReadonlySet<string> {
  const readers = Array.from(names, (name) => [name, readersOf(context, name)] as const);
  return (peerId) => new Set(readers.flatMap(([name, nodes]) => (nodes?.has(peerId) ? [name] : [])));
}
