import {
  type Ask,
  type CgroupBase,
  type HidingPrograms,
  type Layers,
  LIMIT_NAMES,
  type Limits,
  type SandboxLayer,
  type WorkPolicy,
} from './confinement.ts';
import { type Fields, list, number, object, string } from './frame-fields.ts';
import type { StoppedBy } from './limit-verdict.ts';

/** What is said about holding processes, checked as it comes out of a frame. Each throws TypeError naming what does not fit. */

export function checkAsk(value: unknown): Ask {
  const ask = object(value, 'ask');
  const { sandbox, isNetworked, limits, isLimitRequired } = ask;
  return {
    variables: texts(ask['variables'], 'variables'),
    ...(sandbox !== undefined && { sandbox: layerOf(sandbox) }),
    ...(isNetworked !== undefined && { isNetworked: isNetworked === true }),
    ...(limits !== undefined && { limits: limitsOf(limits) }),
    ...(isLimitRequired !== undefined && { isLimitRequired: isLimitRequired === true }),
  };
}

export function checkConfinement(frame: Fields): { readonly policy: WorkPolicy; readonly layers: Layers } {
  const policy = object(frame['policy'], 'policy');
  const layers = object(frame['layers'], 'layers');
  const sandbox = object(policy['sandbox'], 'sandbox');
  return {
    policy: {
      commands: textsOrNull(policy['commands'], 'commands'),
      directories: textsOrNull(policy['directories'], 'directories'),
      variables: textsOrNull(policy['variables'], 'variables'),
      user: textOrNull(policy, 'user'),
      sandbox: {
        layer: layerOf(sandbox['layer']),
        isRequired: sandbox['isRequired'] === true,
        writable: texts(sandbox['writable'], 'writable'),
        isNetworked: sandbox['isNetworked'] === true,
        isAgentHidden: sandbox['isAgentHidden'] === true,
      },
      limits: limitsOf(policy['limits']),
      maximums: limitsOf(policy['maximums']),
    },
    layers: {
      bwrap: textOrNull(layers, 'bwrap'),
      prlimit: textOrNull(layers, 'prlimit'),
      setpriv: textOrNull(layers, 'setpriv'),
      hide: hidingOf(layers['hide']),
      memory: baseOf(layers['memory']),
      pids: baseOf(layers['pids']),
      isRoot: layers['isRoot'] === true,
    },
  };
}

export function checkStoppedBy(value: unknown): StoppedBy {
  const stoppedBy = object(value, 'stoppedBy');
  const { layer } = stoppedBy;
  const limit = LIMIT_NAMES.find((name) => name === stoppedBy['limit']);
  if (limit === undefined || (layer !== 'cgroup' && layer !== 'prlimit'))
    throw new TypeError(`no layer ${String(layer)} holds ${String(stoppedBy['limit'])}`);
  return { layer, limit, value: number(stoppedBy, 'value') };
}

function limitsOf(value: unknown): Limits {
  const fields = object(value, 'limits');
  const named = LIMIT_NAMES.filter((name) => fields[name] !== undefined);
  return Object.fromEntries(named.map((name) => [name, number(fields, name)]));
}

function layerOf(value: unknown): SandboxLayer {
  if (value === 'none' || value === 'bwrap') return value;
  throw new TypeError(`no sandbox is called ${String(value)}`);
}

/** An agent of an earlier version says nothing of it. */
function hidingOf(value: unknown): HidingPrograms | null {
  if (value === null || value === undefined) return null;
  const fields = object(value, 'hide');
  return { unshare: string(fields, 'unshare'), mount: string(fields, 'mount') };
}

function baseOf(value: unknown): CgroupBase | null {
  if (value === null) return null;
  const fields = object(value, 'cgroup');
  return { version: number(fields, 'version') === 2 ? 2 : 1, path: string(fields, 'path') };
}

function texts(value: unknown, name: string): readonly string[] {
  return list(value, name).map((text) => string({ [name]: text }, name));
}

function textsOrNull(value: unknown, name: string): readonly string[] | null {
  return value === null ? null : texts(value, name);
}

function textOrNull(fields: Fields, name: string): string | null {
  return fields[name] === null ? null : string(fields, name);
}
