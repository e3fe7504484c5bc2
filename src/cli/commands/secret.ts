import type { Command } from 'commander';
import { AspenError, formatDuration } from '../../base/index.ts';
import type { Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { findPeerId } from '../find.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { readSecretValue } from '../secret-value.ts';
import { formatTable, formatWhen } from '../table.ts';

type Secret = Result<'secret.get'>;

/** `secret set|list|grant|revoke|rotate|delete`. */
export function addSecretCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const secret = program
    .command('secret')
    .description('values that only some nodes may read, for jobs that name them: secret://NAME');
  define(secret, io, exit, {
    usage: 'set <name>',
    summary:
      'set a value, from standard input or a file; it is sealed here, and only the granted nodes can open it',
    examples: [
      'aspen-agent secret set db/password --grant worker-1 < password.txt',
      'aspen-agent secret set tls-key --file key.pem --grant worker-1 worker-2',
    ],
    configure: (command) =>
      command
        .option('--file <file>', 'take the value from a file, as it is; "-" is standard input')
        .option('--grant <node...>', 'who may read it; who may now where absent, this node for a new secret'),
    run: setSecret,
  });
  define(secret, io, exit, {
    usage: 'list',
    summary: 'secrets, who may read them, and whose value should be changed; no values',
    examples: ['aspen-agent secret list -o wide'],
    run: async ({ call }) => listOutput(await call('secret.list', {})),
  });
  define(secret, io, exit, {
    usage: 'grant <name> <node>',
    summary: 'let one more node read a secret; only on a machine that may read it itself',
    examples: ['aspen-agent secret grant db/password worker-2'],
    run: grantSecret,
  });
  define(secret, io, exit, {
    usage: 'revoke <name> <node>',
    summary: 'take a secret from a node; what it has read it still knows: set another value afterwards',
    examples: ['aspen-agent secret revoke db/password worker-2'],
    run: revokeSecret,
  });
  define(secret, io, exit, {
    usage: 'rotate <name>',
    summary:
      'set another value for the same nodes; with --keep-value only the keys it is sealed with, on a machine that may read it',
    examples: [
      'aspen-agent secret rotate db/password < new-password.txt',
      'aspen-agent secret rotate db/password --keep-value',
    ],
    configure: (command) =>
      command
        .option('--file <file>', 'take the value from a file, as it is; "-" is standard input')
        .option('--keep-value', 'the same value under another data key, to the present keys of the nodes'),
    run: rotateSecret,
  });
  define(secret, io, exit, {
    usage: 'delete <name>',
    summary: 'remove a secret; jobs that name it are refused',
    examples: ['aspen-agent secret delete db/password'],
    run: async ({ args: [name = ''], call }) => {
      const result = await call('secret.delete', { name });
      const text = result.deleted ? `deleted ${name}\n` : `there is no secret ${name}\n`;
      return { schema: 'aspen.secret.delete/v1', value: { name, ...result }, ids: [name], text: () => text };
    },
  });
}

async function setSecret(context: CommandContext): Promise<Output> {
  const { args, options, io, call } = context;
  const [name = ''] = args;
  const before = await call('secret.get', { name }).catch(undefinedWhenAbsent);
  const named = options['grant'] as readonly string[] | undefined;
  const recipients = await recipientsOf(context, named, before);
  const value = await readSecretValue(io, options['file'] as string | undefined);
  return setTo(context, { name, value, recipients, before });
}

async function rotateSecret(context: CommandContext): Promise<Output> {
  const { args, options, flags, io, call } = context;
  const [name = ''] = args;
  const before = await call('secret.get', { name });
  const recipients = await recipientsOf(context, undefined, before);
  if (options['keepValue'] !== true) {
    const value = await readSecretValue(io, options['file'] as string | undefined);
    return setTo(context, { name, value, recipients, before });
  }
  const { openValue } = await import('../seal.ts');
  const { self } = await call('secret.recipients', { peerIds: [] });
  const value = openValue(flags.dataDir, self, await openingOf(context, before));
  return setTo(context, { name, value, recipients, before, isSameValue: true });
}

interface Setting {
  readonly name: string;
  readonly value: Uint8Array;
  readonly recipients: Result<'secret.recipients'>['recipients'];
  readonly before: Secret | undefined;
  readonly isSameValue?: boolean;
}

async function setTo(
  { call }: CommandContext,
  { name, value, recipients, before, isSameValue = false }: Setting,
): Promise<Output> {
  const { sealValue } = await import('../seal.ts');
  const sealed = sealValue(name, value, recipients);
  const expectedId = before?.id ?? null;
  return changedOutput('set', await call('secret.set', { ...sealed, expectedId, isSameValue }));
}

/** Those that are named; else those that may read it now; else this node. */
async function recipientsOf(
  context: CommandContext,
  named: readonly string[] | undefined,
  before: Secret | undefined,
): Promise<Result<'secret.recipients'>['recipients']> {
  const { call } = context;
  const granted = before?.grants.map(({ peerId }) => peerId) ?? [];
  const peerIds: string[] = [];
  if (named !== undefined) for (const name of named) peerIds.push(await findPeerId(context, name));
  else if (granted.length > 0) peerIds.push(...granted);
  else peerIds.push((await call('secret.recipients', { peerIds: [] })).self);
  return (await call('secret.recipients', { peerIds: [...new Set(peerIds)] })).recipients;
}

async function grantSecret(context: CommandContext): Promise<Output> {
  const { args, flags, call } = context;
  const [name = '', node = ''] = args;
  const secret = await call('secret.get', { name });
  const { self, recipients } = await call('secret.recipients', {
    peerIds: [await findPeerId(context, node)],
  });
  const [recipient] = recipients;
  if (recipient === undefined) throw new AspenError('NOT_FOUND', `no node "${node}"`);
  const { grantTo } = await import('../seal.ts');
  const opening = await openingOf(context, secret);
  const grant = grantTo(flags.dataDir, { self, opening, recipient });
  return changedOutput('grant', await call('secret.grant', { name, id: opening.id, grant }));
}

/** Only who can read a secret can let others read it. */
async function openingOf({ call }: CommandContext, { name, grants }: Secret) {
  try {
    return await call('secret.opening', { name });
  } catch (error) {
    if (!(error instanceof AspenError) || error.code !== 'DENIED') throw error;
    const readers = grants.map(({ peerId }) => peerId).join(', ') || 'nobody';
    throw new AspenError(
      'DENIED',
      `this machine cannot read secret "${name}"; do it on one that can (${readers}), or set the value again with --grant`,
      { cause: error },
    );
  }
}

async function revokeSecret(context: CommandContext): Promise<Output> {
  const [name = '', node = ''] = context.args;
  const revoked = await context.call('secret.revoke', { name, peerId: await findPeerId(context, node) });
  context.tell(
    `the node may still know this value: change it where it is used, then aspen-agent secret rotate ${name}`,
  );
  return changedOutput('revoke', revoked);
}

function changedOutput(verb: string, secret: Secret): Output {
  const { name, version, grants } = secret;
  return {
    schema: `aspen.secret.${verb}/v1`,
    value: secret,
    ids: [name],
    text: () =>
      `${name}: version ${version}, granted to ${grants.map(({ peerId }) => peerId).join(', ') || 'nobody'}\n`,
  };
}

function listOutput({ secrets }: Result<'secret.list'>): Output {
  const rowOf = ({ name, version, setAt, grants, exposedTo }: Secret, isWide: boolean) => [
    name,
    `${version}`,
    formatWhen(setAt, Date.now(), formatDuration),
    isWide ? grants.map(({ peerId }) => peerId).join(',') || '-' : `${grants.length} nodes`,
    exposedTo.length === 0 ? '-' : `yes: ${isWide ? exposedTo.join(',') : exposedTo.length} may know it`,
  ];
  return {
    schema: 'aspen.secret.list/v1',
    value: { secrets },
    items: 'secrets',
    ids: secrets.map(({ name }) => name),
    text: (isWide) =>
      formatTable(
        ['name', 'version', 'set', 'granted to', 'change it'],
        secrets.map((secret) => rowOf(secret, isWide)),
      ),
  };
}

function undefinedWhenAbsent(error: unknown): undefined {
  if (error instanceof AspenError && error.code === 'NOT_FOUND') return undefined;
  throw error;
}
