import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../../src/config/package-root.js';
import { jobReplySchema } from '../../src/jobs/job-view.js';
import { submitSchema } from '../../src/jobs/request.js';

type Field = keyof typeof submitSchema.shape;
/** Fields that a list leaves out, each with its reason. */
type Exceptions = Partial<Record<Field, string>>;

const fields = Object.keys(submitSchema.shape) as Field[];

/** Fields that are neither in the list nor an exception, and exceptions that are in the list. */
function strays(list: Iterable<string>, exceptions: Exceptions = {}): Field[] {
  const listed = new Set(list);
  return fields.filter((field) => listed.has(field) === field in exceptions);
}

test('every field of POST /jobs is shown with the job', () => {
  const callOptions = { dedup: 'concerns the call, not the job', dry_run: 'makes no job' };
  expect(strays(Object.keys(jobReplySchema.shape), callOptions)).toEqual([]);
});

test('every field of POST /jobs has its row in docs/api.md, as the schema describes it', () => {
  const page = readFileSync(join(packageRoot, 'docs', 'api.md'), 'utf8');
  const rows = fields.map((name) => {
    const field = submitSchema.shape[name];
    const fallback =
      field instanceof z.ZodDefault ? ` \`${JSON.stringify(field.def.defaultValue)}\`` : '';
    return `| \`${name}\` |${fallback} | ${field.description} |`;
  });
  expect(rows.filter((row) => !page.includes(row))).toEqual([]);
});
