import { z } from 'zod';
import { AppError } from '../../errors.js';
import type { YamlThread } from './yaml-thread.js';
import { firstProblem } from '../../schema-problems.js';

/** Path of the manifest, in which a project lists its jobs. */
export const manifestPath = 'gpu_jobs/manifest.yaml';

/**
 * Path of a job’s response; its existence means that the job is claimed.
 * @param jobId of {@link parseManifest}, which rejects slashes
 */
export function responsePath(jobId: string): string {
  return `gpu_jobs/job_${jobId}/response.yaml`;
}

const maxBytes = 2 * 1024 ** 2;
const maxJobs = 20_000;
const maxProblems = 100;
const maxIdLength = 128;
/**
 * Maximum length of one job as JSON; its parameters have less room. Aliases can make a small file
 * large.
 */
const maxJobLength = 128 * 1024;

/** Highest supported version of the manifest. */
const latestVersion = 1;

export interface ManifestJob {
  id: string;
  canceled: boolean;
  /** The job as written, including `job_id` and `canceled`, as far as JSON can express it. */
  fields: Record<string, unknown>;
}

export interface Manifest {
  version: number;
  /** Usable jobs; none of several jobs with the same id. */
  jobs: ManifestJob[];
  /** Problems of the other jobs, one line each. */
  problems: string[];
  /** Content of the whole file. */
  data: Record<string, unknown>;
  /** Length of `data` as JSON, in characters. */
  length: number;
}

const jobId = z
  .union([z.string(), z.int().transform(String)], { error: 'expected a text' })
  .refine((id) => id.length > 0 && id.length <= maxIdLength, {
    error: `expected 1 to ${maxIdLength} characters`,
  })
  // The id becomes part of a path, of a branch’s listing and of a log line.
  .refine((id) => !/[/\\\p{C}\p{Zl}\p{Zp}]|\.\.|^\s|\s$/u.test(id), {
    error: 'expected no slash, no "..", no control character and no space around it',
  });

const jobSchema = z.looseObject({
  job_id: jobId,
  // Any other value might be meant as a cancellation.
  canceled: z.boolean({ error: 'expected true or false' }).nullish(),
});

const manifestSchema = z.looseObject({
  version: z
    .number({ error: `expected a number, at most ${latestVersion}` })
    .max(latestVersion, { error: `expected at most ${latestVersion}; this one is newer` }),
  jobs: z
    .array(z.unknown(), { error: 'expected a list' })
    .max(maxJobs, { error: `expected at most ${maxJobs}` })
    .nullish(),
});

/**
 * Parses `gpu_jobs/manifest.yaml`. An unusable job becomes a problem and does not affect the
 * others.
 * @throws AppError unprocessable when the whole file is unusable
 */
export async function parseManifest(bytes: Buffer, yaml: YamlThread): Promise<Manifest> {
  if (bytes.length > maxBytes) refuse(`larger than ${maxBytes / 1024 ** 2} MiB`);
  const parsed = manifestSchema.safeParse(await yaml.read(toText(bytes)));
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) =>
      path.length === 0 ? 'expected version: and jobs:' : `${path.join('.')}: ${message}`,
    );
    refuse(problems.join('; '));
  }
  const { version, jobs } = parsed.data;
  const length = lengthOf(parsed.data);
  if (length === Infinity) refuse('nested too deeply');
  return { version, data: parsed.data, length, ...readJobs(jobs ?? []) };
}

function readJobs(written: readonly unknown[]): Pick<Manifest, 'jobs' | 'problems'> {
  const problems: string[] = [];
  const byId = new Map<string, { job: ManifestJob; count: number }>();
  for (const [index, each] of written.entries()) {
    const parsed = jobSchema.safeParse(each);
    if (!parsed.success) {
      problems.push(`jobs[${index}]: ${firstProblem(parsed.error)}`);
      continue;
    }
    const { job_id: id, canceled } = parsed.data;
    if (lengthOf(each) > maxJobLength) {
      problems.push(`jobs[${index}]: larger than ${maxJobLength / 1024} KiB, or nested too deeply`);
      continue;
    }
    const same = byId.get(id);
    if (same !== undefined) same.count += 1;
    else {
      const fields = each as Record<string, unknown>;
      byId.set(id, { job: { id, canceled: canceled ?? false, fields }, count: 1 });
    }
  }
  const jobs: ManifestJob[] = [];
  for (const { job, count } of byId.values())
    if (count === 1) jobs.push(job);
    else problems.push(`${job.id}: ${count} jobs have this id; none of them is listed`);
  if (problems.length > maxProblems) {
    const more = problems.length - maxProblems;
    problems.splice(maxProblems, more, `and ${more} more`);
  }
  return { jobs, problems };
}

/** Measures a value as JSON, in characters. */
function lengthOf(value: unknown): number {
  try {
    return JSON.stringify(value).length;
  } catch (error) {
    // Very deep nesting may parse and still overflow the stack on the way back.
    if (error instanceof RangeError) return Infinity;
    throw error;
  }
}

function toText(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    return refuse('not UTF-8 text', cause);
  }
}

function refuse(message: string, cause?: unknown): never {
  throw new AppError('unprocessable', message, { cause });
}
