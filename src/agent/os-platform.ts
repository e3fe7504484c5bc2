import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { env } from 'node:process';
import { OsAuditFiles } from '../audit/os-audit-files.ts';
import type { Clock, Logger, Random } from '../base/index.ts';
import { OsClock } from '../base/os-clock.ts';
import { OsCrypto } from '../base/os-crypto.ts';
import { osLull } from '../base/os-lull.ts';
import { OsRandom } from '../base/os-random.ts';
import { OsBlobDisk } from '../blobs/os-blob-disk.ts';
import { BootstrapSource, type DiscoverySource } from '../discovery/index.ts';
import { Libp2pMdnsSource } from '../discovery/libp2p-mdns-source.ts';
import { OsNameLookup } from '../discovery/os-dns.ts';
import { readNetworkFacts } from '../discovery/os-network-facts.ts';
import { proxySettingsOf, type Transport } from '../mesh/index.ts';
import { Libp2pTransport } from '../mesh/libp2p-transport.ts';
import { openSealed } from '../secrets/os-open-sealed.ts';
import { readSealingKey } from '../secrets/os-sealing-key.ts';
import { type DataDirectory, DIRECTORY_FILES, isSealed, migrateDirectory } from '../storage/index.ts';
import { checkStoreFile } from '../storage/lmdb-check.ts';
import { StoreCompaction } from '../storage/os-compaction.ts';
import { openOsDataDirectory } from '../storage/os-data-directory.ts';
import { OsFileBox } from '../storage/os-files.ts';
import { openStoreWithJournal, STORE_SUFFIXES } from '../storage/os-journaled-store.ts';
import { osMigrations } from '../storage/os-migrations.ts';
import { moveAside } from '../storage/os-quarantine.ts';
import { type Layers, layerLabels, type WorkPolicy } from '../supervisor/index.ts';
import { probeLayers } from '../supervisor/os-layers.ts';
import { OsSupervisor } from '../supervisor/os-supervisor.ts';
import { OsCodecs } from '../workers/os-codecs.ts';
import { OsHttpClient } from '../workers/os-http-client.ts';
import { machineChecks } from './checks/os-machine-checks.ts';
import { sandboxCheck } from './checks/sandbox-check.ts';
import type { AgentConfig } from './config.ts';
import { createDht } from './libp2p-dht.ts';
import { OsGatewayHttp } from './net/os-gateway-http.ts';
import { readGateway, readMachineNetwork, readNetworkMark } from './net/os-machine-network.ts';
import { createProxyProbe } from './net/os-proxy-probe.ts';
import { OsUdpPort } from './net/os-udp-port.ts';
import { jobRowsMigration } from './os-job-rows.ts';
import { OsListenPorts } from './os-listen-ports.ts';
import { readMachineLabels } from './os-machine-labels.ts';
import { readPower } from './os-power.ts';
import { OsProcessFacts } from './os-process-facts.ts';
import { readTlsIdentity } from './os-tls-identity.ts';
import type { Platform } from './platform.ts';
import { workPolicyOf } from './work-policy.ts';

export interface OsPlatformOptions {
  readonly dataDir: string;
  readonly config: AgentConfig;
  readonly logger: Logger;
}

/**
 * The real world: this machine's clocks, disk and network.
 * @throws AspenError CONFLICT when another agent uses the directory; as `openOsDataDirectory` otherwise.
 */
export async function createOsPlatform({ dataDir, config, logger }: OsPlatformOptions): Promise<Platform> {
  const clock = new OsClock();
  const random = new OsRandom();
  const proxies = proxySettingsOf(config.proxy, env);
  const tls = await readTlsIdentity(config);
  const proxy = createProxyProbe(proxies, clock);
  const crypto = new OsCrypto();
  const directory = await openOsDataDirectory(dataDir, { random });
  await migrateOs(directory, { clock, random, log: logger });
  const ports = new OsListenPorts(directory, random);
  const { isMdnsEnabled, outputRetentionMs } = config;
  const policy = workPolicyOf(config);
  const { layers, why } = await probeLayers();
  const supervisor = new OsSupervisor(
    { clock, log: logger },
    { dataDirectory: directory.path, outputRetentionMs, confinement: { policy, layers } },
  );
  const compaction = new StoreCompaction(directory, { clock, log: logger });
  const processFacts = new OsProcessFacts();
  return {
    clock,
    lull: osLull,
    random,
    crypto,
    logger,
    directory,
    version: readVersion(),
    supervisor,
    archive: supervisor.archive,
    environment: env,
    power: () => readPower(),
    process: () => processFacts.read(),
    machine: { ...readMachineLabels(), ...layerLabels(layers, policy) },
    refusedTypes: isSandboxMissing(policy, layers) ? ['shell'] : [],
    checks: () => [sandboxCheck({ layers, why, policy }), ...machineChecks(directory.path, compaction)],
    network: readMachineNetwork,
    networkMark: readNetworkMark,
    gateway: readGateway,
    gatewayHttp: new OsGatewayHttp(),
    udp: new OsUdpPort(),
    ...(proxy !== undefined && { proxy }),
    compactor: compaction,
    openStore: async () => {
      const checked = checkStoreFile(directory.storePath, { isGenuine: isSealed });
      logger.debug({ ...checked }, 'store checked');
      await compaction.runIfAsked();
      return openStoreWithJournal(directory.storePath, { clock, random });
    },
    quarantineStore: (reason) =>
      moveAside({
        directory: directory.path,
        names: STORE_SUFFIXES.map((suffix) => DIRECTORY_FILES.store + suffix),
        reason,
        wallMs: clock.wallMs(),
      }),
    eraseStore: async () => {
      for (const suffix of STORE_SUFFIXES)
        await rm(directory.storePath + suffix, { recursive: true, force: true });
      await rm(join(directory.path, DIRECTORY_FILES.blobs), { recursive: true, force: true });
    },
    sealingKey: readSealingKey(directory.path, crypto),
    openSealed: (sealed, self) => openSealed(directory.path, { ...sealed, peerId: self }, crypto),
    auditFiles: new OsAuditFiles(join(directory.path, DIRECTORY_FILES.audit)),
    blobDisk: new OsBlobDisk(join(directory.path, DIRECTORY_FILES.blobs)),
    http: new OsHttpClient(),
    codecs: new OsCodecs(),
    createTransport: ({ identity, gate, meshId, listen, announce }) =>
      new Libp2pTransport(
        { identity, gate, clock, crypto, random, log: logger },
        {
          ...{ meshId, listen, ports, proxies, isForwardedTrusted: config.isForwardedTrusted },
          quic: config.quic,
          ...(tls !== undefined && { tls }),
          ...(announce !== undefined && { announce }),
        },
      ),
    createDiscovery: (request) => {
      const { meshId, transport } = request;
      const addresses = () => transport.addresses();
      const mdns = () =>
        new Libp2pMdnsSource(
          { clock, log: logger, addresses, networkFacts: readNetworkFacts },
          { self: transport.self, meshId },
        );
      return [
        ...(isMdnsEnabled ? [mdns()] : []),
        ...bootstrapOf(config, { clock, random, log: logger, transport }),
        ...createDht({ clock, random, crypto, log: logger }, request, { dht: config.dht }),
      ];
    },
  };
}

/** @throws AspenError or StorageFault when it cannot be finished now; the directory is given back then. */
async function migrateOs(
  directory: DataDirectory,
  parts: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): Promise<void> {
  try {
    const { path, storePath } = directory;
    const { log } = parts;
    const steps = [...osMigrations({ path, log }), jobRowsMigration(storePath, parts)];
    await migrateDirectory({ files: new OsFileBox(path), path, log, steps });
  } catch (error) {
    await directory[Symbol.asyncDispose]();
    throw error;
  }
}

function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
  };
  return manifest.version;
}

/** Without names and places of the owner's, nothing is asked. */
function bootstrapOf(
  { bootstrap: addresses }: AgentConfig,
  {
    transport,
    ...parts
  }: Pick<Platform, 'clock' | 'random'> & {
    readonly log: Logger;
    readonly transport: Transport;
  },
): readonly DiscoverySource[] {
  if (addresses.length === 0) return [];
  const linkCount = () => transport.links().length;
  return [
    new BootstrapSource(
      { ...parts, lookup: new OsNameLookup(), linkCount },
      { addresses, self: transport.self },
    ),
  ];
}

/** What the owner requires of every job is not there: the node offers none. */
function isSandboxMissing({ sandbox }: WorkPolicy, { bwrap }: Layers): boolean {
  return sandbox.isRequired && sandbox.layer === 'bwrap' && bwrap === null;
}
