import type { LiveIndex } from '../../../src/jobs/live-index.ts';
import { findRecord, putRecord } from '../../../src/jobs/record-store.ts';
import type { ApplyContext, MachineModule } from '../../../src/lease/machine/index.ts';
import { textKey } from '../../../src/storage/index.ts';

/** Takes whatever attempt reports for the one that holds the job. */
export function withoutFence(module: MachineModule): MachineModule {
  const { settle } = module.commands;
  if (settle === undefined) throw new Error('the jobs module settles nothing');
  return {
    ...module,
    commands: {
      ...module.commands,
      settle: {
        ...settle,
        apply: (body, context) => {
          const items = (body as { items: readonly { jobId: string }[] }).items.map((item) => {
            const held = findRecord(context, item.jobId)?.running;
            return held ? { ...item, attempt: held.attempt, fencingToken: held.fencingToken } : item;
          });
          return settle.apply({ items }, context);
        },
      },
    },
  };
}

/** Does more after a command than the honest module. */
function withAfter(
  module: MachineModule,
  kind: string,
  after: (body: unknown, context: ApplyContext) => () => void,
): MachineModule {
  const command = module.commands[kind];
  if (command === undefined) throw new Error(`the jobs module has no command ${kind}`);
  const apply = (body: unknown, context: ApplyContext) => {
    const finish = after(body, context);
    const result = command.apply(body, context);
    finish();
    return result;
  };
  return { ...module, commands: { ...module.commands, [kind]: { ...command, apply } } };
}

interface Named {
  readonly jobId: string;
}

/** Of what ends by a report, no hook hears. */
export function forgettingHooks(module: MachineModule): MachineModule {
  return withAfter(module, 'settle', (_, context) => {
    const { hooks } = context.derived<LiveIndex>();
    const known = hooks.all();
    for (const { id } of known) hooks.set(id, undefined);
    return () => {
      for (const hook of known) hooks.set(hook.id, hook);
    };
  });
}

/** A failure that is tried again counts twice. */
export function countingTwice(module: MachineModule): MachineModule {
  return withAfter(module, 'settle', (body, context) => () => {
    for (const { jobId } of (body as { readonly items: readonly Named[] }).items) {
      const record = findRecord(context, jobId);
      if (record?.state === 'scheduled')
        putRecord(context, { ...record, failureCount: record.failureCount + 1 }, record);
    }
  });
}

/** A cancelled job stays in the indexes of those that wait. */
export function withStaleIndex(module: MachineModule): MachineModule {
  return withAfter(module, 'cancel', (body, context) => {
    const before = findRecord(context, (body as { readonly id: string }).id);
    return () => {
      if (before?.state === 'queued' || before?.state === 'scheduled')
        context.derived<LiveIndex>().move(undefined, before);
    };
  });
}

/** Whoever waits for a job runs when that fails. */
export function releasingOnFailure(module: MachineModule): MachineModule {
  return withAfter(module, 'settle', (body, context) => {
    const index = context.derived<LiveIndex>();
    const { items } = body as { readonly items: readonly Named[] };
    const dependents = items.flatMap(({ jobId }) => index.dependentsOf(jobId, '', 100));
    return () => {
      for (const id of dependents) {
        const record = findRecord(context, id);
        if (record?.state !== 'dead' && record?.state !== 'skipped') continue;
        putRecord(context, { ...record, state: 'queued', finishedAt: null, expiresGroupMs: null }, record);
      }
    };
  });
}

/** Whoever has started something has all permits of its rate again. */
export function forgettingRates(module: MachineModule): MachineModule {
  return withAfter(module, 'assign', (_body, context) => () => {
    const buckets = context.table('buckets');
    for (const [key] of [...buckets.range({})]) buckets.delete(key);
  });
}

/** A key names nothing any more once its job has ended. */
export function freeingKeys(module: MachineModule): MachineModule {
  return withAfter(module, 'settle', (body, context) => () => {
    for (const { jobId } of (body as { readonly items: readonly Named[] }).items) {
      const record = findRecord(context, jobId);
      const key = record?.finishedAt == null ? null : record.spec.idempotencyKey;
      if (key !== null) context.table('idempotency').delete(textKey(key));
    }
  });
}

/** What time makes due is done half a minute before it is. */
export function tooSoon(kind: 'release' | 'purge'): (module: MachineModule) => MachineModule {
  return (module) => {
    const command = module.commands[kind];
    if (command === undefined) throw new Error(`the jobs module has no command ${kind}`);
    const apply = (body: unknown, context: ApplyContext) =>
      command.apply(body, { ...context, groupMs: context.groupMs + 30_000, wallMs: context.wallMs + 30_000 });
    return { ...module, commands: { ...module.commands, [kind]: { ...command, apply } } };
  };
}

/** Whatever comes back is believed never to have begun. */
export function believingUnbegun(module: MachineModule): MachineModule {
  const { settle } = module.commands;
  if (settle === undefined) throw new Error('the jobs module settles nothing');
  const believed = (item: object) => ({ ...item, isHandedOver: true, isUnbegun: true });
  const apply = (body: unknown, context: ApplyContext) => {
    const { items } = body as { readonly items: readonly { readonly kind: string }[] };
    return settle.apply(
      { items: items.map((item) => (item.kind === 'lose' ? believed(item) : item)) },
      context,
    );
  };
  return { ...module, commands: { ...module.commands, settle: { ...settle, apply } } };
}

/** Of those that run in a queue one is overlooked. */
export function countingTooFew(module: MachineModule): MachineModule {
  const { derive } = module;
  if (derive === undefined) throw new Error('the jobs module keeps no index');
  return {
    ...module,
    derive: (tables) => {
      const index = derive(tables) as LiveIndex;
      const { tallies } = index;
      const ofQueue = tallies.ofQueue.bind(tallies);
      tallies.ofQueue = (name) => {
        const { running, ...rest } = ofQueue(name);
        return { ...rest, running: Math.max(0, running - 1) };
      };
      return index;
    },
  };
}
