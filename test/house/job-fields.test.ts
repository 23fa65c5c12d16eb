import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../../src/config/package-root.js';
import { jobTypeSchema } from '../../src/ingest/gitlab/job-types.js';
import { jobReplySchema } from '../../src/jobs/job-view.js';
import { fieldsOf } from '../../src/jobs/normalize.js';
import { submitSchema, type JobRequest } from '../../src/jobs/request.js';

type Field = keyof typeof submitSchema.shape;
/** Fields that a list leaves out, each with a reason. */
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

test('every field may be set for a job_type of GitLab, except those that each job decides', () => {
  expect(
    strays(Object.keys(jobTypeSchema.shape), {
      name: 'is the name of the manifest’s job',
      experiment_id: 'belongs to one job; a mapping serves many',
      dedup: 'a claimed job must run, and report its own outcome',
      dry_run: 'a claim asks for a job',
    }),
  ).toEqual([]);
});

test('a rerun submits every field again', () => {
  const request = Object.fromEntries(fields.map((field) => [field, `the ${field}`]));
  const again = Object.entries(fieldsOf(request as unknown as JobRequest));
  expect(
    strays(
      again.filter(([field, value]) => value === request[field]).map(([field]) => field),
      {
        gpus: 'is not sent beside gpu_mem_gb',
        dedup: 'a rerun repeats a job on purpose',
        dry_run: 'a rerun makes a job',
      },
    ),
  ).toEqual([]);
});
