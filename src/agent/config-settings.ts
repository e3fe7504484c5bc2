import { z } from 'zod';
import { AspenError } from '../base/index.ts';
import { parseDnsName, parsePlace } from '../discovery/index.ts';
import { PROXY_AUTO, PROXY_OFF, parseProxy, proxyText } from '../mesh/index.ts';
import { ALLOWED_NETWORKS_LIMIT, parseNetwork } from '../workers/index.ts';
import { BUILT_IN_TYPES } from './built-in-types.ts';
import { durationSchema, fromText, orAny, orNone, rateSchema, sizeSchema } from './config-values.ts';
import { LABEL_KEY, LABEL_KEY_RULE } from './label-key.ts';

/** What a job may use of the machine; `none` is no bound. */
export interface ConfiguredLimits {
  readonly memoryBytes: number | 'none';
  readonly cpuSeconds: number | 'none';
  readonly pids: number | 'none';
  readonly fileBytes: number | 'none';
  readonly outputBytes: number;
  readonly wallMs: number | 'none';
}

/** Nothing at all; what this node runs itself and that touches the machine; or also `echo` jobs. Attached workers keep logs of their own. */
export type AuditMode = 'off' | 'commands' | 'all';

/** What the owner of a machine decides about its agent, and about the work that runs there. */
export interface AgentConfig {
  /** Shown to people; the peer id is the name that counts. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[];
  /** Multiaddrs told to others in place of those of the interfaces, e.g. behind a port that a router forwards; none for the latter. */
  readonly announce: readonly string[];
  /** Whether a router is asked to open a port where this machine has no public address. */
  readonly portMapping: 'auto' | 'off';
  /** Where members may be: `/dnsaddr/<name>`, or addresses that end with `/p2p/<peer id>`. */
  readonly bootstrap: readonly string[];
  /** Whether this node carries circuits between members that do not reach each other: `auto` where it is reached from anywhere. */
  readonly relay: 'auto' | 'on' | 'off';
  /** The proxy for WebSockets to members outside: a URL, `auto` for what `HTTPS_PROXY` and its like say, or `off`. */
  readonly proxy: string;
  /** Files (PEM) with what is shown to whoever comes by WebSocket over TLS; `none` for a certificate made at each start. */
  readonly tlsCertificate: string;
  readonly tlsKey: string;
  /** Whether a web server on this machine is believed from where those come that it brings to a plain WebSocket. */
  readonly isForwardedTrusted: boolean;
  readonly isMdnsEnabled: boolean;
  /** Whether this node takes part in the mesh's table of addresses: `auto` answers others where it is reached from anywhere, `on` always. */
  readonly dht: 'auto' | 'on' | 'off';
  /** Whether holes through routers are made by QUIC where TCP gets nothing through. */
  readonly quic: 'auto' | 'off';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Job types this machine is willing to run. */
  readonly jobTypes: readonly string[];
  /** How many attempts may run here at once. */
  readonly slots: number;
  /** How many they may become while work waits; 0 for no more than `slots`. */
  readonly slotsMost: number;
  /** How many voters the group should have once the mesh has as many eligible nodes: 1, 3, 5 or 7. */
  readonly voters: 1 | 3 | 5 | 7;
  /** A voter that is away this long gives its place to a standby. Counts where this node leads. Unit: ms. */
  readonly voterGraceMs: number;
  /** Most bytes of blobs on this machine. */
  readonly blobQuotaBytes: number;
  /** Port of 127.0.0.1 on which Prometheus may read `/metrics`; 0 for none. */
  readonly metricsPort: number;
  /** How long the whole output of a job is kept here; its record, with head and tail, stays as long as it says itself. Unit: ms. */
  readonly outputRetentionMs: number;
  /** Nodes that keep the whole output of a job that ran here, this one included. */
  readonly outputReplicas: number;
  /** Networks that jobs may reach over HTTP although they are not public, such as `10.1.0.0/16`; `private` for all of them. */
  readonly httpAllow: readonly string[];
  /** What goes into the audit log beside administrative acts. */
  readonly audit: AuditMode;
  /** Programs that shell jobs may be: names, looked up in `PATH`, or paths. */
  readonly shellCommands: readonly string[] | 'any';
  /** Where shell jobs may start: these directories, and what lies below. */
  readonly shellDirectories: readonly string[] | 'any';
  /** Variables that shell jobs may bring; `NAME_*` is all that begin so. Naming one that is refused otherwise allows it. */
  readonly shellVariables: readonly string[] | 'any';
  /** Whose processes shell jobs are, where the agent is root. */
  readonly shellUser: string | 'none';
  /** What shell jobs run in that ask for nothing themselves. */
  readonly sandboxLayer: 'none' | 'bwrap';
  /** Every shell job runs in that layer, or not at all: neither the job nor a machine without it can do otherwise. */
  readonly isSandboxRequired: boolean;
  /** What a job in a sandbox may change. */
  readonly sandboxWritable: readonly string[];
  /** Whether a job in a sandbox may use the network when it asks to. */
  readonly isSandboxNetworked: boolean;
  /** Jobs outside of a sandbox find nothing in the agent's data directory, where this machine can hide it. */
  readonly isAgentHidden: boolean;
  /** Of a job that names none. */
  readonly limits: ConfiguredLimits;
  /** Of any job, whatever it names. */
  readonly maximums: ConfiguredLimits;
  /** How many attempts of a type may begin here in a time, e.g. `{shell: '10/s'}`. */
  readonly rates: Readonly<Record<string, string>>;
}

export type SettingUnit = 'ms' | 'bytes';

/** One setting: where it is written, and how. */
export interface Setting {
  /** Dotted, in `aspen.yaml`; the environment variable is `ASPEN_` and the same in capitals, words parted by `_`. */
  readonly path: string;
  readonly schema: z.ZodType;
  /** @returns the value that the schema is given, from the environment's text. */
  readonly fromText: (text: string) => unknown;
  /** What its numbers count, where people write them with a unit. */
  readonly unit?: SettingUnit;
  /** @returns what people may see of a value. @default all of it */
  readonly shown?: (value: unknown) => unknown;
}

const labelsSchema = z
  .record(z.string().regex(LABEL_KEY, LABEL_KEY_RULE), z.string().max(256))
  .refine((labels) => Object.keys(labels).length <= 64, 'at most 64 labels');
/** Below the least a blink would cost a vote. Unit: ms. */
const VOTER_GRACE_MS = { least: 1_000, most: 7 * 24 * 3_600_000 };
/** Unit: ms. */
const OUTPUT_RETENTION_MOST_MS = 366 * 24 * 3_600_000;
const network = z.string().superRefine((text, context) => {
  if (text === 'private') return;
  try {
    parseNetwork(text);
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
});
const proxy = z
  .string()
  .max(2_048)
  .superRefine((text, context) => {
    if (text === PROXY_AUTO || text === PROXY_OFF) return;
    try {
      parseProxy(text);
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
    }
  });
/** Its password is nobody's business. */
const shownProxy = (value: unknown): unknown =>
  value === PROXY_AUTO || value === PROXY_OFF ? value : proxyText(parseProxy(String(value)));
const multiaddr = z.string().startsWith('/', 'write a multiaddr, for example /ip4/0.0.0.0/tcp/4100');
const bootstrapAddress = z
  .string()
  .max(256)
  .refine(
    (text) => parseDnsName(text) !== undefined || parsePlace(text) !== undefined,
    'write /dnsaddr/mesh.example.org, or an address that ends with /p2p/<peer id>',
  );
const absolutePath = z.string().startsWith('/', 'write an absolute path, for example /srv/work').max(4_096);
const command = z.string().min(1).max(4_096);
const variable = z
  .string()
  .regex(/^[^=*\s]+\*?$/, 'write the name of a variable, or the beginning of names and *');
const userName = z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/i, 'write the name of a user of this machine');
const count = z
  .int()
  .min(1)
  .max(2 ** 31);
const seconds = z
  .int()
  .min(1)
  .max(2 ** 31);
const wallMs = durationSchema.pipe(z.number().min(1).max(Number.MAX_SAFE_INTEGER));

const row = (path: string, schema: z.ZodType, read: (text: string) => unknown = fromText.text): Setting => ({
  path,
  schema,
  fromText: read,
});

const durationRow = (path: string, schema: z.ZodType): Setting => ({ ...row(path, schema), unit: 'ms' });
const sizeRow = (path: string, schema: z.ZodType): Setting => ({ ...row(path, schema), unit: 'bytes' });

/** A memory smaller than this starts no program. Unit: bytes. */
const LEAST_MEMORY_BYTES = 2 ** 20;

const limitRows = (name: 'limits' | 'maximums') =>
  ({
    memoryBytes: sizeRow(`${name}.memory`, orNone(sizeSchema.pipe(z.number().min(LEAST_MEMORY_BYTES)))),
    cpuSeconds: row(`${name}.cpuSeconds`, orNone(seconds), fromText.numberOrNone),
    pids: row(`${name}.processes`, orNone(count), fromText.numberOrNone),
    fileBytes: sizeRow(`${name}.fileSize`, orNone(sizeSchema)),
    outputBytes: sizeRow(`${name}.output`, sizeSchema),
    wallMs: durationRow(`${name}.wallClock`, orNone(wallMs)),
  }) satisfies Record<keyof ConfiguredLimits, Setting>;

/** Every setting there is: what is not here is refused. */
export const SETTINGS = {
  name: row('name', z.string().min(1).max(64)),
  labels: row('labels', labelsSchema, fromText.map),
  listen: row('listen', z.array(multiaddr).max(16), fromText.list),
  announce: row('announce', z.array(multiaddr.max(256)).max(16), fromText.list),
  portMapping: row('portMapping', z.enum(['auto', 'off'])),
  bootstrap: row('bootstrap', z.array(bootstrapAddress).max(16), fromText.list),
  relay: row('relay', z.enum(['auto', 'on', 'off'])),
  proxy: { ...row('proxy', proxy), shown: shownProxy },
  tlsCertificate: row('tls.certificate', orNone(absolutePath)),
  tlsKey: row('tls.key', orNone(absolutePath)),
  isForwardedTrusted: row('trustForwarded', z.boolean(), fromText.flag),
  isMdnsEnabled: row('mdns', z.boolean(), fromText.flag),
  dht: row('dht', z.enum(['auto', 'on', 'off'])),
  quic: row('quic', z.enum(['auto', 'off'])),
  logLevel: row('logLevel', z.enum(['debug', 'info', 'warn', 'error'])),
  jobTypes: row('jobTypes', z.array(z.string().min(1).max(128)).max(64), fromText.list),
  slots: row('slots', z.int().min(0).max(10_000), fromText.number),
  slotsMost: row('slotsMost', z.int().min(0).max(10_000), fromText.number),
  voters: row('voters', z.literal([1, 3, 5, 7]), fromText.number),
  voterGraceMs: durationRow(
    'voterGrace',
    durationSchema.pipe(z.number().min(VOTER_GRACE_MS.least).max(VOTER_GRACE_MS.most)),
  ),
  blobQuotaBytes: sizeRow('blobQuota', sizeSchema),
  metricsPort: row('metricsPort', z.int().min(0).max(65_535), fromText.number),
  outputRetentionMs: durationRow(
    'outputRetention',
    durationSchema.pipe(z.int().min(0).max(OUTPUT_RETENTION_MOST_MS)),
  ),
  outputReplicas: row('outputReplicas', z.int().min(1).max(5), fromText.number),
  httpAllow: row('httpAllow', z.array(network).max(ALLOWED_NETWORKS_LIMIT), fromText.list),
  audit: row('audit', z.enum(['off', 'commands', 'all'])),
  shellCommands: row('shell.commands', orAny(command), fromText.listOrAny),
  shellDirectories: row('shell.directories', orAny(absolutePath), fromText.listOrAny),
  shellVariables: row('shell.environment', orAny(variable), fromText.listOrAny),
  shellUser: row('shell.user', userName),
  sandboxLayer: row('sandbox.layer', z.enum(['none', 'bwrap'])),
  isSandboxRequired: row('sandbox.required', z.boolean(), fromText.flag),
  sandboxWritable: row('sandbox.writable', z.array(absolutePath).max(256), fromText.list),
  isSandboxNetworked: row('sandbox.network', z.boolean(), fromText.flag),
  isAgentHidden: row('sandbox.hideAgent', z.boolean(), fromText.flag),
  limits: limitRows('limits'),
  maximums: limitRows('maximums'),
  rates: row('rates', z.record(z.string().min(1).max(128), rateSchema), fromText.map),
} satisfies Readonly<Record<keyof AgentConfig, Setting | Readonly<Record<string, Setting>>>>;

/** What a machine's agent runs with where nobody said anything. */
export function defaultsOf(machine: { readonly cpuCount: number; readonly hostName: string }) {
  return {
    name: machine.hostName,
    labels: {},
    listen: ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'],
    announce: [],
    portMapping: 'auto',
    bootstrap: [],
    relay: 'auto',
    proxy: PROXY_AUTO,
    tlsCertificate: 'none',
    tlsKey: 'none',
    isForwardedTrusted: false,
    isMdnsEnabled: true,
    dht: 'auto',
    quic: 'auto',
    logLevel: 'info',
    jobTypes: [...BUILT_IN_TYPES],
    slots: Math.max(16, machine.cpuCount * 4),
    slotsMost: 0,
    voters: 3,
    voterGraceMs: 30_000,
    blobQuotaBytes: 10 * 2 ** 30,
    metricsPort: 0,
    outputRetentionMs: 7 * 24 * 3_600_000,
    outputReplicas: 1,
    httpAllow: [],
    audit: 'commands',
    shellCommands: 'any',
    shellDirectories: 'any',
    shellVariables: 'any',
    shellUser: 'none',
    sandboxLayer: 'none',
    isSandboxRequired: false,
    sandboxWritable: [],
    isSandboxNetworked: false,
    isAgentHidden: true,
    limits: {
      ...{ memoryBytes: 'none', cpuSeconds: 'none', pids: 'none', fileBytes: 'none' },
      ...{ outputBytes: 64 * 2 ** 20, wallMs: 'none' },
    },
    maximums: {
      ...{ memoryBytes: 'none', cpuSeconds: 'none', pids: 'none', fileBytes: 'none' },
      ...{ outputBytes: 2 * 2 ** 30, wallMs: 'none' },
    },
    rates: {},
  } satisfies AgentConfig;
}
