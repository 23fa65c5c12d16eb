import { join } from 'node:path';
import { z } from 'zod';
import type { Layout } from '../../../config/layout.js';
import type { SshJobSpec } from '../../../jobs/ssh-job-spec.js';
import { openUntrusted } from './untrusted-files.js';
import { fieldsOf } from '../../../schema-problems.js';

const maxBytes = 64 * 1024 ** 2;
const absolute = z.string().regex(/^\/[^\0]*$/);

/**
 * The fields that lead to files on this machine. The others end up in the job's script, on the
 * host.
 */
const shape = z.looseObject({
  job_id: z.number(),
  comment: z.string().regex(/^[\w:]{1,100}$/),
  experiment_id: z.string(),
  request: z.looseObject({}),
  common_env: z.record(z.string(), z.string()).optional(),
  template: z.looseObject({ folder: absolute, body: z.string(), commandKey: z.string() }),
  dataset: z
    .object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), original: absolute, tree: absolute })
    .nullable(),
  script: z
    .object({ name: z.string().regex(/^(?!\.{1,2}$)[^/\0]{1,255}$/), path: absolute })
    .nullable(),
  output_dir: absolute,
  log_dir: absolute,
});

/**
 * Reads the API's spec of a job. An attacker may control the API, so the spec may only name the
 * job's own folders. An error repeats nothing of the file, which could be a link to another.
 * @throws Error
 */
export async function readSpec(
  layout: Pick<Layout, 'sshJobs' | 'results' | 'jobLogs'>,
  jobId: string,
): Promise<SshJobSpec> {
  const path = join(layout.sshJobs, jobId, 'spec.json');
  const file = await openUntrusted(path);
  let text: string;
  try {
    if ((await file.stat()).size > maxBytes) throw new Error(`${path}: is too large`);
    text = await file.readFile('utf8');
  } finally {
    await file.close();
  }
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw new Error(`${path}: is not JSON`);
  }
  const parsed = shape.safeParse(given);
  if (!parsed.success)
    throw new Error(`${path}: invalid fields: ${fieldsOf(parsed.error, 'spec').join(', ')}`);
  const { job_id, output_dir, log_dir } = parsed.data;
  const isOwn =
    job_id === Number(jobId) &&
    output_dir === join(layout.results, jobId) &&
    log_dir === join(layout.jobLogs, jobId);
  if (!isOwn) throw new Error(`${path}: names another job's folders`);
  return parsed.data as unknown as SshJobSpec;
}
