import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/config/package-root.js';
import { TestApi } from './api.js';
import { callTable } from './call-table.js';

const page = join(packageRoot, 'docs', 'api.md');
const between = /(<!-- calls: .* -->\n)([^]*?)(\n<!-- end of calls -->)/;

test('the table of calls in docs/api.md matches the endpoints', async () => {
  const api = await TestApi.start();
  const table = callTable(api.endpoints);
  await api.close();
  const text = readFileSync(page, 'utf8');
  if (process.env['UPDATE_DOCS'] === '1')
    writeFileSync(
      page,
      text.replace(between, (_, start, __, end) => `${start}${table}${end}`),
    );
  expect(between.exec(readFileSync(page, 'utf8'))?.[2]).toBe(table);
});
