import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { cruise, type ICruiseResult, type IFlattenedRuleSet } from 'dependency-cruiser';

const config = createRequire(import.meta.url)('../../../.dependency-cruiser.cjs') as IFlattenedRuleSet & {
  readonly options: object;
};

interface Planted {
  readonly from: string;
  readonly to: string;
  /** The only rules that may report it; none where it is allowed. */
  readonly rules: readonly string[];
}

const LAYERS: Readonly<Record<string, string>> = {
  base: 'storage',
  storage: 'mesh',
  discovery: 'mesh',
  blobs: 'jobs',
  mesh: 'lease',
  crdt: 'lease',
  lease: 'crdt',
  affinity: 'mesh',
  audit: 'jobs',
  secrets: 'storage',
  supervisor: 'jobs',
  jobs: 'rpc',
  workers: 'rpc',
  rpc: 'jobs',
  sdk: 'agent',
  cli: 'agent',
  agent: 'sdk',
};

const PLANTED: readonly Planted[] = [
  ...Object.entries(LAYERS).map(([folder, above]) => ({
    from: `src/${folder}/layer.ts`,
    to: `src/${above}/index.ts`,
    rules: [`${folder}-imports-only-what-lies-below`],
  })),
  { from: 'src/main.ts', to: 'src/jobs/index.ts', rules: ['main-imports-only-cli-and-agent'] },
  { from: 'src/mesh/door.ts', to: 'src/base/clock.ts', rules: ['folders-have-one-door'] },
  { from: 'src/lease/side-door.ts', to: 'src/lease/raft/log.ts', rules: ['raft-has-one-door'] },
  { from: 'src/lease/back-door.ts', to: 'src/lease/machine/tables.ts', rules: ['machine-has-one-door'] },
  {
    from: 'src/agent/inner-door.ts',
    to: 'src/lease/machine/index.ts',
    rules: ['machine-is-for-lease-and-jobs'],
  },
  { from: 'src/lease/raft/clocked.ts', to: 'src/base/clock.ts', rules: ['raft-is-pure'] },
  { from: 'src/lease/raft/outside.ts', to: 'src/lease/outer.ts', rules: ['raft-is-pure'] },
  { from: 'src/lease/raft/reading.ts', to: 'node:fs', rules: ['raft-is-pure'] },
  { from: 'src/lease/raft/packaged.ts', to: 'zod', rules: ['raft-is-pure'] },
  { from: 'src/affinity/packaged.ts', to: 'zod', rules: ['affinity-is-pure'] },
  { from: 'src/affinity/reading.ts', to: 'node:fs', rules: ['affinity-is-pure'] },
  { from: 'src/jobs/libp2p-jobs.ts', to: '@libp2p/tcp', rules: ['rules-never-import-libp2p'] },
  {
    from: 'src/agent/compose.ts',
    to: 'src/mesh/libp2p-node.ts',
    rules: ['adapters-only-in-composition-roots'],
  },
  {
    from: 'src/storage/index-of-all.ts',
    to: 'src/storage/lmdb-store.ts',
    rules: ['adapters-only-in-composition-roots'],
  },
  { from: 'src/base/plain.ts', to: 'src/base/os-clock.ts', rules: ['adapters-only-in-composition-roots'] },
  { from: 'src/storage/plain.ts', to: 'lmdb', rules: ['native-and-network-libraries-only-in-adapters'] },
  { from: 'src/mesh/plain.ts', to: 'libp2p', rules: ['native-and-network-libraries-only-in-adapters'] },
  { from: 'src/agent/testing.ts', to: 'test/support.ts', rules: ['src-never-imports-tests'] },
  { from: 'src/agent/measuring.ts', to: 'bench/run.ts', rules: ['src-never-imports-tests'] },
  { from: 'src/rpc/circle-one.ts', to: 'src/rpc/circle-two.ts', rules: ['no-circles'] },

  { from: 'src/mesh/good.ts', to: 'src/base/index.ts', rules: [] },
  { from: 'src/lease/good.ts', to: 'src/lease/raft/index.ts', rules: [] },
  { from: 'src/lease/raft/good.ts', to: 'src/base/assert.ts', rules: [] },
  { from: 'src/jobs/good.ts', to: 'src/lease/machine/index.ts', rules: [] },
  { from: 'src/mesh/libp2p-good.ts', to: 'libp2p', rules: [] },
  { from: 'src/agent/os-platform.ts', to: 'src/storage/lmdb-store.ts', rules: [] },
  { from: 'src/cli/good.ts', to: 'src/rpc/os-client.ts', rules: [] },
  { from: 'src/main.ts', to: 'src/cli/index.ts', rules: [] },
];

/** The way back, so that the planted circle is one; a circle is reported once, at its first import. */
const WAY_BACK = { from: 'src/rpc/circle-two.ts', to: 'src/rpc/circle-one.ts' };

const PACKAGES = ['zod', 'lmdb', 'libp2p', '@libp2p/tcp'];

describe('import rules', function () {
  this.timeout(20_000);
  let root: string;
  let reported: ReadonlyMap<string, readonly string[]>;

  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'aspen-import-rules-'));
    plantAll(root);
    reported = await report(root);
  });
  after(() => rmSync(root, { recursive: true }));

  for (const { from, to, rules } of PLANTED) {
    const verdict = rules.length === 0 ? 'is allowed' : `is reported by ${rules.join(' and ')} alone`;
    it(`${from} -> ${to} ${verdict}`, () => assert.deepEqual(reported.get(from + to) ?? [], rules));
  }

  it('each rule is proven by a planted violation', () => {
    const proven = new Set(PLANTED.flatMap(({ rules }) => rules));
    assert.deepEqual(
      config.forbidden?.map(({ name }) => name).filter((name) => !proven.has(name as string)),
      [],
    );
  });
});

/** Writes a source tree of the shape of this one, in which each file imports what is planted in it. */
function plantAll(root: string): void {
  for (const name of PACKAGES) {
    plant(root, `node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
    plant(root, `node_modules/${name}/index.js`, 'module.exports = {};');
  }
  for (const { to } of PLANTED) if (to.includes('.ts')) plant(root, to, 'export const here = true;\n');
  plant(root, WAY_BACK.from, `${importOf(WAY_BACK.from, WAY_BACK.to)}\nexport const there = true;\n`);
  for (const from of new Set(PLANTED.map((planted) => planted.from))) {
    const imports = PLANTED.filter((planted) => planted.from === from).map(({ to }) => importOf(from, to));
    plant(root, from, `${imports.join('\n')}\nexport const there = true;\n`);
  }
}

function plant(root: string, path: string, text: string): void {
  mkdirSync(join(root, dirname(path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function importOf(from: string, to: string): string {
  const path = relative(dirname(from), to);
  const specifier = to.includes('.ts') ? (path.startsWith('.') ? path : `./${path}`) : to;
  return `import '${specifier}';`;
}

/** @returns the rules that reported each import, keyed by both paths. */
async function report(root: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const { output } = await cruise(['src'], {
    baseDir: root,
    validate: true,
    ruleSet: config,
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
  });
  const found = new Map<string, string[]>();
  for (const { from, to, rule } of (output as ICruiseResult).summary.violations) {
    const name = PACKAGES.find((each) => to.includes(`node_modules/${each}/`));
    const target = to === 'fs' ? 'node:fs' : (name ?? to);
    found.set(from + target, [...(found.get(from + target) ?? []), rule.name].toSorted());
  }
  return found;
}
