/**
 * The import rules of the house (docs/ARCHITECTURE.md): calls go down, values and facts come up, no circles.
 * `test/unit/house/import-rules.test.ts` plants a violation of each rule and sees it reported.
 */
const below = {
  base: [],
  storage: ['base'],
  discovery: ['base'],
  blobs: ['mesh', 'base'],
  mesh: ['discovery', 'base'],
  crdt: ['mesh', 'storage', 'base'],
  lease: ['mesh', 'storage', 'base'],
  affinity: ['base'],
  audit: ['base'],
  secrets: ['base'],
  supervisor: ['secrets', 'base'],
  jobs: ['affinity', 'supervisor', 'secrets', 'lease', 'crdt', 'mesh', 'storage', 'base'],
  workers: ['jobs', 'blobs', 'lease', 'crdt', 'mesh', 'storage', 'base'],
  rpc: ['base'],
  sdk: ['rpc', 'base'],
  cli: ['sdk', 'secrets', 'rpc', 'base'],
  agent: [
    'rpc',
    'workers',
    'audit',
    'secrets',
    'jobs',
    'blobs',
    'affinity',
    'supervisor',
    'lease',
    'crdt',
    'mesh',
    'discovery',
    'storage',
    'base',
  ],
};

/** Files that touch the operating system, libp2p or lmdb; everything else runs in the simulator as it is. */
const ADAPTERS = '/(os|libp2p|lmdb)-[^/]*\\.ts$';
const RAFT = '^src/lease/raft/';
const MACHINE = '^src/lease/machine/';

const folders = Object.entries(below).map(([folder, allowed]) => ({
  name: `${folder}-imports-only-what-lies-below`,
  severity: 'error',
  comment: `src/${folder} may import: ${[folder, ...allowed].join(', ')}`,
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
}));

const doors = [
  {
    name: 'folders-have-one-door',
    severity: 'error',
    comment: 'a folder is entered through its index.ts; raft has a stricter rule, adapters have their own',
    from: { path: '^src/([^/]+)/', pathNot: RAFT },
    to: {
      path: '^src/[^/]+/',
      pathNot: ['^src/$1/', '^src/[^/]+/index\\.ts$', `${MACHINE}index\\.ts$`, ADAPTERS],
    },
  },
  {
    name: 'raft-has-one-door',
    severity: 'error',
    comment: 'src/lease/raft is entered through its index.ts, and from src/lease only',
    from: { path: '^src/', pathNot: RAFT },
    to: { path: RAFT, pathNot: `${RAFT}index\\.ts$` },
  },
  {
    name: 'machine-has-one-door',
    severity: 'error',
    comment: 'src/lease/machine is entered through its index.ts',
    from: { path: '^src/', pathNot: MACHINE },
    to: { path: MACHINE, pathNot: `${MACHINE}index\\.ts$` },
  },
  {
    name: 'machine-is-for-lease-and-jobs',
    severity: 'error',
    comment: 'whoever offers the machine a module may use its inner door: lease itself and jobs',
    from: { path: '^src/', pathNot: '^src/(lease|jobs)/' },
    to: { path: `${MACHINE}index\\.ts$` },
  },
];

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    ...folders,
    {
      name: 'main-imports-only-cli-and-agent',
      severity: 'error',
      comment: 'src/main.ts starts the program and knows nothing else',
      from: { path: '^src/main\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(cli|agent)/' },
    },
    ...doors,
    {
      name: 'raft-is-pure',
      severity: 'error',
      comment: 'src/lease/raft imports nothing but base/{assert,errors,random,brand}, each by its own file',
      from: { path: RAFT },
      to: { pathNot: [RAFT, '^src/base/(assert|errors|random|brand)\\.ts$'] },
    },
    {
      name: 'affinity-is-pure',
      severity: 'error',
      comment: 'src/affinity sees values only: no package, no module of Node',
      from: { path: '^src/affinity/' },
      to: { pathNot: '^src/' },
    },
    {
      name: 'rules-never-import-libp2p',
      severity: 'error',
      from: { path: '^src/(jobs|lease|crdt|rpc|sdk|cli)/' },
      to: { path: 'node_modules/(@libp2p|libp2p|@chainsafe)/' },
    },
    {
      name: 'adapters-only-in-composition-roots',
      severity: 'error',
      comment:
        'adapters are imported by adapters (src/agent/os-platform.ts is one) and where the CLI and the SDK build their platform',
      from: { path: '^src/', pathNot: [ADAPTERS, '^src/(sdk|cli)/', '^src/main\\.ts$'] },
      to: { path: `^src/.*${ADAPTERS}` },
    },
    {
      name: 'native-and-network-libraries-only-in-adapters',
      severity: 'error',
      from: { path: '^src/', pathNot: ADAPTERS },
      to: { path: 'node_modules/(lmdb|libp2p|@libp2p|@chainsafe)/' },
    },
    {
      name: 'src-never-imports-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|examples|scripts)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
