import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/config/package-root.js';

const maxColumns = 100;
/** Prettier wraps code, but not comments. A long link cannot be wrapped. */
const isComment = (line: string) => /^\s*(\/\/|\/\*|\*(\s|\/|$))/.test(line);
const endsInLink = (line: string) => /https?:\/\/\S+\s*(\*\/)?$/.test(line);

const files = ['src', 'test', 'bench'].flatMap((folder) =>
  readdirSync(join(packageRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.[jt]s$/.test(path))
    .map((path) => join(folder, path)),
);

test('comments are at most 100 columns wide', () => {
  const wide = files.flatMap((path) =>
    readFileSync(join(packageRoot, path), 'utf8')
      .split('\n')
      .map((line, i) => ({ at: `${path}:${i + 1}`, line }))
      .filter(({ line }) => line.length > maxColumns && isComment(line) && !endsInLink(line))
      .map(({ at }) => at),
  );
  expect(wide).toEqual([]);
});
