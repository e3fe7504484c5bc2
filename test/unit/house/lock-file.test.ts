import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

interface LockFile {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly optional?: boolean;
        readonly engines?: { readonly node?: string };
        readonly optionalDependencies?: Readonly<Record<string, string>>;
      }
    >
  >;
}

const { packages } = JSON.parse(
  readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8'),
) as LockFile;

/** Node versions that npm may be run by. */
const LEAST_OF_NPM = 20;

describe('package-lock.json', () => {
  it('has an entry for each optional part of each package, those of other platforms too: npm ci refuses it without', () => {
    const places = Object.keys(packages);
    const missing = Object.values(packages)
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter((name) => !places.some((place) => place.endsWith(`node_modules/${name}`)));
    assert.deepEqual(missing, []);
  });

  it('asks for no newer Node for an optional package: npm leaves it out where it is itself run by an older one than the agents are', () => {
    const tooNew = Object.entries(packages)
      .filter(([, { optional, engines }]) => optional === true && engines?.node !== undefined)
      .filter(([, { engines }]) => Number(/^>= ?(\d+)/.exec(engines?.node ?? '')?.[1] ?? 0) > LEAST_OF_NPM)
      .map(([place]) => place);
    assert.deepEqual(tooNew, []);
  });
});
