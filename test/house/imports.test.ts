import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { packageRoot } from '../../src/config/package-root.js';

/** The floors of `src/`, from the top. A file imports from its own folder and from lower floors. */
const floors = [
  ['main', 'index'],
  ['cli', 'app'],
  ['ingest', 'queue-api', 'machines'],
  ['jobs'],
  ['outputs', 'datasets', 'cluster'],
  ['auth'],
  ['http', 'storage', 'config', 'db'],
  [
    'errors',
    'abort',
    'brand',
    'every',
    'fair-turns',
    'free-space',
    'iso-time',
    'key-lock',
    'node-env',
    'repeated-error',
    'schema-problems',
    'slices',
  ],
];

interface Import {
  from: string;
  to: string;
}

const source = join(packageRoot, 'src');
const imports = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .flatMap((from): Import[] =>
    [...readFileSync(join(source, from), 'utf8').matchAll(/\b(?:from|import)\s*\(?\s*'(\..+?)'/g)]
      .map(([, specifier = '']) => join(source, dirname(from), specifier))
      .map((to) => ({ from, to: relative(source, to).replace(/\.js$/, '.ts') })),
  );

function floorOf(path: string): number {
  const room = path.split('/')[0]?.replace(/\.ts$/, '') ?? '';
  return floors.findIndex((floor) => floor.includes(room));
}

/** Neighbouring folders that an import joins, by their common parent. */
function siblings({ from, to }: Import): [string, string] | undefined {
  const [a, b] = [dirname(from).split('/'), dirname(to).split('/')];
  const common = a.findIndex((part, i) => part !== b[i]);
  if (common === -1 || common >= b.length || a[0] === '.' || b[0] === '.') return undefined;
  return [a.slice(0, common + 1).join('/'), b.slice(0, common + 1).join('/')];
}

test('every folder and file of src has a floor', () => {
  expect(readdirSync(source).filter((name) => floorOf(name) === -1)).toEqual([]);
});

test('no import goes up or across a floor', () => {
  const room = (path: string) => path.split('/')[0];
  const wrong = imports.filter(
    ({ from, to }) => room(from) !== room(to) && floorOf(from) >= floorOf(to),
  );
  expect(wrong).toEqual([]);
});

test('no neighbouring folders import each other in a circle', () => {
  const arrows = new Map<string, Set<string>>();
  for (const pair of imports.map(siblings).filter((pair) => pair !== undefined)) {
    const [from, to] = pair;
    arrows.set(from, (arrows.get(from) ?? new Set()).add(to));
  }
  const circles: string[][] = [];
  const follow = (folder: string, path: string[]) => {
    if (path.includes(folder)) circles.push([...path.slice(path.indexOf(folder)), folder]);
    else for (const next of arrows.get(folder) ?? []) follow(next, [...path, folder]);
  };
  for (const folder of arrows.keys()) follow(folder, []);
  expect(circles).toEqual([]);
});
