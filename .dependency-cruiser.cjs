/** The import rules of the house (docs/ARCHITECTURE.md): calls go down, values and facts come up, no circles. */
const below = {
  base: [],
  storage: ['base'],
  discovery: ['base'],
  mesh: ['discovery', 'base'],
  crdt: ['mesh', 'storage', 'base'],
  lease: ['mesh', 'storage', 'base'],
  affinity: ['base'],
  jobs: ['affinity', 'lease', 'crdt', 'mesh', 'storage', 'base'],
  rpc: ['base'],
  sdk: ['rpc', 'base'],
  cli: ['sdk', 'rpc', 'base'],
  agent: ['rpc', 'jobs', 'affinity', 'lease', 'crdt', 'mesh', 'discovery', 'storage', 'base'],
};

const folders = Object.entries(below).map(([folder, allowed]) => ({
  name: `${folder}-imports-only-what-lies-below`,
  severity: 'error',
  comment: `src/${folder} may import: ${[folder, ...allowed].join(', ')}`,
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
}));

const doors = {
  name: 'folders-have-one-door',
  severity: 'error',
  comment:
    'a folder is entered through its index.ts; adapters (os-*, libp2p-*, lmdb-*) are entered by the composition roots',
  from: { path: '^src/([^/]+)/' },
  to: {
    path: '^src/([^/]+)/',
    pathNot: [
      '^src/$1/',
      '^src/[^/]+/index\\.ts$',
      '^src/lease/(raft|machine)/index\\.ts$',
      '/(os|libp2p|lmdb)-[^/]*\\.ts$',
    ],
  },
};

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
    ...folders,
    doors,
    {
      name: 'raft-is-pure',
      severity: 'error',
      comment: 'src/lease/raft imports nothing but base/{assert,errors,random,brand}',
      from: { path: '^src/lease/raft/' },
      to: { pathNot: ['^src/lease/raft/', '^src/base/(assert|errors|random|brand)\\.ts$'] },
    },
    {
      name: 'affinity-is-pure',
      severity: 'error',
      from: { path: '^src/affinity/' },
      to: { dependencyTypes: ['core', 'npm'] },
    },
    {
      name: 'jobs-never-imports-libp2p',
      severity: 'error',
      from: { path: '^src/(jobs|lease|crdt|rpc|sdk|cli)/' },
      to: { path: 'node_modules/(@libp2p|libp2p|@chainsafe)' },
    },
    {
      name: 'adapters-only-in-composition-roots',
      severity: 'error',
      comment:
        'os-*, libp2p-* and lmdb-* adapters are imported where the agent, the CLI or the SDK builds its real platform',
      from: {
        path: '^src/',
        pathNot: [
          '/(os|libp2p|lmdb)-[^/]*\\.ts$',
          '^src/(agent|cli|sdk)/os-platform\\.ts$',
          '^src/(sdk|cli)/',
          '^src/main\\.ts$',
        ],
      },
      to: { path: '^src/.*/(os|libp2p|lmdb)-[^/]*\\.ts$' },
    },
    {
      name: 'native-and-network-libraries-only-in-adapters',
      severity: 'error',
      from: { path: '^src/', pathNot: ['/(os|libp2p|lmdb)-[^/]*\\.ts$', '^src/base/codec\\.ts$'] },
      to: { path: 'node_modules/(lmdb|libp2p|@libp2p|@chainsafe)/' },
    },
    {
      name: 'src-never-imports-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|examples)/' },
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
