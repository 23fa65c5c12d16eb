import { z } from 'zod';

/** A job of a manifest, with what it takes to claim it and to write back. */
export const gitLabItemSchema = z.object({
  /** `<project id>/<job id>`; the project's path may change. */
  key: z.string(),
  title: z.string(),
  projectId: z.number(),
  projectPath: z.string(),
  /** The default branch, which the response is committed to. */
  branch: z.string(),
  jobId: z.string(),
  /** The job as it stands in the manifest. */
  fields: z.record(z.string(), z.unknown()),
  /** The commit in which it stood so. */
  commit: z.string(),
  /** The claim whose lease has run out; null for a job without a response. */
  expired: z.object({ nonce: z.string(), leaseUntil: z.number() }).nullable(),
});

export type GitLabItem = z.infer<typeof gitLabItemSchema>;

export function keyOf(projectId: number, jobId: string): string {
  return `${projectId}/${jobId}`;
}
