import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/config/package-root.js';

interface LockedPackage {
  version: string;
  resolved?: string;
  integrity?: string;
  license?: string;
  dev?: boolean;
  link?: boolean;
  hasInstallScript?: boolean;
}

const lock = JSON.parse(readFileSync(join(packageRoot, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, LockedPackage>;
};
const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

/** Licences that let us ship a package in the image. */
const free = /^(MIT|ISC|0BSD|Apache-2\.0|BSD-[23]-Clause|BlueOak-1\.0\.0|Apache-2\.0 AND MIT)$/;
/** Packages whose metadata names no licence, each with the one in its files. */
const named: Record<string, string> = {
  'node_modules/busboy': 'MIT',
  'node_modules/streamsearch': 'MIT',
};

const pathsOf = (wrong: (one: LockedPackage, path: string) => boolean) =>
  packages.filter(([path, one]) => wrong(one, path)).map(([path]) => path);

test('each package comes from the registry, with a digest', () => {
  expect(packages.length).toBeGreaterThan(100);
  expect(
    pathsOf(
      ({ resolved = 'https://registry.npmjs.org/', integrity, link }) =>
        link === true ||
        !resolved.startsWith('https://registry.npmjs.org/') ||
        !/^sha512-/.test(integrity ?? ''),
    ),
  ).toEqual([]);
});

test('only the compiled package runs a program when it is installed', () => {
  expect(pathsOf(({ dev, hasInstallScript }) => dev !== true && hasInstallScript === true)).toEqual(
    ['node_modules/better-sqlite3'],
  );
  expect(readFileSync(join(packageRoot, '.npmrc'), 'utf8')).toMatch(/^ignore-scripts=true$/m);
});

test('what is shipped has a licence that allows it', () => {
  expect(
    pathsOf(
      ({ dev, license }, path) =>
        dev !== true &&
        !(named[path] ?? license ?? '').split(/[()]| OR /).some((one) => free.test(one)),
    ),
  ).toEqual([]);
});
